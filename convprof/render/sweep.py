"""What `sweep` prints: its table, what was not timed and why, and the chart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import describe, doubts
from convprof.render.charts.chart import Chart, Level, Mark, Point, Series
from convprof.render.charts.terminal import chart_lines
from convprof.render.columns import Column, fit, print_table
from convprof.render.console import say
from convprof.render.tables import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.studies.sweep.points import Capacity, Cell, Row

    Header = dict[str, Any]


# A sweep as a chart: the data behind its plots, whatever draws them.

GIGA = 1e9
LOG_FROM = 8
"""Largest over smallest value from which the axis is logarithmic."""
THREADS = "threads"


def title(header: Header) -> str:
    """Return `gemm over size (m = n = k) · f32`."""
    sweep, dtype = header["sweep"], header["settings"]["dtype"]
    if sweep["over"] == "size":
        return f"{sweep['problem']['kind']} over {sweep['meaning']} · {dtype}"
    return f"{describe.problem_line(sweep['problem'], dtype)} · over {sweep['meaning']}"


def sweep_chart(header: Header, rows: Sequence[Row], capacities: Sequence[Capacity]) -> Chart:
    """Return GFLOP/s over the variable, under the ceiling of each number of threads."""
    sweep = header["sweep"]
    names = short_names(rows)
    series = [Series(short, _points(rows, label)) for label, short in names.items()]
    levels, peaks = _ceilings(header)
    values = [row.x for row in rows]
    return Chart(
        title=title(header),
        x_label=sweep["meaning"],
        y_label="GFLOP/s",
        series=tuple(one for one in (*series, *peaks) if one.points),
        levels=levels,
        marks=tuple(Mark(f"{c.name} {units.size(c.size_bytes)}", c.x) for c in capacities),
        x_log=bool(values) and max(values) >= LOG_FROM * min(values),
        y_top=max([level.y for level in levels] + [p.y for s in peaks for p in s.points]),
        caption=caption(header),
    )


def caption(header: Header) -> str:
    """Return the machine, the settings and the date, in a line."""
    machine, settings = header["machine"], header["settings"]
    simd, cores = machine.get("simd") or {}, machine.get("physical_cores")
    isa = f"{simd.get('isa') or 'unknown SIMD'} {simd.get('bits') or '?'} bits"
    threads = settings["threads"]
    parts = [
        machine.get("brand") or "unknown CPU",
        isa,
        f"{cores} core{'s' if cores != 1 else ''}" if cores else "unknown cores",
        "" if len(threads) > 1 else f"{threads[0]} thread{'s' if threads[0] > 1 else ''}",
        f"{settings['cache']} caches",
        "median and 95 % interval",
        f"convprof {header['tool_version']}",
        str(header["started"])[:10],
    ]
    return " · ".join(part for part in parts if part)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Return each contestant's label and the same without the words that all of them share."""
    labels = list(dict.fromkeys(label for row in rows for label in row.cells))
    words = [label.split() for label in labels]
    common = set(words[0][1:]).intersection(*words) if words else set()
    if "thread" in common or "threads" in common:
        common |= {word for word in (words[0] if words else []) if word.isdecimal()}
    else:
        common = {word for word in common if not word.isdecimal()}
    return {
        label: " ".join(word for k, word in enumerate(each) if not k or word not in common)
        for label, each in zip(labels, words, strict=True)
    }


def _points(rows: Sequence[Row], label: str) -> tuple[Point, ...]:
    found = []
    for row in rows:
        cell = row.cells.get(label)
        if cell is not None and cell.rate is not None:
            low, high = (None if end is None else end / GIGA for end in (cell.low, cell.high))
            found.append(Point(row.x, cell.rate / GIGA, low, high))
    return tuple(found)


