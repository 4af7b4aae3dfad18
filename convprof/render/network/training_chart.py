"""``network --pass`` as a chart: the passes, the kinds of layers, and the slowest layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.doubts import of_sum
from convprof.problems.gradients import TRAINING
from convprof.render import describe
from convprof.render.charts.chart import Bar, Bars, Panel
from convprof.render.findings import joined
from convprof.render.network.layers import percent
from convprof.studies.network.training_totals import BACKWARD, by_kind, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.network.training import Report
    from convprof.studies.network.training_totals import Result
    from convprof.units import Unit

MOST_LAYERS = 14
MOST_KINDS = 8
LIBRARY = "libraries"


def passes_chart(report: Report, *, dated: str) -> Bars | None:
    """Return the passes of each side, the kinds and the slowest layers; None without a time."""
    if not report.sides:
        return None
    side = report.sides[0]
    kinds = list(by_kind(side).items())[:MOST_KINDS]
    slowest = sorted(side, key=lambda result: -result.step_s)[:MOST_LAYERS]
    whole_s = total(side, report.plan.asked).seconds
    unit = units.table_unit([total([r], report.plan.asked).seconds for r in slowest])
    axis = f"time [{unit.name}]"
    layers = tuple(_layer_bar(result, whole_s, unit) for result in slowest if result.step_s)
    of_kinds = tuple(
        _bar(kind, total(results, report.plan.asked).seconds, whole_s, unit)
        for kind, results in kinds
    )
    panels = [
        Panel(axis, _pass_bars(report, unit), "by pass"),
        Panel(axis, of_kinds, "by kind of layer"),
        Panel(axis, layers, f"the {len(layers)} slowest layers, equal ones added up"),
    ]
    return Bars(
        title=_finding(report),
        panels=tuple(panels),
        subtitle=joined(report.title, dated),
        caption="right: share of the time of all passes",
    )


def _finding(report: Report) -> str:
    """Return which share the gradients take, or the slowest kind of layer of one pass."""
    plan, side = report.plan, report.sides[0]
    whole = total(side, plan.asked)
    if whole.doubt is not None:
        return f"no conclusion, in doubt: {whole.doubt}"
    if plan.which == TRAINING:
        share = percent(total(side, BACKWARD).seconds / whole.seconds)
        return f"the gradients take {share} % of a training step of {plan.network}"
    kind, results = next(iter(by_kind(side).items()))
    share = percent(total(results, plan.asked).seconds / whole.seconds)
    return f"{kind} takes {share} % of the {plan.which} pass of {plan.network}"


def _pass_bars(report: Report, unit: Unit) -> tuple[Bar, ...]:
    """Return a bar for each pass of each side."""
    bars = []
    for which in report.plan.asked:
        for side in report.sides:
            seconds = total(side, (which,)).seconds
            whole_s = total(side, report.plan.asked).seconds
            library = side[0].library
            name = f"{which}, {LIBRARY}" if library else which
            subject = LIBRARY if library else ""
            if seconds:
                bars.append(_bar(name, seconds, whole_s, unit, subject, int(library)))
    return tuple(bars)


def _bar(  # noqa: PLR0917  # the parts of a bar
    name: str, seconds: float, whole_s: float, unit: Unit, subject: str = "", variant: int = 0
) -> Bar:
    value = unit.scale(seconds)
    note = joined(f"{units.digits(value)} {unit.name}", f"{percent(seconds / whole_s)} %")
    return Bar(name, value, note=note, subject=subject, variant=variant)


def _layer_bar(result: Result, whole_s: float, unit: Unit) -> Bar:
    layer = result.layer
    count = f"{layer.count} x " if layer.count > 1 else ""
    strategies = dict.fromkeys(m.strategy for m in result.found.values())
    mark = "?" if of_sum(_parts(result), result.step_s) else ""
    note = joined(f"{percent(result.step_s / whole_s)} %{mark}", ", ".join(strategies))
    return Bar(
        f"{count}{describe.short_name(layer.names[0])}",
        unit.scale(result.step_s),
        note=note,
        subject=next(iter(strategies), ""),
    )


def _parts(result: Result) -> Sequence[tuple[float, str | None]]:
    return [
        (result.layer.count * m.time_s.median, m.doubt) for m in result.found.values() if m.time_s
    ]
