"""The output and the files of `sweep`: table, exclusions with reasons, and chart."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import doubts
from convprof.render.charts.terminal import chart_lines
from convprof.render.columns import BEST, Column, fit, print_table
from convprof.render.console import draw, say
from convprof.render.findings import GIGA
from convprof.render.sweep_chart import machine_words, short_names, sweep_chart, title
from convprof.render.tables import NOTHING
from convprof.render.text_tables import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.studies.sweep.points import Capacity, Cell, Row

    Header = dict[str, Any]


RATES = "GFLOP/s, ± half the 95 % interval of the median"
ANY_WIDTH = 1_000_000
CELL_FIELDS = {
    "status": "status",
    "reason": "reason",
    "doubt": "doubt",
    "flop_per_s": "rate",
    "flop_per_s.ci95_low": "low",
    "flop_per_s.ci95_high": "high",
    "peak_fraction": "peak_fraction",
    "executed_share": "executed",
}
"""Columns of the CSV and fields of a cell."""
CHART_WIDTH, CHART_HEIGHT = 100, 20
MOST_LISTED = 8
"""The most points that an exclusion names."""
MARKS = {
    "*": "an effective rate: it executes fewer FLOPs than are counted",
    "!": "over the peak: the peak was disturbed, the clock rose since, or a bug",
}


def sweep_report(
    console: Console, header: Header, rows: Sequence[Row], capacities: Sequence[Capacity]
) -> None:
    """Print the table, the exclusions with reasons, and the chart."""
    timed = [row for row in rows if any(cell.rate for cell in row.cells.values())]
    for number, columns in enumerate(_blocks(console.width, header, timed)):
        if number:
            console.print()
        heading = title(header) if not number else "further strategies"
        print_table(console, heading, columns, timed, _best_style(timed))
    if timed:
        say(console, RATES, style="dim")
        for line in _legend(timed):
            say(console, line)
    for line, bad in exclusions(header, rows):
        say(console, line, style="bold red" if bad else "dim")
    if timed:
        chart = replace(
            sweep_chart(header, rows, capacities), title="", subtitle=machine_words(header)
        )  # the table's title is above
        console.print()
        width = min(console.width, CHART_WIDTH)
        draw(console, chart_lines(chart, width, CHART_HEIGHT))


def _best_style(rows: Sequence[Row]) -> Callable[[Row], str]:
    """Return the style of a row: the point with the highest rate is bold."""
    best = max(rows, key=_highest, default=None)
    return lambda row: BEST if row is best and _highest(row) else ""


def _highest(row: Row) -> float:
    """Return the highest rate at a point; 0 if all are in doubt."""
    return max((cell.rate or 0.0 for cell in row.cells.values() if not cell.doubt), default=0.0)


def to_csv(header: Header, rows: Sequence[Row]) -> str:
    """Return a row per point and contestant, in SI units."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    hosts = any(row.host for row in rows)
    own = ["host"] if hosts else []
    writer.writerow([header["sweep"]["over"], "bytes_min", "contestant", *CELL_FIELDS, *own])
    for row in rows:
        for label, cell in row.cells.items():
            fields = [getattr(cell, attribute) for attribute in CELL_FIELDS.values()]
            host = [row.host] if hosts else []
            writer.writerow([row.x, row.bytes_min, label, *fields, *host])
    return text.getvalue()


def to_markdown(header: Header, rows: Sequence[Row]) -> str:
    """Return one table with every contestant, and below it the exclusions with reasons."""
    timed = [row for row in rows if any(cell.rate for cell in row.cells.values())]
    parts = [f"### {title(header)}\n"]
    parts += [markdown_table(columns, timed) for columns in _blocks(ANY_WIDTH, header, timed)]
    if timed:
        parts.append(f"- {RATES}\n")
    parts += [f"- {line}\n" for line in _legend(timed)]
    parts += [f"- {line}\n" for line, _ in exclusions(header, rows)]
    return "\n".join([*parts, f"{machine_words(header)}\n"])


