"""What follows from the mixers' numbers, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.networks.mixers import quadratic_overtakes

if TYPE_CHECKING:
    from convprof.networks.mixers import Grid
    from convprof.studies.mixer_costs import Total
    from convprof.studies.mixers import Beside
    from convprof.studies.mixers_growth import Crossing, Growth

_VERDICTS = {
    "faster": "it is faster",
    "slower": "it is slower",
    "same": "they are as fast",
    "undecided": "neither is faster for certain",
}


def threads_words(count: int) -> str:
    """Return ``1 thread`` or ``2 threads``."""
    return f"{count} thread{'s' if count > 1 else ''}"


def who(threads: int, strategy: str, *, named: bool) -> str:
    """Return whose numbers a sentence is about: ``1 thread``; ``1 thread, auto`` if named."""
    return f"{threads_words(threads)}, {strategy}" if named else threads_words(threads)


def beside_line(beside: Beside, *, named: bool) -> str:
    """Return how many times as long the block takes as another mixer, and the verdict."""
    block, ratio = beside.block, beside.ratio
    times = f"{ratio.value:.2f}"
    if ratio.low is not None and ratio.high is not None:
        times += f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return (
        f"{who(block.threads, block.strategy, named=named)}: {block.mixer.name} takes {times} "
        f"times as long as {beside.other.mixer.name}: {_VERDICTS[beside.verdict]}"
    )


def quadratic_line(total: Total, grid: Grid, *, named: bool) -> str:
    """Return what of a block grows with the square of the tokens, and where that is half of it."""
    tokens = quadratic_overtakes(total.mixer, grid.tokens)
    return (
        f"{who(total.threads, total.strategy, named=named)}: of {total.mixer.name}, "
        f"{100 * total.quadratic_flop_share:.1f} % of the FLOPs and "
        f"{100 * total.quadratic_time_share:.1f} % of the time grow with the square of the tokens; "
        f"half of the FLOPs from {_where(tokens, grid)} on"
    )


def growth_line(growth: Growth, grid: Grid, *, named: bool) -> str:
    """Return where the block, or its quadratic part, overtakes something, by FLOPs and by time."""
    what = f"attention overtakes {growth.other}"
    if growth.other is None:
        what = "attention's quadratic part overtakes its linear projections"
    flops = "at any size"
    if growth.by_flops is not None:
        flops = f"from {_where(growth.by_flops, grid)} on"
    start = who(growth.threads, growth.strategy, named=named)
    return f"{start}: {what} by FLOPs {flops}, by time {_by_time(growth.by_time, grid)}"


def _by_time(crossing: Crossing, grid: Grid) -> str:
    if crossing.tokens is not None:
        return f"from about {_where(crossing.tokens, grid)} on"
    ratio = f"{units.digits(crossing.last_ratio)} of its time at the largest image"
    if crossing.always:
        return f"at every image measured ({units.digits(crossing.last_ratio)}x at the largest)"
    return f"not in this range ({ratio})"


def _where(tokens: float, grid: Grid) -> str:
    """Return ``1,536 tokens (images of 627 pixels)``."""
    return f"{tokens:,.0f} tokens (images of {grid.patch * tokens**0.5:,.0f} pixels)"
