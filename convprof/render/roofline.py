"""What ``convprof roofline`` shows: a table and a chart per element type and number of threads."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from convprof import units
from convprof.render import describe, doubts
from convprof.render.charts.chart import Chart, Point, Series
from convprof.render.charts.terminal import chart_lines
from convprof.render.columns import Column, print_table
from convprof.render.console import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from convprof.machine.peaks import Peak
    from convprof.studies.roofline import Roofline
    from convprof.studies.roofline_model import RooflinePoint

GIGA = 1e9
NOTHING = "-"
OVER = 0.995
"""A point less than 0.5 % over its roof is on it: the two were measured at different times."""
MARGIN = 1.6
"""Factor of room around the points, on both axes."""
WIDEST, HEIGHT = 110, 22
MOST_LABELS = 8
DEFINITIONS = """\
FLOPs are those executed, bytes those that the strategy moves at least: operands, result, and \
scratch memory written and read once
roof: the lower of the peak and FLOP/byte x bandwidth of the level it works in, with as much as \
nearer caches hold at theirs"""


def roofline_report(console: Console, roofline: Roofline, *, dated: str) -> None:
    """Print a table of the points and the chart. ``dated``: machine and date, for the caption."""
    rows = roofline.placed
    print_table(console, title(roofline), columns(rows), rows)
    if any(map(over, rows)):
        say(
            console,
            "! over the roof: the clock rose since, or a library executes fewer FLOPs than are "
            "counted",
        )
    if roofline.unknown:
        text = (
            f"the bandwidth of {', '.join(roofline.unknown)} is unknown: a strategy whose data is "
            "there has the peak as its roof"
        )
        say(console, text)
    console.print()
    drawn = chart(roofline, dated=dated)
    console.print(chart_lines(drawn, min(console.width, WIDEST), HEIGHT), soft_wrap=True)


def definitions_report(console: Console) -> None:
    """Print what the columns mean."""
    say(console, *DEFINITIONS.splitlines(), style="dim")


def title(roofline: Roofline) -> str:
    """Return ``roofline · f32 on 2 threads · result.json``."""
    threads = f"{roofline.threads} thread{'' if roofline.threads == 1 else 's'}"
    parts = ["roofline", f"{roofline.dtype} on {threads}", PurePath(roofline.source).name]
    return " · ".join(part for part in parts if part)


def over(placed: RooflinePoint) -> bool:
    """Whether a point is above its roof."""
    return placed.left < OVER


def columns(rows: Sequence[RooflinePoint]) -> list[Column[RooflinePoint]]:
    """Return the columns of the table; the problem's only if there are several."""
    several = len({p.measurement.problem["descriptor"] for p in rows}) > 1
    problem: list[Column[RooflinePoint]] = [Column("problem", problem_name, 1, "left")]
    layout: list[Column[RooflinePoint]] = [
        Column("layout", lambda p: p.measurement.layout or NOTHING, 2, "left", key=True)
    ]
    return [
        *(problem if several else []),
        Column(
            "strategy",
            lambda p: doubts.marked(p.measurement.strategy, p.measurement.doubt),
            1,
            "left",
            key=True,
        ),
        *(layout if any(p.measurement.layout for p in rows) else []),
        Column("FLOP/byte", lambda p: units.digits(p.intensity), 3),
        Column("GFLOP/s", lambda p: units.digits(p.flop_per_s / GIGA), 2),
        Column("roof [GFLOP/s]", lambda p: units.digits(p.roof / GIGA), 4),
        Column("bound by", lambda p: p.limit or NOTHING, 1, "left"),
        Column("works in", lambda p: p.level, 6, "left"),
        Column("to the roof", left_cell, 1),
    ]


def left_cell(placed: RooflinePoint) -> str:
    """Return ``2.3x``: how many times as fast the roof is; ``!`` marks a point above it."""
    return f"{units.digits(placed.left)}x{'!' if over(placed) else ''}"


def problem_name(placed: RooflinePoint) -> str:
    """Return the layer's name, or the descriptor."""
    problem = placed.measurement.problem
    return describe.short_name(str(problem["name"] or problem["descriptor"]))


def chart(roofline: Roofline, *, dated: str) -> Chart:
    """Return the roofs as lines and the measurements as markers, a series for each strategy."""
    rows = roofline.placed
    top = max(peak.flop_per_s for peak in roofline.peaks)
    # Where each bandwidth reaches the peak: the chart includes all of these points.
    ridges = [top / rate for rate in roofline.bandwidths.values()]
    left = min([p.intensity for p in rows] + ridges) / MARGIN**2
    right = max([p.intensity for p in rows] + ridges) * MARGIN
    floor = min(p.flop_per_s for p in rows) / MARGIN
    return Chart(
        title=title(roofline),
        x_label="FLOP/byte",
        y_label="GFLOP/s",
        series=(
            *(_peak_line(peak, roofline, left, right) for peak in roofline.peaks),
            *_bandwidth_lines(roofline, top, left, floor),
            *_points(rows),
        ),
        x_log=True,
        y_log=True,
        y_top=top * MARGIN / GIGA,
        caption=dated,
    )


def _peak_line(peak: Peak, roofline: Roofline, left: float, right: float) -> Series:
    fastest = max(roofline.bandwidths.values(), default=None)
    start = max(left, peak.flop_per_s / fastest) if fastest else left
    y = peak.flop_per_s / GIGA
    kind = f" {peak.isa}" if peak.isa and len(roofline.peaks) > 1 else ""
    label = f"peak{kind} {units.si(peak.flop_per_s, 'FLOP/s')}"
    return Series(label, (Point(start, y), Point(right, y)), marked=False)


def _bandwidth_lines(roofline: Roofline, top: float, left: float, floor: float) -> Iterable[Series]:
    for level, rate in roofline.bandwidths.items():
        # From the left edge, or from where the line enters the chart from below.
        start = min(max(left, floor / rate), top / rate)
        ends = (Point(x, x * rate / GIGA) for x in (start, top / rate))
        yield Series(f"{level} {units.si(rate, 'B/s')}", tuple(ends), marked=False)


def _points(rows: Sequence[RooflinePoint]) -> Iterable[Series]:
    several = len({p.measurement.problem["descriptor"] for p in rows}) > 1
    labelled = several and len(rows) <= MOST_LABELS
    groups: dict[str, list[RooflinePoint]] = {}
    for placed in rows:
        groups.setdefault(placed.measurement.strategy, []).append(placed)
    for strategy, members in groups.items():
        points = tuple(
            Point(p.intensity, p.flop_per_s / GIGA, label=problem_name(p) if labelled else "")
            for p in members
        )
        yield Series(strategy, points, line=False)
