"""Mixers of one image as a chart: each block, and the parts that its time is spent in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts
from convprof.render.charts.chart import Bar, Bars, Panel
from convprof.render.compare.mixers import grid_line
from convprof.render.findings import IN_DOUBT, INTERVAL, joined, threads_words, times
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.mixers import Grid
    from convprof.studies.compare.mixers.costs import Cost, Total
    from convprof.studies.compare.mixers.study import MixerComparison
    from convprof.units import Unit


def block_chart(
    grid: Grid, totals: Sequence[Total], comparisons: Sequence[MixerComparison], *, dated: str
) -> Bars | None:
    """Return a panel of blocks and one of their parts, for each run; None without a time."""
    if not totals:
        return None
    unit = units.table_unit([total.cost.seconds for total in totals])
    runs: dict[str, list[Total]] = {}
    for total in totals:
        runs.setdefault(f"{threads_words(total.threads)}, {total.strategy}", []).append(total)
    panels = []
    for name, members in runs.items():
        bars = tuple(_block(total, unit) for total in members)
        parts = tuple(
            _part(part, total, unit)
            for total in members
            if len(total.mixer.parts) > 1
            for part in total.parts
        )
        panels.append(Panel(f"time [{unit.name}]", bars, f"blocks on {name}"))
        if parts:
            panels.append(Panel(f"time [{unit.name}]", parts, f"their parts on {name}"))
    return Bars(
        title=_finding(comparisons),
        panels=tuple(panels),
        subtitle=joined(grid_line(grid), totals[0].measurements[0].dtype, dated),
        caption=joined("right: time, share of the peak by executed FLOPs", INTERVAL),
    )


def _finding(comparisons: Sequence[MixerComparison]) -> str:
    """Return how long attention takes by the first of the other mixers."""
    clear = [comparison for comparison in comparisons if comparison.doubt is None]
    if not clear:
        return IN_DOUBT
    first = clear[0]
    a, b = first.block.mixer.name, first.other.mixer.name
    if first.verdict in {"same", "undecided"}:
        return f"neither {a} nor {b} is faster for certain"
    ratio = first.ratio if first.verdict == "slower" else first.ratio.inverse
    slow, fast = (a, b) if first.verdict == "slower" else (b, a)
    on = threads_words(first.block.threads)
    return f"{slow} takes {times(ratio.value)} as long as {fast} on {on}"


def _block(total: Total, unit: Unit) -> Bar:
    return _bar(doubts.marked(total.mixer.name, total.doubt), total.cost, total, unit)


def _part(part: Cost, total: Total, unit: Unit) -> Bar:
    return _bar(f"{total.mixer.name}: {part.name}", part, total, unit)


def _bar(name: str, cost: Cost, total: Total, unit: Unit) -> Bar:
    ends = (cost.ci95_low, cost.ci95_high)
    low, high = (None if end is None else unit.scale(end) for end in ends)
    value = unit.scale(cost.seconds)
    share = None if cost.peak_fraction is None else cost.peak_fraction * cost.executed / cost.flops
    peak = "" if share is None else f"{percent(share)} of the peak"
    note = joined(f"{units.digits(value)} {unit.name}", peak)
    return Bar(name, value, low, high, note, total.mixer.name)
