"""What ``compare mixers`` prints of one image: mixers, their parts, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.render import describe, tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.mixers_words import beside_line, quadratic_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.networks.mixers import Grid
    from convprof.results import Measurement
    from convprof.studies.mixer_costs import Cost, Total
    from convprof.studies.mixers import Beside
    from convprof.units import Unit

INDENT = "  "
COUNTED = {
    "parameters": "parameters are weights, biases are not counted",
    "B": "bytes: operands read once and results written once, part by part",
    "FLOP": "FLOPs without the softmax",
}
"""What is said of columns, by a part of their headings."""
MARKS = {
    "*": "an effective rate: it executes fewer FLOPs than are counted",
    "!": "over the peak: the clock rose since, or a bug",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """A row: a mixer, or one of its parts under it."""

    total: Total
    cost: Cost
    part: bool

    @property
    def label(self) -> str:
        return f"{INDENT}{self.cost.name}" if self.part else self.cost.name


def mixers_report(
    console: Console,
    grid: Grid,
    totals: Sequence[Total],
    besides: Sequence[Beside],
) -> None:
    """Print each mixer with its parts, and what follows from the numbers."""
    lines = [line for total in totals for line in _lines(total)]
    if not lines:
        return
    dtype = totals[0].measurements[0].dtype
    shown = print_table(console, f"{grid_line(grid)} · {dtype}", _columns(totals, lines), lines)
    said = [text for part, text in COUNTED.items() if any(part in h for h in shown)]
    if said:
        say(console, "; ".join(said), style="dim")
    _marks(console, lines)
    named = len({total.strategy for total in totals}) > 1
    for beside in besides:
        say(console, beside_line(beside, named=named), style="bold")
    for total in totals:
        if total.mixer.quadratic_flops:
            say(console, quadratic_line(total, grid, named=named), style="bold")


def exclusions(
    console: Console, measurements: Sequence[Measurement], without: Sequence[str]
) -> None:
    """Print which part has no time, and why; each line once."""
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
            Column("threads", lambda line: str(line.total.threads), _rank_of_threads(totals)),
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
    """Return how much the number of threads matters: where it is always the same, least."""
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
    """Return ``*`` for an effective rate over the peak, ``!`` for one over it by what is done."""
    share = cost.peak_fraction or 0.0
    if share <= 1:
        return ""
    return "!" if share * min(1.0, cost.executed / cost.flops) > 1 else "*"


def _marks(console: Console, lines: Sequence[_Line]) -> None:
    shown = {_mark(line.cost) for line in lines}
    for mark, text in MARKS.items():
        if mark in shown:
            say(console, f"{mark} {text}")
