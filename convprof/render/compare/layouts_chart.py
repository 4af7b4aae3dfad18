"""``compare layouts`` as a chart: the time in NHWC over the time in NCHW, around 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe, doubts, tables
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.findings import IN_DOUBT, joined, threads_words, times
from convprof.render.rate_bars import MOST_BARS
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.layouts import LayoutComparison

EQUAL = Reference("equally fast", 1.0)


def layouts_chart(comparisons: Sequence[LayoutComparison], *, dated: str) -> Bars | None:
    """Return a marker per strategy, or per problem for the fastest strategy of several problems.

    None if nothing was compared. ``dated``: machine and date.
    """
    if not comparisons:
        return None
    problems = list(dict.fromkeys(each.nchw.problem_key for each in comparisons))
    several = len(problems) > 1
    rows = _fastest(comparisons, problems) if several else list(comparisons)
    counts = sorted({c.threads for c in rows})
    first, dtype = rows[0].nchw, tables.types_words(c.a for c in comparisons)
    name = tables.problem_names(c.nchw for c in comparisons)
    bars = {
        count: [_bar(c, name(c.nchw) if several else None) for c in rows if c.threads == count]
        for count in counts
    }
    return Bars(
        title=_title(rows, several=several, threads=len(counts) > 1),
        panels=tuple(
            _panel(bars[count], threads_words(count) if len(counts) > 1 else "") for count in counts
        ),
        subtitle=joined(
            f"{len(problems)} problems · {dtype} · the fastest strategy of each"
            if several
            else describe.problem_line(first.problem, first.dtype),
            f"the first {MOST_BARS}" if len(problems) > MOST_BARS else "",
            threads_words(counts[0]) if len(counts) == 1 else "",
            dated,
        ),
        caption=joined(
            "left of 1: NHWC is faster",
            "ratio and 95 % interval",
            f"{doubts.MARK} in doubt" if any(c.doubt for c in rows) else "",
        ),
    )


def _panel(bars: Sequence[Bar], title: str) -> Panel:
    heading = "time in NHWC / time in NCHW"
    return Panel(heading, tuple(bars[:MOST_BARS]), title, (EQUAL,), ratios=True)


def _title(rows: Sequence[LayoutComparison], *, several: bool, threads: bool) -> str:
    """Return the conclusion from the comparisons that are not in doubt."""
    clear = [comparison for comparison in rows if comparison.doubt is None]
    if not clear:
        return IN_DOUBT
    return _verdicts(clear) if several else _verdict(min(clear, key=_seconds), threads=threads)


def _seconds(comparison: LayoutComparison) -> float:
    return min(seconds(comparison.nchw), seconds(comparison.nhwc))


def _fastest(
    comparisons: Sequence[LayoutComparison], problems: Sequence[tuple[str, ...]]
) -> list[LayoutComparison]:
    """Return the fastest strategy's comparison of each problem and number of threads."""
    best: dict[tuple[tuple[str, ...], int], LayoutComparison] = {}
    for comparison in sorted(comparisons, key=lambda c: (c.doubt is not None, _seconds(c))):
        best.setdefault((comparison.nchw.problem_key, comparison.threads), comparison)
    return sorted(best.values(), key=lambda c: problems.index(c.nchw.problem_key))


def _verdict(comparison: LayoutComparison, *, threads: bool) -> str:
    """Return the faster layout of the fastest strategy, and its gain."""
    strategy, value = comparison.strategy, comparison.ratio.value
    on = f" on {threads_words(comparison.threads)}" if threads else ""
    if comparison.better is None:
        return f"{strategy}{on}: neither layout is faster for certain"
    fast, slow = ("NHWC", "NCHW") if comparison.better == "nhwc" else ("NCHW", "NHWC")
    return f"{strategy} is {times(max(value, 1 / value))} as fast in {fast} as in {slow}{on}"


def _verdicts(rows: Sequence[LayoutComparison]) -> str:
    counts = {layout: sum(c.better == layout for c in rows) for layout in ("nhwc", "nchw")}
    return (
        f"NHWC is faster in {counts['nhwc']} of {len(rows)} cases, NCHW in {counts['nchw']}, "
        "the others are undecided"
    )


def _bar(comparison: LayoutComparison, problem: str | None) -> Bar:
    """Return a bar named after the problem; after the strategy where there is one problem."""
    ratio, strategy = comparison.ratio, comparison.strategy
    words = tables.ratio_text(ratio)
    after = comparison.break_even
    pays = f"converting pays after {after:,}" if after is not None else ""
    return Bar(
        doubts.marked(problem or strategy, comparison.doubt),
        ratio.value,
        ratio.low,
        ratio.high,
        joined(strategy if problem else "", words, pays),
        strategy,
    )
