"""Mixers over growing images: where one takes longer than another, by FLOPs and by the clock."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.networks.mixers import overtakes, quadratic_overtakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.mixers import Grid
    from convprof.studies.compare.mixers.costs import Total

Stage = tuple["Grid", "list[Total]"]
"""An image, and what was measured on it."""

ENDS = 2
"""Images that a line takes."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """The number of tokens from which one part or block takes longer than another."""

    tokens: float | None
    """Interpolated between two measured images; None if it does not happen between any."""
    always: bool = False
    """Whether it takes longer at every measured image already."""
    last_ratio: float = math.nan
    """Its time over the other's at the largest image."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How a block's quadratic part, or the whole block, overtakes a linear part or mixer."""

    strategy: str
    threads: int
    other: str | None
    """The mixer that the block is compared with; None for its own linear parts."""
    by_flops: float | None
    """Tokens from which it has more FLOPs; None if it has more at any."""
    by_time: Crossing


def runs(stages: Sequence[Stage]) -> list[tuple[int, str, list[Stage]]]:
    """Return the stages that have totals, by number of threads and strategy."""
    keys = dict.fromkeys((t.threads, t.strategy) for _, totals in stages for t in totals)
    members = []
    for threads, strategy in sorted(keys, key=lambda key: key[0]):
        own = [
            (grid, [t for t in totals if (t.threads, t.strategy) == (threads, strategy)])
            for grid, totals in stages
        ]
        members.append((threads, strategy, [stage for stage in own if stage[1]]))
    return members


def growths(stages: Sequence[Stage]) -> list[Growth]:
    """Return for each strategy and number of threads what its block overtakes, and where.

    First the quadratic part its own linear ones, then the block each other mixer. Only what was
    measured at two images or more; times in doubt do not count.
    """
    sure = [(grid, [t for t in totals if t.doubt is None]) for grid, totals in stages]
    return [
        growth
        for threads, strategy, own in runs(sure)
        for growth in _of_one(strategy, threads, own)
    ]


def _of_one(strategy: str, threads: int, stages: Sequence[Stage]) -> list[Growth]:
    """Return the growths of one strategy on one number of threads."""
    blocks = {
        grid: total for grid, totals in stages for total in totals if total.mixer.quadratic_flops
    }
    if len(blocks) < ENDS:
        return []
    grid, block = next(iter(blocks.items()))
    own = crossing([(g.tokens, total.quadratic_s, total.linear_s) for g, total in blocks.items()])
    by_flops = quadratic_overtakes(block.mixer, grid.tokens)
    crossings = [Growth(strategy, threads, None, by_flops, own)]
    others: dict[str, list[tuple[Grid, Total]]] = {}
    for grid, totals in stages:
        for total in totals:
            if grid in blocks and total is not blocks[grid]:
                others.setdefault(total.mixer.name, []).append((grid, total))
    for name, pairs in others.items():
        if len(pairs) < ENDS:
            continue
        grid, other = pairs[0]
        equal = overtakes(blocks[grid].mixer, other.mixer, grid.tokens)
        points = [(g.tokens, blocks[g].cost.seconds, total.cost.seconds) for g, total in pairs]
        crossings.append(Growth(strategy, threads, name, equal, crossing(points)))
    return crossings


def crossing(points: Sequence[tuple[float, float, float]]) -> Crossing:
    """Return from where on ``a`` takes longer than ``b``; points are (tokens, a, b), ascending.

    Between two points the ratio is assumed to be a power of the number of tokens. Where noise makes
    the ratio cross 1 several times, the last crossing counts.
    """
    ratios = [math.log(a / b) for _, a, b in points]
    last = math.exp(ratios[-1])
    if min(ratios) > 0:
        return Crossing(None, always=True, last_ratio=last)
    if ratios[-1] <= 0:
        return Crossing(None, last_ratio=last)
    before, after = [
        (one, two)
        for one, two in itertools.pairwise(zip(points, ratios, strict=True))
        if one[1] <= 0 < two[1]
    ][-1]
    (low, *_), (high, *_) = before[0], after[0]
    share = -before[1] / (after[1] - before[1])
    return Crossing(low * (high / low) ** share, last_ratio=last)
