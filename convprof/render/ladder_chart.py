"""Ladders as a chart: GFLOP/s from rung to rung, a line for each size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render.charts.chart import Chart, Level, Point, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.ceilings import Peak
    from convprof.studies.ladder import Step

GIGA = 1e9


def ladder_chart(
    title: str, ladders: Sequence[tuple[str, Sequence[Step]]], peaks: Sequence[Peak], *, dated: str
) -> Chart:
    """Return the rates over the numbers of the rungs, which the axis names, under the peaks.

    ``dated``: machine and date, for the caption.
    """
    names = list(dict.fromkeys(step.rung.name for _, steps in ladders for step in steps))
    levels = tuple(map(_level, peaks))
    return Chart(
        title=title,
        x_label="rung: " + ", ".join(f"{k} {name}" for k, name in enumerate(names, 1)),
        y_label="GFLOP/s",
        series=tuple(
            Series(size, points)
            for size, steps in ladders
            if (points := tuple(_points(steps, names)))
        ),
        levels=levels,
        y_top=max(level.y for level in levels),
        caption=f"{dated} · median and 95 % interval",
    )


def _points(steps: Sequence[Step], names: Sequence[str]) -> list[Point]:
    found = []
    for step in steps:
        m = step.measurement
        if m.time_s is None or m.flop_per_s is None:
            continue
        work = m.flop_per_s * m.time_s.median / GIGA
        low, high = (
            None if s is None else work / s for s in (m.time_s.ci95_high, m.time_s.ci95_low)
        )
        found.append(Point(1 + names.index(step.rung.name), m.flop_per_s / GIGA, low, high))
    return found


def _level(peak: Peak) -> Level:
    threads = f"{peak.threads} thread{'s' if peak.threads > 1 else ''}"
    rate = units.si(peak.flop_per_s, "FLOP/s")
    return Level(f"FMA peak, {threads}: {rate}", peak.flop_per_s / GIGA)
