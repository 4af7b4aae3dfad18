"""A roofline as a chart: the roofs as lines, measurements as markers, the gaps to their roofs."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from convprof import units
from convprof.doubts import may_be_faster
from convprof.dtypes import short_name
from convprof.render import describe, doubts
from convprof.render.charts.chart import Chart, Point, Series
from convprof.render.findings import GIGA, IN_DOUBT, joined, marks, times
from convprof.render.tables import several_isas
from convprof.results import way

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.machine.peaks import Peak
    from convprof.studies.roofline import Roofline
    from convprof.studies.roofline_model import RooflinePoint

OVER = 0.995
"""A point less than 0.5 % above its roof counts as on it: both have separate measurements."""
MARGIN = 1.6
"""Factor of room around the points, on both axes."""
MOST_LABELS = 12
MOST_STRATEGIES = 10
"""The most strategies that a reader can distinguish in a picture."""


def roofline_chart(roofline: Roofline, *, dated: str, most: int | None = None) -> Chart:
    """Return the chart. ``dated``: machine and date; ``most``: strategies, the fastest ones."""
    rows, left_out = _shown(roofline.placed, most)
    top = max(peak.flop_per_s for peak in roofline.peaks)
    # The points where each bandwidth reaches the peak: the chart includes all of them.
    ridges = [top / rate for rate in roofline.bandwidths.values()]
    left = min([p.intensity for p in rows] + ridges) / MARGIN**2
    right = max([p.intensity for p in rows] + ridges) * MARGIN
    floor = min(p.flop_per_s for p in rows) / MARGIN
    return Chart(
        title=_finding(rows),
        x_label="FLOP/byte",
        y_label="GFLOP/s",
        series=(
            *_bandwidth_lines(roofline, top, left, floor),
            *(_peak_line(peak, roofline, left, right) for peak in roofline.peaks),
            *_points(rows),
        ),
        x_log=True,
        y_log=True,
        y_top=top * MARGIN / GIGA,
        subtitle=joined(title(roofline), left_out, dated),
        caption=_caption(rows),
    )


def title(roofline: Roofline) -> str:
    """Return ``roofline · f32 on 2 threads · result.json``."""
    threads = f"{roofline.threads} thread{'' if roofline.threads == 1 else 's'}"
    parts = [
        "roofline",
        f"{short_name(roofline.dtype)} on {threads}",
        PurePath(roofline.source).name,
    ]
    return " · ".join(part for part in parts if part)


def problem_name(placed: RooflinePoint) -> str:
    """Return the layer's name, or the descriptor."""
    problem = placed.measurement.problem
    return describe.short_name(str(problem["name"] or problem["descriptor"]))


def _shown(placed: Sequence[RooflinePoint], most: int | None) -> tuple[list[RooflinePoint], str]:
    """Return the points of the fastest strategies, and a note on the other points."""
    by_speed = sorted(placed, key=lambda p: -p.flop_per_s)
    strategies = list(dict.fromkeys(p.measurement.strategy for p in by_speed))
    kept = set(strategies[:most])
    if len(strategies) == len(kept):
        return list(placed), ""
    words = f"the {len(kept)} fastest of {len(strategies)} strategies"
    return [p for p in placed if p.measurement.strategy in kept], words


def _finding(rows: Sequence[RooflinePoint]) -> str:
    """Return the distance of the fastest point from its roof, and the kind of roof."""
    every, one = [p.measurement for p in rows], _one_problem(rows)
    rows = [p for p in rows if p.measurement.doubt is None]
    if not rows:
        return IN_DOUBT
    best = min(rows, key=lambda p: p.seconds) if one else max(rows, key=lambda p: p.flop_per_s)
    who = best.measurement.way
    if one and len(rows) > 1 and not may_be_faster(best.measurement, every):
        who = f"the fastest, {who},"
    if not one:
        who = f"{best.measurement.way} in {problem_name(best)}"
    kinds = {None: "the peak", "compute": "the peak"}
    roof = kinds.get(best.limit, f"the bandwidth of {best.limit}")
    if best.left < 1 / OVER:
        return f"{who} reaches {roof}"
    if best.left < 2:  # noqa: PLR2004  # below, a share says more than a factor
        return f"{who} reaches {100 / best.left:.0f} % of {roof}"
    return f"{who} could be {times(best.left)} as fast: its roof is {roof}"


def _one_problem(rows: Sequence[RooflinePoint]) -> bool:
    return len({p.measurement.problem_key for p in rows}) == 1


def _caption(rows: Sequence[RooflinePoint]) -> str:
    layouts = {p.measurement.layout for p in rows} - {None}
    hollow = "hollow: nchw, filled: nhwc" if len(layouts) > 1 else ""
    return joined(
        "dotted: the gap from a point to its roof", hollow, marks(p.measurement for p in rows)
    )


def _peak_line(peak: Peak, roofline: Roofline, left: float, right: float) -> Series:
    fastest = max(roofline.bandwidths.values(), default=None)
    start = max(left, peak.flop_per_s / fastest) if fastest else left
    y = peak.flop_per_s / GIGA
    kind = f" {peak.isa}" if peak.isa and len(roofline.peaks) > 1 else ""
    label = f"peak{kind} {units.si(peak.flop_per_s, 'FLOP/s')}"
    return Series(label, (Point(start, y), Point(right, y)), marked=False, ceiling=True)


def _bandwidth_lines(roofline: Roofline, top: float, left: float, floor: float) -> Iterable[Series]:
    """Yield the levels of memory, nearest first: the legend has them in this order."""
    for level, rate in roofline.bandwidths.items():
        # From the left edge, or from the point where the line enters the chart from below.
        start = min(max(left, floor / rate), top / rate)
        ends = (Point(x, x * rate / GIGA) for x in (start, top / rate))
        label = f"{level} {units.si(rate, 'B/s')}"
        yield Series(label, tuple(ends), marked=False, ceiling=True)


def _points(rows: Sequence[RooflinePoint]) -> Iterable[Series]:
    """Yield a series per strategy, layout and instruction set.

    Layouts differ in filled and hollow markers.
    """
    isas = several_isas(p.measurement for p in rows)
    layouts = {p.measurement.layout for p in rows} - {None}
    problems = not _one_problem(rows)
    groups: dict[tuple[str, str | None], list[RooflinePoint]] = {}
    for placed in rows:
        m = placed.measurement
        strategy = way(m.strategy, None, m.isa) if isas else m.strategy
        groups.setdefault((strategy, m.layout), []).append(placed)
    labelled = len(rows) <= MOST_LABELS
    for (strategy, layout), members in groups.items():
        yield Series(
            members[0].measurement.way if len(layouts) > 1 else strategy,
            tuple(_point(p, labelled=labelled, problems=problems) for p in members),
            line=False,
            subject=strategy,
            variant=int(layout == "nchw" and len(layouts) > 1),
        )


def _point(placed: RooflinePoint, *, labelled: bool, problems: bool) -> Point:
    name = problem_name(placed) if problems else placed.measurement.strategy
    gap = "" if placed.left < 1 / OVER else f" {units.digits(placed.left, 2)}x"
    label = f"{doubts.marked(name, placed.measurement.doubt)}{gap}" if labelled else ""
    rate = placed.flop_per_s / GIGA
    return Point(placed.intensity, rate, label=label, limit=placed.roof / GIGA)
