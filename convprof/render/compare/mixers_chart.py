"""Mixers over growing images as a chart: the quadratic part rises twice as steeply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.networks.mixers import quadratic_overtakes
from convprof.render.charts.chart import Chart, Mark, Point, Series
from convprof.render.compare.mixers import size_words
from convprof.render.findings import (
    IN_DOUBT,
    INTERVAL,
    joined,
    left_out,
    threads_words,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.mixers import Grid
    from convprof.studies.compare.mixers.costs import Total
    from convprof.studies.compare.mixers.growth import Stage
    from convprof.units import Unit

EQUAL = "quadratic = linear FLOPs"


def growth_chart(stages: Sequence[Stage], *, dated: str = "") -> Chart:
    """Return the time of each mixer over the tokens, and the times of attention's two halves.

    Both axes are logarithmic, so that a power of the tokens is a straight line. Times in doubt are
    left out. ``dated``: machine and date, for the subtitle.
    """
    timed = [(grid, total) for grid, mixers in stages for total in mixers]
    totals = [(grid, total) for grid, total in timed if total.doubt is None]
    unit = units.time_unit([total.cost.seconds for _, total in totals])
    threads = list(dict.fromkeys(total.threads for _, total in totals))
    grids = [grid for grid, _ in stages]
    where = f" · {threads_words(threads[0])}" if len(threads) == 1 else ""
    dtype = timed[0][1].measurements[0].dtype if timed else ""
    return Chart(
        title=_finding(stages),
        x_label="tokens of an image",
        y_label=f"time [{unit.name}]",
        series=_series(totals, unit),
        marks=_equal(stages),
        x_log=True,
        y_log=True,
        subtitle=joined(
            f"{size_words(grids[0])} · {dtype}{where}", left_out(len(timed) - len(totals)), dated
        ),
        caption=INTERVAL,
    )


def _series(totals: Sequence[tuple[Grid, Total]], unit: Unit) -> tuple[Series, ...]:
    """Return a line for each mixer, strategy and number of threads."""
    threads = list(dict.fromkeys(total.threads for _, total in totals))
    strategies = list(dict.fromkeys(total.strategy for _, total in totals))
    lines: dict[str, list[Point]] = {}
    variants: dict[str, tuple[str, int]] = {}
    for grid, total in totals:
        several = (total.strategy, len(strategies)), (threads_words(total.threads), len(threads))
        end = "".join(f", {word}" for word, count in several if count > 1)
        for label, *seconds in _curves(total, halves=len(threads) * len(strategies) == 1):
            y, low, high = (None if s is None else unit.scale(s) for s in seconds)
            if y is not None:
                lines.setdefault(f"{label}{end}", []).append(Point(grid.tokens, y, low, high))
                run = threads.index(total.threads) + len(threads) * strategies.index(total.strategy)
                variants[f"{label}{end}"] = (label, run)
    return tuple(
        Series(label, tuple(points), subject=variants[label][0], variant=variants[label][1])
        for label, points in lines.items()
    )


def _finding(stages: Sequence[Stage]) -> str:
    """Return the ratio of the slowest mixer to the fastest for the largest image."""
    grid, timed = stages[-1]
    totals = [total for total in timed if total.doubt is None]
    if not totals:
        return IN_DOUBT if timed else "nothing was timed"
    first = [
        t for t in totals if (t.threads, t.strategy) == (totals[0].threads, totals[0].strategy)
    ]
    slow, fast = (pick(first, key=lambda total: total.cost.seconds) for pick in (max, min))
    if slow is fast:
        return f"{slow.mixer.name} takes {units.time(slow.cost.seconds)} for {grid.tokens:,} tokens"
    ratio = times(slow.cost.seconds / fast.cost.seconds)
    return f"{slow.mixer.name} takes {ratio} as long as {fast.mixer.name} at {grid.tokens:,} tokens"


_Curve = tuple[str, float, float | None, float | None]


def _curves(total: Total, *, halves: bool) -> list[_Curve]:
    """Return label, seconds and interval of a mixer and of its quadratic part.

    ``halves``: also of the rest, if there is room for another line.
    """
    whole, name = total.cost, total.mixer.name
    curves: list[_Curve] = [(name, whole.seconds, whole.ci95_low, whole.ci95_high)]
    if total.mixer.quadratic_flops:
        curves.append((f"{name}: quadratic part", total.quadratic_s, None, None))
        if halves:
            curves.append((f"{name}: projections", total.linear_s, None, None))
    return curves


def _equal(stages: Sequence[Stage]) -> tuple[Mark, ...]:
    """Return a mark where quadratic and linear FLOPs are equal, if it is within the range."""
    tokens = [grid.tokens for grid, _ in stages]
    for grid, totals in stages:
        for total in totals:
            if total.mixer.quadratic_flops:
                x = quadratic_overtakes(total.mixer, grid.tokens)
                return (Mark(EQUAL, x),) if min(tokens) <= x <= max(tokens) else ()
    return ()
