"""``network`` as a chart: the slowest layers and the kinds; with ``--plan`` the chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.problems.shapes import shape_text
from convprof.render import describe, doubts
from convprof.render.charts.chart import Bar, Bars, Panel
from convprof.render.findings import IN_DOUBT, INTERVAL, joined, times, uncertain
from convprof.render.network.layers import Share, computed_by, percent, shares
from convprof.render.network.repeats import Extent
from convprof.render.network.run import how_parts
from convprof.studies.network.layers import kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.network.layers import Kind
    from convprof.studies.network.planned import Planned, PlanResult, Standing
    from convprof.studies.network.study import NetworkResult
    from convprof.units import Unit

MOST_LAYERS = 14
MOST_KINDS = 8
ALONE = "each layer by itself, hot caches"
CHAIN = "within the chain"


def run_chart(result: NetworkResult, *, dated: str) -> Bars | None:
    """Return the layers that take longest and the kinds; None where no layer was timed."""
    of_kinds = sorted(kinds(result.layers), key=lambda kind: -kind.hot_s)[:MOST_KINDS]
    rows = shares(result.layers, Extent(MOST_LAYERS))
    if not rows or not of_kinds:
        return None
    total = rows[0].total_s
    unit = units.table_unit([row.hot_s for row in rows])
    axis = f"time [{unit.name}], {ALONE}"
    first, slowest = of_kinds[0], rows[0]
    layers = f"{len(slowest.layers)} layers like {slowest.name}"
    what = layers if len(slowest.layers) > 1 else slowest.name
    return Bars(
        title=f"{first.name} takes {100 * first.hot_s / total:.0f} % of {result.network}, "
        f"{what} {100 * slowest.hot_s / total:.0f} %",
        panels=(
            Panel(axis, tuple(_kind_bar(k, total, unit) for k in of_kinds), "by kind of layer"),
            Panel(axis, tuple(_layer_bar(r, result, unit) for r in rows), _slowest(len(rows))),
        ),
        subtitle=joined(
            f"{result.network} of {shape_text(result.input)}",
            result.options.layout,
            *how_parts(result.options),
            "fused" if result.options.fuse else "",
            dated,
        ),
        caption="right: share of the time, strategy, share of its limit",
    )


def _slowest(number: int) -> str:
    return f"the {number} slowest layers, equal ones added up"


def _kind_bar(kind: Kind, total: float, unit: Unit) -> Bar:
    note = joined(f"{percent(kind.hot_s / total)} %", _limit(kind.ceiling, kind.bound))
    layers = f"{kind.layers} layer{'s' if kind.layers > 1 else ''}"
    return Bar(f"{kind.name}, {layers}", unit.scale(kind.hot_s), note=note)


def _layer_bar(row: Share, result: NetworkResult, unit: Unit) -> Bar:
    layer = row.layer
    strategy = layer.chosen or (layer.hot.strategy if layer.hot else "")
    note = joined(
        f"{percent(row.hot_s / row.total_s)} %",
        computed_by(layer, result.options.layout),
        _limit(layer.ceiling, layer.bound),
    )
    count = f"{len(row.layers)} x " if len(row.layers) > 1 else ""
    return Bar(
        f"{count}{describe.short_name(row.name)}",
        unit.scale(row.hot_s),
        note=note,
        subject=strategy,
    )


def _limit(share: float | None, bound: str | None) -> str:
    if share is None:
        return ""
    return f"{percent(share)} % of limit ({bound})" if bound else f"{percent(share)} % of limit"


def plan_chart(result: PlanResult, *, dated: str) -> Bars | None:
    """Return the chains with their predicted times, and the slowest layers of the plan."""
    timed = [standing for standing in result.standings if standing.seconds > 0]
    if not timed:
        return None
    chains = units.table_unit([standing.seconds for standing in timed])
    panels = [
        Panel(f"time [{chains.name}]", tuple(_chain_bar(s, chains) for s in timed), "the chains")
    ]
    slowest = sorted(result.layers, key=lambda layer: -layer.seconds)[:MOST_LAYERS]
    slowest = [layer for layer in slowest if layer.seconds > 0]
    if slowest:
        unit = units.table_unit([layer.seconds for layer in slowest])
        total = sum(layer.seconds for layer in result.layers)
        bars = tuple(_planned_bar(layer, total, unit) for layer in slowest)
        title = f"the {len(slowest)} slowest layers of the plan"
        panels.append(Panel(f"time [{unit.name}], {CHAIN}", bars, title))
    return Bars(
        title=_fastest(timed),
        panels=tuple(panels),
        subtitle=joined(
            f"{result.network} of {shape_text(result.input)}", *how_parts(result.options), dated
        ),
        caption=joined("dashed: predicted", "hatched: libraries", INTERVAL),
    )


def _fastest(standings: Sequence[Standing]) -> str:
    ordered = sorted((s for s in standings if s.measurement.doubt is None), key=lambda s: s.seconds)
    if not ordered:
        return IN_DOUBT
    first = ordered[0]
    if len(ordered) == 1:
        return f"{first.name} takes {units.time(first.seconds)}"
    second = ordered[1]
    if uncertain(first.measurement, second.measurement):
        return f"neither {first.name} nor {second.name} is faster for certain"
    return f"{first.name} is {times(second.seconds / first.seconds)} as fast as {second.name}"


def _chain_bar(standing: Standing, unit: Unit) -> Bar:
    time = standing.measurement.time_s
    ends = (time.ci95_low, time.ci95_high) if time else (None, None)
    low, high = (None if end is None else unit.scale(end) for end in ends)
    expected = standing.predicted_s
    value = unit.scale(standing.seconds)
    predicted = f"predicted {units.digits(unit.scale(expected))}" if expected else ""
    return Bar(
        doubts.marked(standing.name, standing.measurement.doubt),
        value,
        low,
        high,
        joined(f"{units.digits(value)} {unit.name}", predicted),
        standing.name if standing.library else "",
        int(standing.library),
        unit.scale(expected) if expected else None,
    )


def _planned_bar(layer: Planned, total: float, unit: Unit) -> Bar:
    how = " ".join(part for part in (layer.strategy, layer.layout) if part)
    note = joined(f"{percent(layer.seconds / total)} %", how)
    name = describe.short_name(layer.step.name)
    return Bar(name, unit.scale(layer.seconds), note=note, subject=layer.strategy)
