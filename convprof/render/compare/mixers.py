"""The output of ``compare mixers`` for one image: mixers, their parts, and conclusions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.render import describe, doubts, tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.findings import threads_words
from convprof.studies.compare.mixers import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from convprof.networks.mixers import Grid
    from convprof.results import Measurement
    from convprof.studies.compare.mixers.costs import Cost, Total
    from convprof.studies.compare.mixers.growth import Growth, Stage
    from convprof.studies.compare.mixers.study import MixerComparison
    from convprof.units import Unit


INDENT = "  "
COUNTED = {
    "parameters": "parameters are weights, biases are not counted",
    "B": "bytes: operands read once and results written once, part by part",
    "FLOP": "FLOPs without the softmax",
}
"""Explanations of columns, by a part of their headings."""
MARKS = {
    "*": "an effective rate: it executes fewer FLOPs than are counted",
    "!": "over the peak: the clock rose since, or a bug",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """A row: a mixer, or one of its parts."""

    total: Total
    cost: Cost
    part: bool

    @property
    def label(self) -> str:
        if self.part:
            return f"{INDENT}{self.cost.name}"
        return doubts.marked(self.cost.name, self.total.doubt)


def mixers_report(
    console: Console,
    grid: Grid,
    totals: Sequence[Total],
    comparisons: Sequence[MixerComparison],
) -> None:
    """Print each mixer with its parts, and the ratios that are not in the answer."""
    lines = [line for total in totals for line in _lines(total)]
    if not lines:
        return
    dtype = totals[0].measurements[0].dtype
    shown = print_table(console, f"{grid_line(grid)} · {dtype}", _columns(totals, lines), lines)
    said = [text for part, text in COUNTED.items() if any(part in h for h in shown)]
    if said:
        say(console, "; ".join(said), style="dim")
    _marks(console, lines)
    for line in answer.lines(comparisons):
        say(console, line)


def exclusions(
    console: Console, measurements: Sequence[Measurement], without: Sequence[str]
) -> None:
    """Print the parts without a time, and the reasons; each line once."""
    lines = dict.fromkeys(without, "dim")
    for m in tables.excluded(measurements):
        style = "dim" if m.status == "refused" else "bold red"
        part = m.problem["name"] or m.problem["descriptor"]
        lines.setdefault(f"{part}: {describe.exclusion_line(m)}", style)
    for line, style in lines.items():
        say(console, line, style=style)


def grid_line(grid: Grid) -> str:
    """Return ``mixers of 196 tokens (14x14 patches of 16), 768 channels, 12 heads``."""
    images = f"{grid.mb} x " if grid.mb > 1 else ""
    return (
        f"mixers of {images}{grid.tokens:,} tokens ({grid.side}x{grid.side} patches of "
        f"{grid.patch}), {grid.dim:,} channels, {heads_words(grid)}"
    )


def heads_words(grid: Grid) -> str:
    """Return ``12 heads``."""
    return f"{grid.heads} head{'s' if grid.heads > 1 else ''}"


def _lines(total: Total) -> list[_Line]:
    parts = total.parts if len(total.mixer.parts) > 1 else []
    return [_Line(total, total.cost, part=False), *(_Line(total, p, part=True) for p in parts)]


def _columns(totals: Sequence[Total], lines: Sequence[_Line]) -> list[Column[_Line]]:
    costs = [total.cost for total in totals]
    time = units.time_unit([cost.seconds for cost in costs])
    flops = units.count_unit([cost.flops for cost in costs])
    moved = units.count_unit([cost.bytes_min for cost in costs])
    cycles = units.count_unit([cost.cycles for cost in costs if cost.cycles])
    strategy: Column[_Line] = Column(
        "strategy", lambda line: "" if line.part else line.total.strategy, 2, "left"
    )
    return (
        [
            Column("mixer", lambda line: line.label, 1, "left"),
            *([strategy] if len({total.strategy for total in totals}) > 1 else []),
            Column(
                "threads", lambda line: str(line.total.threads), _rank_of_threads(totals), key=True
            ),
            Column("parameters", lambda line: f"{line.cost.parameters:,}", 5),
            Column(f"{flops.name}FLOP", lambda line: _scaled(line.cost.flops, flops), 4),
            Column(f"{moved.name}B", lambda line: _scaled(line.cost.bytes_min, moved), 6),
            Column(f"time [{time.name}]", _time_cell(time), 1),
            Column("% time", _share_cell, 9),
            Column(f"{cycles.name}cycles", lambda line: _scaled(line.cost.cycles, cycles), 7),
            Column("GFLOP/s", lambda line: units.digits(line.cost.flop_per_s / 1e9), 8),
            Column("% peak", lambda line: _peak_cell(line.cost), 3),
        ]
        if lines
        else []
    )


def _rank_of_threads(totals: Sequence[Total]) -> int:
    """Return the rank of the column of threads: the lowest if all rows have the same number."""
    return 2 if len({total.threads for total in totals}) > 1 else 10


def _time_cell(unit: Unit) -> Callable[[_Line], str]:
    return lambda line: tables.seconds_cell(line.cost.seconds, line.cost.half_interval, unit)


def _share_cell(line: _Line) -> str:
    return f"{100 * line.cost.seconds / line.total.cost.seconds:.0f}"


def _scaled(value: float | None, unit: Unit) -> str:
    return tables.NOTHING if value is None else units.digits(unit.scale(value))


def _peak_cell(cost: Cost) -> str:
    if cost.peak_fraction is None:
        return tables.NOTHING
    return f"{100 * cost.peak_fraction:.1f}{_mark(cost)}"


def _mark(cost: Cost) -> str:
    """Return ``*`` for an effective rate over the peak, ``!`` if executed FLOPs are over it."""
    share = cost.peak_fraction or 0.0
    if share <= 1:
        return ""
    return "!" if share * min(1.0, cost.executed / cost.flops) > 1 else "*"


def _marks(console: Console, lines: Sequence[_Line]) -> None:
    shown = {_mark(line.cost) for line in lines}
    for mark, text in MARKS.items():
        if mark in shown:
            say(console, f"{mark} {text}")
    _doubts(console, {id(line.total): line.total for line in lines}.values())


def _doubts(console: Console, totals: Iterable[Total]) -> None:
    doubt = doubts.line((m for total in totals for m in total.measurements), doubts.layer_name)
    if doubt is not None:
        say(console, doubt)


# The output of ``compare mixers`` for growing images: a row each, and the crossings of mixers.

QUADRATIC = {
    "% quadratic": "% quadratic: of attention's time in softmax(QK^T)V",
    "% of FLOPs": "% of FLOPs: of attention's FLOPs in softmax(QK^T)V",
}
"""Explanations of columns, by heading."""


def growth_report(console: Console, title: str, stages: Sequence[Stage]) -> None:
    """Print the time of each mixer for each image, and the quadratic share of attention.

    All stages have the same strategy and number of threads.
    """
    rows = [(grid, {total.mixer.name: total for total in totals}) for grid, totals in stages]
    unit = units.time_unit([t.cost.seconds for _, totals in stages for t in totals])
    columns = _growth_columns(rows, unit)
    shown = print_table(console, f"{title} · time [{unit.name}]", columns, rows)
    said = [text for heading, text in QUADRATIC.items() if heading in shown]
    if said:
        say(console, "; ".join(said), style="dim")
    _doubts(console, [total for _, totals in stages for total in totals])


def run_title(threads: int, strategy: str, stages: Sequence[Stage], *, named: bool) -> str:
    """Return the title of one strategy's table, with its name if there are several strategies."""
    grid, totals = stages[0]
    parts = [size_words(grid), totals[0].measurements[0].dtype, threads_words(threads)]
    return " · ".join([*parts, strategy] if named else parts)


