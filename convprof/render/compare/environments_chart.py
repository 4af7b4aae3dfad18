"""``compare commands --python`` as a chart: the ratio of each contestant in two environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe, doubts, tables
from convprof.render.charts.chart import Bar, Bars, Panel, Reference
from convprof.render.findings import IN_DOUBT, joined, threads_words
from convprof.render.rate_bars import MOST_BARS
from convprof.studies.compare.changes import counted, ordered
from convprof.studies.compare.environments import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.environments import EnvironmentComparison

EQUAL = Reference("equally fast", 1.0)


def environments_chart(comparisons: Sequence[EnvironmentComparison], *, dated: str) -> Bars | None:
    """Return the ratios, a panel per number of threads; None without comparisons."""
    if not comparisons:
        return None
    counts = sorted({each.b.threads for each in comparisons})
    problems = {each.b.problem_key for each in comparisons}
    first = comparisons[0].b
    what = f"{len(problems)} problems · {tables.types_words(each.b for each in comparisons)}"
    if len(problems) == 1:
        what = describe.problem_line(first.problem, first.dtype)
    most = max(sum(each.b.threads == count for each in comparisons) for count in counts)
    return Bars(
        title=_title(comparisons),
        panels=tuple(
            _panel(comparisons, count, named=len(problems) > 1, titled=len(counts) > 1)
            for count in counts
        ),
        subtitle=joined(
            what,
            threads_words(counts[0]) if len(counts) == 1 else "",
            f"the {MOST_BARS} largest changes" if most > MOST_BARS else "",
            dated,
        ),
        caption=joined("right of 1: slower", "ratio and 95 % interval", _mark(comparisons)),
    )


def _title(comparisons: Sequence[EnvironmentComparison]) -> str:
    verdicts = [each.verdict for each in comparisons if each.doubt is None]
    return counted(verdicts) if verdicts else IN_DOUBT


def _panel(
    comparisons: Sequence[EnvironmentComparison], count: int, *, named: bool, titled: bool
) -> Panel:
    rows = [each for each in ordered(comparisons) if each.b.threads == count][:MOST_BARS]
    problem = tables.problem_names(each.b for each in comparisons)
    names = [f"{problem(each.b)} {each.a.way}" if named else each.a.way for each in rows]
    bars = tuple(map(_bar, rows, names))
    title = threads_words(count) if titled else ""
    return Panel(f"time / time in {BASE}", bars, title, (EQUAL,), ratios=True)


def _bar(each: EnvironmentComparison, name: str) -> Bar:
    ratio, note = each.ratio, joined(tables.ratio_text(each.ratio), each.verdict)
    text = doubts.marked(name, each.doubt)
    return Bar(text, ratio.value, ratio.low, ratio.high, note, each.b.strategy)


def _mark(comparisons: Sequence[EnvironmentComparison]) -> str:
    return f"{doubts.MARK} in doubt" if any(each.doubt for each in comparisons) else ""