def _legend(rows: Sequence[Row]) -> list[str]:
    """Return a line for each mark in the table."""
    cells = [cell for row in rows for cell in row.cells.values()]
    marks = {_mark(cell) for cell in cells}
    reasons = {cell.doubt for cell in cells if cell.doubt and cell.rate}
    lines = [f"{mark} {text}" for mark, text in MARKS.items() if mark in marks]
    if reasons:
        first, more = min(reasons), len(reasons) - 1
        rest = f"; {more} more reason{'s' if more > 1 else ''}" if more else ""
        lines.append(f"{doubts.MARK} in doubt, left out of the best: {first}{rest}")
    return lines


def exclusions(header: Header, rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """Return a line for each contestant and status except ok, and whether it is our error."""
    excluded: dict[tuple[str, str], list[tuple[int, str | None]]] = {}
    for row in rows:
        for label, cell in row.cells.items():
            if cell.status != "ok":
                excluded.setdefault((cell.status, label), []).append((row.x, cell.reason))
    over, lines = header["sweep"]["over"], []
    for (status, label), where in excluded.items():
        points = ", ".join(str(x) for x, _ in where[:MOST_LISTED])
        more = f" and {len(where) - MOST_LISTED} more" if len(where) > MOST_LISTED else ""
        line = f"{status}: {label} at {over} {points}{more}: {where[0][1]}"
        lines.append((line, status != "refused"))
    return lines


def _blocks(width: int, header: Header, rows: Sequence[Row]) -> list[list[Column[Row]]]:
    """Return the columns of each table; several tables show every contestant."""
    first: list[Column[Row]] = [Column(header["sweep"]["over"], lambda row: f"{row.x:,}", 1)]
    if len({row.bytes_min for row in rows}) > 1:
        first.append(Column("data", _data_cell, 1))
    last: Column[Row] = Column("best % peak", _share_cell, 1)
    host: Column[Row] = Column("host", lambda row: row.host or NOTHING, 1, "left")
    blocks = [list(first)]
    for label, name in short_names(rows).items():
        column: Column[Row] = Column(name, _rate_cell(label), 1)
        if len(blocks[-1]) > len(first) and not _fits([*blocks[-1], column], rows, width):
            blocks.append(list(first[:1]))
        blocks[-1].append(column)
    if _fits([*blocks[-1], last], rows, width):
        blocks[-1].append(last)
    if any(row.host for row in rows) and _fits([*blocks[-1], host], rows, width):
        blocks[-1].append(host)
    return blocks if rows else []


def _fits(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> bool:
    return len(fit(columns, rows, width)) == len(columns)


def _rate_cell(label: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        measured = row.cells.get(label)
        return NOTHING if measured is None or measured.rate is None else _rate(measured)

    return cell


def _rate(cell: Cell) -> str:
    rate = (cell.rate or 0) / GIGA
    text = units.digits(rate)
    return doubts.marked(_with_interval(cell, text), cell.doubt)


def _with_interval(cell: Cell, text: str) -> str:
    if cell.low is None or cell.high is None:
        return f"{text} ±?"
    decimals = len(text.partition(".")[2])
    return f"{text} ±{(cell.high - cell.low) / 2 / GIGA:.{decimals}f}"


def _data_cell(row: Row) -> str:
    return NOTHING if row.bytes_min is None else units.size(row.bytes_min)


def _share_cell(row: Row) -> str:
    timed = [cell for cell in row.cells.values() if cell.peak_fraction and not cell.doubt]
    if not timed:
        return NOTHING
    best = max(timed, key=lambda cell: cell.peak_fraction or 0)
    return f"{100 * (best.peak_fraction or 0):.1f}{_mark(best)}"


def _mark(cell: Cell) -> str:
    """Return `*` for an effective rate over the peak, `!` if executed FLOPs are over it."""
    share = cell.peak_fraction or 0
    if share <= 1:
        return ""
    return "!" if share * min(1.0, cell.executed or 1.0) > 1 else "*"