def growth_words(console: Console, growths: Sequence[Growth], grid: Grid) -> None:
    """Print which growths are not in the answer; the grid is of any of the images."""
    for line in answer.growth_lines(growths, grid):
        say(console, line)


def size_words(grid: Grid) -> str:
    """Return the common part of several images: ``mixers, patches of 16, 64 channels, 1 head``."""
    images = f", minibatch {grid.mb}" if grid.mb > 1 else ""
    return f"mixers, patches of {grid.patch}, {grid.dim:,} channels, {heads_words(grid)}{images}"


_Row = tuple["Grid", "dict[str, Total]"]


def _growth_columns(rows: Sequence[_Row], unit: Unit) -> list[Column[_Row]]:
    totals = [total for _, named in rows for total in named.values()]
    columns: list[Column[_Row]] = [
        Column("image", lambda row: str(row[0].image), 1),
        Column("tokens", lambda row: f"{row[0].tokens:,}", 4),
    ]
    for total in {total.mixer.name: total for total in totals}.values():
        name = total.mixer.name
        columns.append(Column(name, _growing(name, unit), 2))
        if total.mixer.quadratic_flops:
            columns += [
                Column("% quadratic", _share(name, "quadratic_time_share"), 3),
                Column("% of FLOPs", _share(name, "quadratic_flop_share"), 5),
            ]
    return columns


def _growing(name: str, unit: Unit) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        if name not in row[1]:
            return tables.NOTHING
        total = row[1][name]
        text = tables.seconds_cell(total.cost.seconds, total.cost.half_interval, unit)
        return doubts.before(text, total.doubt)

    return cell


def _share(name: str, what: str) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        if name not in row[1]:
            return tables.NOTHING
        return f"{100 * getattr(row[1][name], what):.1f}"

    return cell
