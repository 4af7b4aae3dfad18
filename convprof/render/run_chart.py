"""``run`` as a chart: every strategy of one problem, or the fastest strategy of each problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe, rate_bars, tables
from convprof.render.charts.chart import Bars
from convprof.render.findings import (
    IN_DOUBT,
    INTERVAL,
    fastest_line,
    joined,
    threads_words,
)
from convprof.studies.shortlist import best_layouts, fastest_of_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.results import Measurement

BEST_LAYOUT = "the best layout of each strategy"
BEST_STRATEGY = "the fastest strategy of each problem"


def run_chart(measurements: Sequence[Measurement], *, dated: str) -> Bars | None:
    """Return the bars; None if nothing was timed. ``dated``: machine and date."""
    timed = [m for m in measurements if m.time_s is not None]
    if not timed:
        return None
    problems = list(dict.fromkeys(m.problem_key for m in timed))
    return _strategies(timed, dated) if len(problems) == 1 else _problems(timed, problems, dated)


def _strategies(timed: Sequence[Measurement], dated: str) -> Bars:
    rows = best_layouts(timed)
    several = BEST_LAYOUT if len(rows) < len(timed) else ""
    counts = {m.threads for m in rows}
    return Bars(
        title=fastest_line(rows),
        panels=rate_bars.panels(rows, lambda m: m.way),
        subtitle=joined(
            describe.problem_line(timed[0].problem, timed[0].dtype),
            threads_words(rows[0].threads) if len(counts) == 1 else "",
            several,
            rate_bars.left_out(rows, "strategies"),
            dated,
        ),
        caption=joined(rate_bars.caption(rows), INTERVAL),
    )


def _problems(
    timed: Sequence[Measurement], problems: Sequence[tuple[str, ...]], dated: str
) -> Bars:
    groups: dict[tuple[tuple[str, ...], int], list[Measurement]] = {}
    for m in timed:
        groups.setdefault((m.problem_key, m.threads), []).append(m)
    best = map(fastest_of_problem, groups.values())
    rows = sorted(filter(None, best), key=lambda m: (problems.index(m.problem_key), m.rank))
    return Bars(
        title=_most_often(rows),
        panels=rate_bars.panels(rows, _name, detail=_detail(rows)),
        subtitle=joined(
            f"{len(problems)} problems · {tables.types_words(timed)}",
            BEST_STRATEGY,
            rate_bars.left_out(rows, "problems"),
            dated,
        ),
        caption=joined(rate_bars.caption(rows), INTERVAL),
    )


def _detail(rows: Sequence[Measurement]) -> Callable[[Measurement], str]:
    """Return the words after a problem: the strategy, and the type if there are several."""
    several = tables.several_dtypes(rows)
    return lambda m: f"{m.way} {tables.type_name(m)}" if several else m.way


def _most_often(rows: Sequence[Measurement]) -> str:
    names = [m.strategy for m in rows if m.doubt is None]
    if not names:
        return IN_DOUBT
    most = max(dict.fromkeys(names), key=names.count)
    return f"{most} is the fastest strategy in {names.count(most)} of {len(rows)} cases"


def _name(measurement: Measurement) -> str:
    problem = measurement.problem
    name = describe.short_name(problem["name"] or problem["descriptor"])
    return " ".join(part for part in (name, problem.get("pass")) if part)