def _ceilings(header: Header) -> tuple[tuple[Level, ...], tuple[Series, ...]]:
    """Return the peaks as levels; as a series where the number of threads is what varies."""
    ceilings = header["ceilings"]
    kinds = [("FMA peak", ceilings["peaks"])]
    if ceilings.get("isa_peaks"):
        kinds.append((f"{header['settings']['isa']} peak", ceilings["isa_peaks"]))
    if header["sweep"]["over"] == THREADS:
        return (), tuple(
            Series(name, tuple(Point(p["threads"], p["flop_per_s"] / GIGA) for p in peaks))
            for name, peaks in kinds
        )
    return tuple(
        Level(
            f"{name}, {_threads(p['threads'])}: {units.si(p['flop_per_s'], 'FLOP/s')}",
            p["flop_per_s"] / GIGA,
        )
        for name, peaks in kinds
        for p in peaks
    ), ()


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


CHART_WIDTH, CHART_HEIGHT = 100, 20
MOST_LISTED = 8
"""Points that an exclusion names."""
MARKS = {
    "*": "an effective rate: it executes fewer FLOPs than are counted",
    "!": "over the peak: the peak was disturbed, the clock rose since, or a bug",
}


def sweep_report(
    console: Console, header: Header, rows: Sequence[Row], capacities: Sequence[Capacity]
) -> None:
    """Print the table, what was not timed and why, and the chart."""
    timed = [row for row in rows if any(cell.rate for cell in row.cells.values())]
    for number, columns in enumerate(_blocks(console.width, header, timed)):
        if number:
            console.print()
        print_table(console, title(header) if not number else "further strategies", columns, timed)
    if timed:
        say(console, "GFLOP/s, ± half the 95 % interval of the median", style="dim")
        for line in _legend(timed):
            say(console, line)
    for line, bad in exclusions(header, rows):
        say(console, line, style="bold red" if bad else "dim")
    if timed:
        chart = replace(sweep_chart(header, rows, capacities), title="")  # the table's is above
        console.print()
        width = min(console.width, CHART_WIDTH)
        console.print(chart_lines(chart, width, CHART_HEIGHT))


def _legend(rows: Sequence[Row]) -> list[str]:
    """Return a line for each mark that is in the table."""
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
    """Return a line for each contestant and status but ok, and whether it is a mistake of ours."""
    found: dict[tuple[str, str], list[tuple[int, str | None]]] = {}
    for row in rows:
        for label, cell in row.cells.items():
            if cell.status != "ok":
                found.setdefault((cell.status, label), []).append((row.x, cell.reason))
    over, lines = header["sweep"]["over"], []
    for (status, label), where in found.items():
        points = ", ".join(str(x) for x, _ in where[:MOST_LISTED])
        more = f" and {len(where) - MOST_LISTED} more" if len(where) > MOST_LISTED else ""
        line = f"{status}: {label} at {over} {points}{more}: {where[0][1]}"
        lines.append((line, status != "refused"))
    return lines


def _blocks(width: int, header: Header, rows: Sequence[Row]) -> list[list[Column[Row]]]:
    """Return the columns of as many tables as it takes to show every contestant."""
    first: list[Column[Row]] = [Column(header["sweep"]["over"], lambda row: f"{row.x:,}", 1)]
    if len({row.bytes_min for row in rows}) > 1:
        first.append(Column("data", _data_cell, 1))
    last: Column[Row] = Column("best % peak", _share_cell, 1)
    blocks = [list(first)]
    for label, name in short_names(rows).items():
        column: Column[Row] = Column(name, _rate_cell(label), 1)
        if len(blocks[-1]) > len(first) and not _fits([*blocks[-1], column], rows, width):
            blocks.append(list(first[:1]))
        blocks[-1].append(column)
    if _fits([*blocks[-1], last], rows, width):
        blocks[-1].append(last)
    return blocks if rows else []


def _fits(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> bool:
    return len(fit(columns, rows, width)) == len(columns)


def _rate_cell(label: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        found = row.cells.get(label)
        return NOTHING if found is None or found.rate is None else _rate(found)

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
    """Return `*` for an effective rate over the peak, `!` for one over it by what is executed."""
    share = cell.peak_fraction or 0
    if share <= 1:
        return ""
    return "!" if share * min(1.0, cell.executed or 1.0) > 1 else "*"
