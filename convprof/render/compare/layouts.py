"""The output of `compare layouts`: both layouts side by side, and the cost of conversions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.render import describe, doubts, tables
from convprof.render.columns import Column, print_table, shortened
from convprof.render.console import say
from convprof.render.run import exclusions_report
from convprof.studies.compare import layouts_answer
from convprof.studies.run_answer import label, threads
from convprof.studies.shortlist import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.compare.layouts import LayoutComparison

_LONGEST_NAME = 40


def layouts_report(
    console: Console,
    measurements: Sequence[Measurement],
    comparisons: Sequence[LayoutComparison],
    *,
    every: bool = False,
) -> None:
    """Print both layouts of one problem side by side, and the cost of conversions.

    ``every``: all strategies, and each conversion in a row.
    """
    if comparisons:
        first = comparisons[0].nchw
        title = describe.problem_line(first.problem, first.dtype)
        rows = comparisons if every else comparisons[:MOST_ROWS]
        print_table(console, title, _layout_columns(rows), rows)
        doubt = doubts.line_of_comparisons(rows)
        if doubt is not None:
            say(console, doubt)
        if len(rows) < len(comparisons):
            say(console, f"{len(comparisons) - len(rows)} more: slower (--all)", style="dim")
        if every:
            _conversions(console, measurements)
        else:
            say(console, *_conversion_lines(comparisons))
    exclusions_report(console, tables.excluded(measurements), every=every)


def summary_report(
    console: Console,
    problems: Sequence[Sequence[LayoutComparison]],
    failures: Sequence[Measurement],
) -> None:
    """Print a row per problem, its fastest strategy in both layouts, and the total."""
    best = layouts_answer.fastest(problems)
    if best:
        lines = [_Line(label(c.a), c) for c in best]
        total = _Line(f"total of {len(best)}", None, layouts_answer.total_s(best))
        names = {c.strategy for c in best}
        what = names.pop() if len(names) == 1 else "the fastest strategy of each problem"
        title = f"NHWC against NCHW · {what} · {tables.types_words(each.a for each in best)}"
        print_table(console, title, _summary_columns(lines, total), [*lines, total], _style)
    for measurement in failures:
        say(console, describe.exclusion_line(measurement), style="bold red")


@dataclass(frozen=True)
class _Line:
    """A problem, or the total of all."""

    label: str
    row: LayoutComparison | None
    total_s: tuple[float, float] = (0.0, 0.0)
    """In NCHW and in NHWC."""


def _summary_columns(lines: Sequence[_Line], total: _Line) -> list[Column[_Line]]:
    unit = units.table_unit(total.total_s)
    strategies = {line.row.strategy for line in lines if line.row}
    dtype: list[Column[_Line]] = [Column("type", _of(lambda c: tables.type_name(c.a)), 1, "left")]
    strategy: list[Column[_Line]] = [Column("strategy", _of(lambda c: c.strategy), 3, "left")]
    return [
        Column(
            "problem",
            lambda line: shortened(line.label, _LONGEST_NAME),
            1,
            "left",
            key=True,
            whole=lambda line: line.label,
        ),
        *(dtype if tables.several_dtypes(line.row.a for line in lines if line.row) else []),
        *(strategy if len(strategies) > 1 else []),
        Column("threads", _of(lambda c: str(c.threads)), 7),
        Column(f"NCHW [{unit.name}]", _time(0, unit), 5, style=_faster("nchw")),
        Column(f"NHWC [{unit.name}]", _time(1, unit), 4, style=_faster("nhwc")),
        Column("NHWC/NCHW", _ratio, 2),
        Column("NHWC is", _of(lambda c: c.verdict), 6, "left"),
        Column("pays after", _of(_break_even_cell), 8),
    ]


def _of(cell: Callable[[LayoutComparison], str]) -> Callable[[_Line], str]:
    return lambda line: "" if line.row is None else cell(line.row)


def _time(side: int, unit: units.Unit) -> Callable[[_Line], str]:
    def cell(line: _Line) -> str:
        if line.row is None:
            return units.digits(unit.scale(line.total_s[side]))
        return tables.time_cell((line.row.nchw, line.row.nhwc)[side], unit)

    return cell


def _ratio(line: _Line) -> str:
    if line.row is None:
        nchw, nhwc = line.total_s
        return f"{nhwc / nchw:.2f}"
    return tables.ratio_text(line.row.ratio)


def _faster(layout: str) -> Callable[[_Line], str]:
    return lambda line: "" if line.row is None else _green(layout)(line.row)


def _style(line: _Line) -> str:
    return "bold" if line.row is None else ""


def _layout_columns(comparisons: Sequence[LayoutComparison]) -> list[Column[LayoutComparison]]:
    sides = [side for c in comparisons for side in (c.nchw, c.nhwc)]
    unit = units.time_unit([side.time_s.median for side in sides if side.time_s])
    isa: list[Column[LayoutComparison]] = [
        Column("ISA", lambda c: c.a.isa or tables.NOTHING, 5, "left", key=True),
    ]
    return [
        Column("strategy", lambda c: doubts.marked(c.strategy, c.doubt), 1, "left", key=True),
        *(isa if tables.several_isas(sides) else []),
        Column("threads", lambda c: str(c.threads), 6, key=True),
        Column(
            f"NCHW [{unit.name}]", lambda c: tables.time_cell(c.nchw, unit), 3, style=_green("nchw")
        ),
        Column(
            f"NHWC [{unit.name}]", lambda c: tables.time_cell(c.nhwc, unit), 3, style=_green("nhwc")
        ),
        Column("NHWC/NCHW", lambda c: tables.ratio_text(c.ratio), 2),
        Column("NHWC is", lambda c: c.verdict, 4, "left"),
        Column("pays after", _break_even_cell, 5),
    ]


def _green(layout: str) -> Callable[[LayoutComparison], str]:
    return lambda comparison: "green" if comparison.better == layout else ""


def _break_even_cell(comparison: LayoutComparison) -> str:
    count = comparison.break_even
    return tables.NOTHING if count is None else f"{count:,}"


def _conversion_lines(comparisons: Sequence[LayoutComparison]) -> list[str]:
    """Return the cost of both conversions on each number of threads, in one line."""
    costs = {c.threads: c.conversions for c in comparisons if c.conversions is not None}
    parts = [
        f"from NCHW {units.time(cost.round_trip_s('nchw'))}, from NHWC "
        f"{units.time(cost.round_trip_s('nhwc'))} on {threads(count)}"
        for count, cost in costs.items()
    ]
    return [f"converting between the layouts, there and back: {'; '.join(parts)}"] if parts else []


def _conversions(console: Console, measurements: Sequence[Measurement]) -> None:
    rows = [m for m in measurements if m.problem["kind"] == "reorder" and m.time_s]
    if not rows:
        return
    unit = units.time_unit([m.time_s.median for m in rows if m.time_s])
    columns: list[Column[Measurement]] = [
        Column("conversion", lambda m: str(m.problem["descriptor"]), 1, "left"),
        Column("from", lambda m: m.layout or tables.NOTHING, 2, "left"),
        Column("threads", lambda m: str(m.threads), 4, key=True),
        Column(f"time [{unit.name}]", lambda m: tables.time_cell(m, unit), 3),
        Column("GB/s", _rate_cell, 5),
    ]
    console.print()
    print_table(console, "converting between the layouts", columns, rows)


def _rate_cell(measurement: Measurement) -> str:
    if measurement.time_s is None or measurement.bytes_min is None:
        return tables.NOTHING
    return units.digits(measurement.bytes_min / measurement.time_s.median / 1e9)
