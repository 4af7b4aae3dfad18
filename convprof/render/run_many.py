"""The output of ``run`` for several problems: the fastest strategy of each, and the total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.render import tables
from convprof.render.columns import Column, print_table, shortened
from convprof.render.run import exclusions_report, legend_report
from convprof.studies.run_answer import label
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.results import Measurement

_LONGEST_NAME = 40


@dataclass(frozen=True)
class _Line:
    """A problem, or the total of all."""

    label: str
    seconds: float
    flop_per_s: float | None
    row: Measurement | None = None


def problems_report(
    console: Console, rows: Sequence[Measurement], excluded: Sequence[Measurement], problems: int
) -> None:
    """Print the fastest measurement of each problem and their total.

    ``excluded`` has the failures to print, ``problems`` is the number of all problems.
    """
    if rows:
        lines = [_Line(label(m), seconds(m), m.flop_per_s, m) for m in rows]
        lines.append(_total(rows, problems))
        names = dict.fromkeys(m.strategy for m in rows)
        what = next(iter(names)) if len(names) == 1 else "the fastest strategy of each problem"
        cold = " · cold caches" if rows[0].cache == "cold" else ""
        title = f"{what} · {tables.types_words(rows)}{cold}"
        print_table(console, title, _columns(lines), lines, _style)
        legend_report(console, rows)
    exclusions_report(console, excluded)


def _total(rows: Sequence[Measurement], problems: int) -> _Line:
    total = sum(map(seconds, rows))
    flops = sum(m.flops.direct for m in rows if m.flops)
    of = "" if len(rows) == problems else f" of {problems}"
    return _Line(f"total of {len(rows)}{of}", total, flops / total)


def _columns(lines: Sequence[_Line]) -> list[Column[_Line]]:
    rows = [line.row for line in lines if line.row is not None]
    unit = units.table_unit([line.seconds for line in lines])
    dtype: list[Column[_Line]] = [Column("type", _of(tables.type_name), 1, "left")]
    strategy: list[Column[_Line]] = [
        Column("fastest", _of(lambda m: m.strategy), 2, "left"),
    ]
    layout: list[Column[_Line]] = [
        Column("layout", _of(lambda m: m.layout or tables.NOTHING), 6, "left"),
    ]
    isa: list[Column[_Line]] = [
        Column("ISA", _of(lambda m: m.isa or tables.NOTHING), 6, "left"),
    ]
    bound: list[Column[_Line]] = [
        Column("bound", _of(tables.bound_cell), 7, "left"),
    ]
    return [
        Column(
            "problem",
            lambda line: shortened(line.label, _LONGEST_NAME),
            1,
            "left",
            key=True,
            whole=lambda line: line.label,
        ),
        *(dtype if tables.several_dtypes(rows) else []),
        *(strategy if len({m.strategy for m in rows}) > 1 else []),
        *(layout if any(m.layout for m in rows) else []),
        *(isa if tables.several_isas(rows) else []),
        Column("threads", _of(lambda m: str(m.threads)), 5),
        Column(f"time [{unit.name}]", lambda line: _time(line, unit), 1),
        Column("GFLOP/s", _rate, 4),
        Column("% peak", _of(tables.peak_cell), 3),
        *(bound if any(m.bound for m in rows) else []),
        Column("error", _of(tables.error_cell), 8),
    ]


def _of(cell: Callable[[Measurement], str]) -> Callable[[_Line], str]:
    return lambda line: "" if line.row is None else cell(line.row)


def _time(line: _Line, unit: units.Unit) -> str:
    if line.row is None:
        return units.digits(unit.scale(line.seconds))
    return tables.time_cell(line.row, unit)


def _rate(line: _Line) -> str:
    return tables.NOTHING if line.flop_per_s is None else units.digits(line.flop_per_s / 1e9)


def _style(line: _Line) -> str:
    return "bold" if line.row is None else ""
