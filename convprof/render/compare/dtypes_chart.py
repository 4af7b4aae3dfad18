"""``compare dtypes`` as a chart: the time of each type over the time of f32, around 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe, doubts
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.findings import IN_DOUBT, joined, threads_words, times
from convprof.render.rate_bars import MOST_BARS
from convprof.render.tables import ratio_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.dtypes import TypeComparison

EQUAL = Reference("f32", 1.0)


def dtypes_chart(comparisons: Sequence[TypeComparison], *, dated: str) -> Bars | None:
    """Return a marker per type, and per problem of several problems, for each number of threads.

    None if nothing was compared. ``dated``: machine and date.
    """
    if not comparisons:
        return None
    problems = dict.fromkeys(c.b.problem_key for c in comparisons)
    several = len(problems) > 1
    counts = sorted({c.threads for c in comparisons})
    return Bars(
        title=_title(comparisons),
        panels=tuple(
            Panel(
                "time / time in f32",
                tuple(_bar(c, named=several) for c in comparisons if c.threads == count)[
                    :MOST_BARS
                ],
                threads_words(count) if len(counts) > 1 else "",
                (EQUAL,),
                ratios=True,
            )
            for count in counts
        ),
        subtitle=joined(
            f"{len(problems)} problems"
            if several
            else describe.problem_line(comparisons[0].a.problem, ""),
            threads_words(counts[0]) if len(counts) == 1 else "",
            dated,
        ),
        caption=joined(
            "left of 1: faster than f32",
            "the best strategy of each type",
            "ratio and 95 % interval",
            f"{doubts.MARK} in doubt" if any(c.doubt for c in comparisons) else "",
        ),
    )


def _title(comparisons: Sequence[TypeComparison]) -> str:
    """Return the fastest of the comparisons that are not in doubt."""
    clear = [each for each in comparisons if each.doubt is None]
    if not clear:
        return IN_DOUBT
    best = min(clear, key=lambda each: each.ratio.value)
    if best.verdict != "faster":
        return "no type is faster than f32 for certain"
    up_to = "up to " if len(clear) > 1 else ""
    return f"{best.name} is {up_to}{times(1 / best.ratio.value)} as fast as f32"


def _bar(comparison: TypeComparison, *, named: bool) -> Bar:
    ratio, problem = comparison.ratio, comparison.a.problem
    name, dtype = problem["name"] or problem["descriptor"], comparison.name
    label = f"{describe.short_name(name)} {dtype}" if named else dtype
    strategy = comparison.a.strategy
    return Bar(
        doubts.marked(label, comparison.doubt),
        ratio.value,
        ratio.low,
        ratio.high,
        joined(strategy, ratio_text(ratio), f"rounding {comparison.rounding_error:.0e}"),
        strategy,
    )
