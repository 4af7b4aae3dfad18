"""Which sizes of register tiles keep the busiest of many threads least busy.

Tiles are few where an image is small and threads are many: with 3.5 tiles for each thread, the
busiest one has 4. Lower tiles are more, and each costs more per pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from convprof.codegen import tile_shares
from convprof.codegen.kernels.cycles import tile_cycles
from convprof.strategies.conv.regions import regions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convprof.codegen.kernels.multiply import Multiply
    from convprof.strategies.conv.blocking import ConvBlocking
    from convprof.strategies.conv.regions import Convolution, Pattern

    Array = np.ndarray[Any, Any]

EVEN = 0.97
"""Of the longest share, the mean: threads that are busy so evenly need no other tiles."""
WORTH = 0.97
"""Another blocking is chosen if its longest share takes this part of the time, or less."""


class Tiling(Protocol):
    """The properties of a dense convolution's plan that decide which tiles there are."""

    @property
    def p(self) -> Convolution:
        """The convolution."""

    threads: int
    lanes: int
    multiply: Multiply

    @property
    def width(self) -> int:
        """Packed columns of a group's weights: whole vectors."""

    @property
    def tap_steps(self) -> int:
        """Steps of the reduction per tap of the filter."""

    @property
    def weights_far(self) -> bool:
        """Whether all pixels of a panel come before the next panel."""

    def cover(self, height: int, width: int, most: int) -> dict[Pattern, list[tuple[int, int]]]:
        """Return the starts of tiles of at most ``most`` pixels by their pattern."""


def quickest(plan: Tiling, first: ConvBlocking, others: Iterable[ConvBlocking]) -> ConvBlocking:
    """Return the blocking with the shortest longest share; ``first`` where the gain is small.

    The search ends at even shares, perhaps before it begins: ``others`` come in the order of their
    work.
    """
    quick, best = first, shares(plan, first)
    if best.balance >= EVEN:
        return first
    limit = WORTH * best.longest
    for other in others:
        divided = shares(plan, other)
        if divided.longest < best.longest:
            quick, best = other, divided
        if best.balance >= EVEN and (quick == first or best.longest < limit):
            break
    return quick if best.longest < limit else first


def shares(plan: Tiling, blocking: ConvBlocking) -> tile_shares.Shares:
    """Return the shares of the threads, by an estimate of the cycles of each tile."""
    groups = list(_groups(plan, blocking))
    starts = np.cumsum([0, *(len(group) for group in groups)])[:-1].tolist()
    return tile_shares.shares(np.concatenate(groups), starts, plan.threads)


def _groups(plan: Tiling, blocking: ConvBlocking) -> Iterator[Array]:
    """Yield the cycles of the tiles of each block, image and panel, in the order of the plan."""
    across, most = plan.width // plan.lanes, blocking.vectors
    panels = [min(most, across - v) for v in range(0, across, most)] * plan.p.groups
    by_width = {
        vectors: [
            tile_cycles(plan.multiply.operations(rows, vectors), steps)
            for rows, steps in _blocks(plan, blocking)
        ]
        for vectors in set(panels)
    }
    blocks = [block for block in range(len(by_width[panels[0]])) for _ in range(plan.p.n)]
    if plan.weights_far:
        yield from (by_width[vectors][block] for vectors in panels for block in blocks)
    else:
        yield from (by_width[vectors][block] for block in blocks for vectors in panels)


def _blocks(plan: Tiling, blocking: ConvBlocking) -> Iterator[tuple[Array, Array]]:
    """Yield the pixels of each tile of a block of output rows, and the steps of its sums."""
    p = plan.p
    for first in range(0, p.p, blocking.block_rows):
        rows, taps = [], []
        for region in regions(p, first, min(first + blocking.block_rows, p.p)):
            down, across = region.rows, region.columns
            height, width = down.last - down.first, across.last - across.first
            for pattern, starts in plan.cover(height, width, blocking.rows).items():
                rows += [len(pattern)] * len(starts)
                taps += [len(region.taps)] * len(starts)
        yield np.array(rows), np.array(taps) * plan.tap_steps
