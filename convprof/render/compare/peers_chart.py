"""``compare peers`` as a chart: all contestants, or the libraries' times per problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe, doubts, rate_bars, tables
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.findings import (
    IN_DOUBT,
    INTERVAL,
    fastest_line,
    joined,
    threads_words,
    times,
)
from convprof.studies.compare.peers import Standing, summaries
from convprof.studies.shortlist import best_layouts, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from convprof.results import Measurement

RATIO = "ratio and 95 % interval"
EQUAL = Reference("equally fast", 1.0)
HATCHED = "hatched: libraries"
LIMIT = rate_bars.MOST_BARS


def peers_chart(
    measurements: Sequence[Measurement],
    standings: Sequence[Standing],
    libraries: AbstractSet[str],
    *,
    dated: str,
) -> Bars | None:
    """Return the contestants of one problem, fastest first; None if nothing was timed."""
    rows = best_layouts(measurements)
    if not rows:
        return None
    timed = sum(m.time_s is not None for m in measurements)
    return Bars(
        title=_against(standings) if standings else fastest_line(rows),
        panels=rate_bars.panels(rows, lambda m: m.way, hatched=libraries),
        subtitle=joined(
            describe.problem_line(rows[0].problem, rows[0].dtype),
            threads_words(rows[0].threads) if len({m.threads for m in rows}) == 1 else "",
            "the best layout of each" if len(rows) < timed else "",
            dated,
        ),
        caption=joined(HATCHED, rate_bars.caption(rows), INTERVAL),
    )


def _against(standings: Sequence[Standing]) -> str:
    """Return the comparison of convprof's best strategy with the fastest library, in paired rounds.

    Of several numbers of threads, the one with the fastest strategy is used.
    """
    clear = [standing for standing in standings if standing.doubt is None]
    if not clear:
        return IN_DOUBT
    best = min(clear, key=lambda standing: seconds(standing.ours))
    ours, library, ratio = best.ours.way, best.peer.way, best.ratio.inverse.value
    on = f" on {threads_words(best.threads)}" if len(standings) > 1 else ""
    if best.verdict in ("same", "undecided"):
        return f"neither {ours} nor {library} is faster for certain{on}"
    if ratio >= 1:
        return f"{ours} is {times(ratio)} as fast as {library}{on}"
    return f"{library} is {times(1 / ratio)} as fast as {ours}{on}"


def standings_chart(standings: Sequence[Standing], *, dated: str) -> Bars | None:
    """Return the ratios library / convprof of several problems; None without comparisons."""
    if not standings:
        return None
    counts = sorted({s.threads for s in standings})
    most = max(sum(s.threads == count for s in standings) for count in counts)
    return Bars(
        title=_mean(standings),
        panels=tuple(_panel(standings, count, several=len(counts) > 1) for count in counts),
        subtitle=joined(
            f"{most} problems · {tables.types_words(each.ours for each in standings)}",
            threads_words(counts[0]) if len(counts) == 1 else "",
            f"the {LIMIT} where convprof is slowest" if most > LIMIT else "",
            dated,
        ),
        caption=joined("right of 1: convprof is faster", RATIO, _mark(standings)),
    )


def _mark(standings: Sequence[Standing]) -> str:
    return f"{doubts.MARK} in doubt" if any(s.doubt for s in standings) else ""


def _mean(standings: Sequence[Standing]) -> str:
    parts: list[str] = []
    for summary in summaries(standings):
        ratio = summary.mean
        faster, slower = ("convprof", "the fastest library")[:: 1 if ratio >= 1 else -1]
        times_text = times(ratio if ratio >= 1 else 1 / ratio)
        on = f" on {threads_words(summary.threads)}" if summary.threads > 1 or parts else ""
        parts.append(f"{faster} is {times_text} as fast as {slower}{on}")
    return f"{'; '.join(parts)} (geometric mean)" if parts else IN_DOUBT


def _panel(standings: Sequence[Standing], count: int, *, several: bool) -> Panel:
    of_count = [s for s in standings if s.threads == count]
    if len(of_count) > LIMIT:
        of_count = sorted(of_count, key=lambda s: -s.ratio.value)[:LIMIT]
    title = threads_words(count) if several else ""
    name = tables.problem_names(s.ours for s in standings)
    bars = tuple(_bar(s, name(s.ours)) for s in of_count)
    return Panel("time of the library / time of convprof", bars, title, (EQUAL,), ratios=True)


def _bar(standing: Standing, name: str) -> Bar:
    ratio = standing.ratio.inverse
    note = joined(tables.ratio_text(ratio), f"{standing.peer.way} against {standing.ours.way}")
    label = doubts.marked(name, standing.doubt)
    return Bar(label, ratio.value, ratio.low, ratio.high, note, standing.peer.strategy)
