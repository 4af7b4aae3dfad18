"""The answer of ``compare mixers``: attention against the other mixers, and how it grows.

The answer is about the first strategy on the most threads; `lines` say the same of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.networks.mixers import quadratic_overtakes
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.comparison import times
from convprof.studies.next_command import growth_of_mixers
from convprof.studies.run_answer import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.mixers import Grid
    from convprof.studies.compare.mixers.costs import Total
    from convprof.studies.compare.mixers.growth import Crossing, Growth
    from convprof.studies.compare.mixers.study import MixerComparison

EXPLAIN = "convprof explain attention"
_VERDICTS = {
    "faster": "it is faster",
    "slower": "it is slower",
    "same": "they are equally fast",
    "undecided": "the intervals do not decide",
}


def answer(comparisons: Sequence[MixerComparison]) -> Answer | None:
    """Return the answer about one image; None if nothing was compared."""
    if not comparisons:
        return None
    shown = answered(comparisons)
    if not shown:
        sentence = f"No conclusion, the times are in doubt: {comparisons[0].doubt}."
        return Answer((sentence,), repeats=True)
    block = shown[0].block
    parts = " and ".join(_ratio(comparison) for comparison in shown)
    first = f"On {threads(block.threads)} {block.mixer.name} takes {parts}."
    return Answer((first, _quadratic(block, shown[0].grid)), growth_of_mixers(shown[0].grid.patch))


def answered(comparisons: Sequence[MixerComparison]) -> list[MixerComparison]:
    """Return the comparisons that the answer is about."""
    clear = [comparison for comparison in comparisons if comparison.doubt is None]
    if not clear:
        return []
    most = max(comparison.block.threads for comparison in clear)
    first = next(c for c in clear if c.block.threads == most)
    return [c for c in clear if (c.block.threads, c.a.strategy) == (most, first.a.strategy)]


def lines(comparisons: Sequence[MixerComparison]) -> list[str]:
    """Return what is to be said of the comparisons that are not in the answer."""
    others = [c for c in comparisons if all(c is not shown for shown in answered(comparisons))]
    return [_line(comparison) for comparison in others]


def _line(comparison: MixerComparison) -> str:
    block = comparison.block
    whose = f"{threads(block.threads)}, {block.strategy}"
    if comparison.doubt is not None:
        sides = f"{block.mixer.name} and {comparison.other.mixer.name}"
        return f"{whose}: no conclusion on {sides}, in doubt: {comparison.doubt}"
    return f"{whose}: {block.mixer.name} takes {_ratio(comparison)}"


def _ratio(comparison: MixerComparison) -> str:
    """Return ``0.88 times (0.87 to 0.89) as long as conv3x3 (it is faster)``."""
    other = comparison.other.mixer.name
    return f"{times(comparison.ratio)} as long as {other} ({_VERDICTS[comparison.verdict]})"


def _quadratic(block: Total, grid: Grid) -> str:
    """Return what of a block grows with the square of the tokens, and where that is half of it."""
    tokens = quadratic_overtakes(block.mixer, grid.tokens)
    return (
        f"Of its FLOPs {100 * block.quadratic_flop_share:.1f} % and of its time "
        f"{100 * block.quadratic_time_share:.1f} % grow with the square of the tokens; "
        f"half of the FLOPs from {_where(tokens, grid)} on."
    )


# Several images: where attention, or its quadratic part, overtakes something.


def growth_answer(growths: Sequence[Growth], grid: Grid) -> Answer | None:
    """Return the answer about several images, ``grid`` being any of them; None for too few."""
    sentences = [f"{_growth(growth, grid)}." for growth in _grown(growths)]
    return Answer(tuple(sentences[:MOST_SENTENCES]), EXPLAIN) if sentences else None


def growth_lines(growths: Sequence[Growth], grid: Grid) -> list[str]:
    """Return what is to be said of the growths that are not in the answer."""
    shown = _grown(growths)[:MOST_SENTENCES]
    others = [growth for growth in growths if growth not in shown]
    return [f"{g.strategy}: {_growth(g, grid)}" for g in others]


def _grown(growths: Sequence[Growth]) -> list[Growth]:
    """Return the growths of the first strategy on the most threads."""
    if not growths:
        return []
    most = max(growth.threads for growth in growths)
    first = next(growth for growth in growths if growth.threads == most)
    return [g for g in growths if (g.threads, g.strategy) == (most, first.strategy)]


def _growth(growth: Growth, grid: Grid) -> str:
    """Return where the block, or its quadratic part, overtakes something, by FLOPs and by time."""
    what = f"attention overtakes {growth.other}"
    if growth.other is None:
        what = "attention's quadratic part overtakes its linear projections"
    flops = "at any size"
    if growth.by_flops is not None:
        flops = f"from {_where(growth.by_flops, grid)} on"
    by_time = _by_time(growth.by_time, grid)
    return f"On {threads(growth.threads)} {what} by FLOPs {flops}, by time {by_time}"


def _by_time(crossing: Crossing, grid: Grid) -> str:
    if crossing.tokens is not None:
        return f"from about {_where(crossing.tokens, grid)} on"
    ratio = units.digits(crossing.last_ratio)
    if crossing.always:
        return f"at every image measured ({ratio} times as long at the largest)"
    return f"at none of these images ({ratio} times as long at the largest)"


def _where(tokens: float, grid: Grid) -> str:
    """Return ``1,536 tokens (images of 627 pixels)``."""
    return f"{tokens:,.0f} tokens (images of {grid.patch * tokens**0.5:,.0f} pixels)"
