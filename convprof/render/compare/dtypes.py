"""The output of ``compare dtypes``: the best strategy of each type, or a row per problem."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import SHORT
from convprof.render import describe, doubts, notes, tables
from convprof.render.columns import BEST, VERDICT_STYLES, Column, fit, print_table, shortened
from convprof.render.console import say
from convprof.render.run import exclusions_report
from convprof.studies import shortlist
from convprof.studies.compare.dtypes import may_be_faster, names
from convprof.studies.compare.dtypes_totals import totals
from convprof.studies.run_answer import label, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.compare.dtypes import TypeComparison
    from convprof.studies.compare.dtypes_totals import TypeTotal
    from convprof.units import Unit

NOTHING_COMPARED = "Nothing was computed in f32 and in another type: nothing to compare."
_LONGEST_NAME = 40
_ROUNDED = "error: of the arithmetic. rounding: what rounding operands of f32 to the type adds."


@dataclass(frozen=True)
class _Row:
    """A type on some threads."""

    side: Measurement
    compared: TypeComparison | None
    """None for f32."""


def dtypes_report(
    console: Console,
    measurements: Sequence[Measurement],
    comparisons: Sequence[TypeComparison],
    *,
    every: bool = False,
) -> None:
    """Print a row per type and number of threads; with ``every``, all strategies of each type."""
    if comparisons:
        rows = _rows(comparisons, measurements if every else ())
        title = describe.problem_line(rows[0].side.problem, "")
        best = shortlist.surely_fastest([row.side for row in rows])
        columns = _columns(rows)
        print_table(console, title, columns, rows, lambda r: BEST if r.side is best else "")
        doubt = doubts.line((row.side for row in rows), _name)
        say(console, *filter(None, [doubt]), *notes.lines(row.side for row in rows), _ROUNDED)
    exclusions_report(console, tables.excluded(measurements), every=every)
    if not comparisons:
        say(console, NOTHING_COMPARED, style="bold")


def summary_report(
    console: Console,
    problems: Sequence[Sequence[TypeComparison]],
    excluded: Sequence[Measurement],
    counts: Mapping[tuple[str, ...], int] = MappingProxyType({}),
) -> None:
    """Print a row per problem and number of threads: f32's time, and each type's over it.

    ``counts``: how often a problem counts in f32, by its key, if not once.
    """
    lines = [line for each in problems for line in _lines(each)]
    if lines:
        dtypes = names(c for line in lines for c in line)
        meant = dict.fromkeys((c.name, c.a.dtype) for line in lines for c in line)
        spelled = [f"{name}: {dtype}" for name, dtype in meant if name in SHORT]
        title = " · ".join(["time of each type / time of f32", *spelled])
        columns = _summary_columns(lines, dtypes)
        whole = fit(columns, lines, console.width) == columns
        if not whole:
            columns = _summary_columns(lines, dtypes, intervals=False)
        print_table(console, title, columns, lines)
        if not whole:
            say(console, f"intervals of the ratios: not shown at {console.width} columns")
        doubt = doubts.line_of_comparisons((c for line in lines for c in line), _name)
        if doubt is not None:
            say(console, doubt)
        say(console, *map(total_line, totals(problems, counts)))
    exclusions_report(console, excluded)
    if not lines:
        say(console, NOTHING_COMPARED, style="bold")


def total_line(total: TypeTotal) -> str:
    """Return ``total of 21 problems, 54 layers, on 1 thread: f32 31 ms, bf16 16 ms, …``."""
    parts = [f"{name} {units.time(each)}" for name, each in total.by_type]
    layers = f", {total.count} layers," if total.count > total.problems else ""
    return (
        f"total of {total.problems} problems{layers} on {threads(total.threads)}: "
        f"{', '.join(parts)}; the fastest type of each {units.time(total.fastest_s)}, without "
        "conversions between types"
    )


def _name(m: Measurement) -> str:
    return f"{tables.type_name(m)} {m.label}"


def _rows(comparisons: Sequence[TypeComparison], measurements: Sequence[Measurement]) -> list[_Row]:
    """Return f32 and the other types of each number of threads, then other strategies."""
    rows: list[_Row] = []
    for count in dict.fromkeys(each.threads for each in comparisons):
        own = [each for each in comparisons if each.threads == count]
        rows += [_Row(own[0].b, None), *(_Row(each.a, each) for each in own)]
    shown = [row.side for row in rows]
    return rows + [_Row(m, None) for m in shortlist.timed(measurements) if m not in shown]


def _columns(rows: Sequence[_Row]) -> list[Column[_Row]]:
    sides = [row.side for row in rows]
    unit = units.time_unit([m.time_s.median for m in sides if m.time_s])
    layout: list[Column[_Row]] = [
        Column("layout", lambda r: r.side.layout or tables.NOTHING, 8, "left", key=True),
    ]
    bound: list[Column[_Row]] = [
        Column("bound", lambda r: tables.bound_cell(r.side), 10, "left"),
    ]
    tiles: list[Column[_Row]] = [Column("% tiles", lambda r: tables.tile_cell(r.side), 11)]
    return [
        Column("type", _type_cell, 1, "left", key=True),
        Column("strategy", lambda r: r.side.strategy, 2, "left", key=True),
        *(layout if any(m.layout for m in sides) else []),
        Column("threads", lambda r: str(r.side.threads), 9, key=True),
        Column(f"time [{unit.name}]", lambda r: tables.time_cell(r.side, unit), 3),
        Column("time / f32", _of(lambda c: tables.ratio_text(c.ratio)), 4),
        Column("is", _of(lambda c: c.verdict), 7, "left", style=_verdict_style),
        Column("bytes", lambda r: _bytes_cell(r.side), 12),
        Column("% peak", lambda r: tables.peak_cell(r.side), 11),
        *(tiles if tables.has_tiles(sides) else []),
        *(bound if any(m.bound for m in sides) else []),
        Column("error", lambda r: tables.error_cell(r.side), 6),
        Column("rounding", _of(lambda c: f"{c.rounding_error:.0e}"), 5),
    ]


def _type_cell(row: _Row) -> str:
    return doubts.marked(tables.type_name(row.side), row.side.doubt)


def _of(cell: Callable[[TypeComparison], str]) -> Callable[[_Row], str]:
    return lambda row: tables.NOTHING if row.compared is None else cell(row.compared)


def _verdict_style(row: _Row) -> str:
    return VERDICT_STYLES.get(row.compared.verdict, "") if row.compared else ""


def _bytes_cell(m: Measurement) -> str:
    return tables.NOTHING if m.bytes_min is None else units.size(m.bytes_min)


_Line = list["TypeComparison"]
"""The comparisons of one problem on one number of threads."""


def _lines(comparisons: Sequence[TypeComparison]) -> list[_Line]:
    counts = dict.fromkeys(each.threads for each in comparisons)
    return [[c for c in comparisons if c.threads == count] for count in counts]


def _summary_columns(
    lines: Sequence[_Line], dtypes: Sequence[str], *, intervals: bool = True
) -> list[Column[_Line]]:
    """Return a column per type; ``dtypes``: the most useful types first."""
    unit = units.time_unit([m.time_s.median for line in lines if (m := line[0].b).time_s])
    of_types: list[Column[_Line]] = [
        Column(name, _ratio_of(name, intervals=intervals), 4 + number)
        for number, name in enumerate(dtypes)
    ]
    return [
        Column("problem", _problem, 1, "left", key=True, whole=lambda line: label(line[0].a)),
        Column("threads", lambda line: str(line[0].threads), 4 + len(dtypes), key=True),
        Column("fastest", _fastest, 2, "left"),
        Column(f"f32 [{unit.name}]", _f32_cell(unit, intervals=intervals), 3),
        *of_types,
    ]


def _problem(line: _Line) -> str:
    return shortened(label(line[0].a), _LONGEST_NAME)


def _f32_cell(unit: Unit, *, intervals: bool) -> Callable[[_Line], str]:
    def cell(line: _Line) -> str:
        time = line[0].b.time_s
        if intervals or time is None:
            return tables.time_cell(line[0].b, unit)
        return units.digits(unit.scale(time.median))

    return cell


def _ratio_of(name: str, *, intervals: bool) -> Callable[[_Line], str]:
    def cell(line: _Line) -> str:
        each = next((c for c in line if c.name == name), None)
        if each is None:
            return tables.NOTHING
        ratio = tables.ratio_text(each.ratio) if intervals else f"{each.ratio.value:.2f}"
        return doubts.before(ratio, each.doubt)

    return cell


def _fastest(line: _Line) -> str:
    """Return the fastest type that is certainly faster than f32; f32 if all are not.

    Nothing where a type in doubt may be the fastest.
    """
    faster = [each for each in line if each.verdict == "faster"]
    best = min(faster, key=lambda each: each.ratio.value, default=None)
    if best is None:
        return tables.NOTHING if any(each.doubt for each in line) else "f32"
    if may_be_faster(best.a, line):
        return tables.NOTHING
    return best.name if best.name == best.a.strategy else f"{best.name} {best.a.strategy}"
