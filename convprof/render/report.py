"""What a command prints for one problem: its tables and the lines under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof import units
from convprof.render import describe, tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.studies.layouts import LayoutComparison, advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.machine.peaks import Peak
    from convprof.results import Measurement
    from convprof.studies.preflight import Answer

SEVERAL_PHASES = 3


def run_report(
    console: Console, measurements: Sequence[Measurement], isa_peaks: Sequence[Peak] = ()
) -> None:
    """Print the table of ``run``, the phases of strategies that have several, the exclusions.

    ``isa_peaks`` are the ceilings of generated kernels, if an instruction set was chosen for them.
    """
    rows = tables.timed(measurements)
    if rows:
        title = describe.problem_line(rows[0].problem, rows[0].dtype)
        flops = rows[0].flops
        work = f" · {units.si(flops.direct, 'FLOP')}" if flops else ""
        cold = " · cold caches" if rows[0].cache == "cold" else ""
        kernels = f" · {isa_peaks[0].isa} kernels" if isa_peaks else ""
        columns = tables.run_columns(rows)
        print_table(console, title + work + cold + kernels, columns, rows)
        if isa_peaks:
            say(console, _isa_line(isa_peaks), style="dim")
        phased = [row for row in rows if len(row.phases or {}) >= SEVERAL_PHASES]
        if phased:
            console.print()
            print_table(console, "where the time goes", *tables.phase_table(phased, console.width))
        for marked, text in (
            (tables.effective, "* an effective rate: it executes fewer FLOPs than are counted"),
            (
                tables.over_ceiling,
                "! over the peak: the clock rose since, or a bug",
            ),
        ):
            if any(map(marked, rows)):
                say(console, text)
    for measurement in tables.excluded(measurements):
        style = "dim" if measurement.status == "refused" else "bold red"
        say(console, describe.exclusion_line(measurement), style=style)


def _isa_line(peaks: Sequence[Peak]) -> str:
    parts = [f"{units.si(peak.flop_per_s, 'FLOP/s')} on {peak.threads}" for peak in peaks]
    return f"% peak of generated kernels: of {peaks[0].isa}'s {', '.join(parts)}"


def explanations_report(console: Console, lines: Sequence[tuple[str, str]]) -> None:
    """Print what was chosen and why; a line says so where nothing was."""
    for label, text in lines or [
        ("nothing was chosen", "name the strategy auto to have it choose")
    ]:
        say(console, f"{label}: {text}")


def inner_loops_report(console: Console, loops: Sequence[tuple[str, str]]) -> None:
    """Print inner loops in assembly, each under a line that says whose it is and what it holds."""
    for title, assembly in loops:
        console.print()
        say(console, title, style="bold")
        for line in assembly.splitlines():
            console.print(Text(f"  {line}"), soft_wrap=True)


def layouts_report(
    console: Console, measurements: Sequence[Measurement], comparisons: Sequence[LayoutComparison]
) -> None:
    """Print both layouts side by side, the conversions, and the advice."""
    if comparisons:
        first = comparisons[0].nchw
        title = describe.problem_line(first.problem, first.dtype)
        columns = _layout_columns(comparisons)
        print_table(console, title, columns, comparisons)
        _conversions(console, measurements)
    for measurement in tables.excluded(measurements):
        say(console, describe.exclusion_line(measurement), style="dim")
    say(console, advice(list(comparisons)), style="bold")


def strategies_report(console: Console, kind: str, listed: Sequence[tuple[str, str]]) -> None:
    """Print the strategies of a kind with their summaries, in ladder order."""
    console.print(Text(kind, style="bold"))
    width = max((len(name) for name, _ in listed), default=0)
    for name, summary in listed:
        say(console, f"  {name:{width}}  {summary}")


def refusals_report(console: Console, descriptor: str, answers: Sequence[Answer]) -> None:
    """Print who takes a problem and who refuses it."""
    console.print(Text(descriptor, style="bold"))
    width = max((len(answer.strategy) for answer in answers), default=0)
    for answer in answers:
        word, style = ("refuses ", "dim") if answer.reasons else ("takes it", "")
        text = "; ".join(answer.reasons) or answer.summary
        say(console, f"  {answer.strategy:{width}}  {word}  {text}", style=style)


def _layout_columns(comparisons: Sequence[LayoutComparison]) -> list[Column[LayoutComparison]]:
    sides = [side for c in comparisons for side in (c.nchw, c.nhwc)]
    unit = units.time_unit([side.time_s.median for side in sides if side.time_s])
    return [
        Column("strategy", lambda c: c.strategy, 1, "left"),
        Column("threads", lambda c: str(c.threads), 6),
        Column(f"NCHW [{unit.name}]", lambda c: tables.time_cell(c.nchw, unit), 3),
        Column(f"NHWC [{unit.name}]", lambda c: tables.time_cell(c.nhwc, unit), 3),
        Column("NHWC/NCHW", lambda c: tables.ratio_text(c.ratio), 2),
        Column("NHWC is", lambda c: c.verdict, 4, "left"),
        Column("pays after", _break_even_cell, 5),
    ]


def _break_even_cell(comparison: LayoutComparison) -> str:
    count = comparison.break_even
    return tables.NOTHING if count is None else f"{count:,}"


def _conversions(console: Console, measurements: Sequence[Measurement]) -> None:
    rows = [m for m in measurements if m.problem["kind"] == "reorder" and m.time_s]
    if not rows:
        return
    unit = units.time_unit([m.time_s.median for m in rows if m.time_s])
    columns: list[Column[Measurement]] = [
        Column("conversion", lambda m: str(m.problem["descriptor"]), 1, "left"),
        Column("from", lambda m: m.layout or tables.NOTHING, 2, "left"),
        Column("threads", lambda m: str(m.threads), 4),
        Column(f"time [{unit.name}]", lambda m: tables.time_cell(m, unit), 3),
        Column("GB/s", _rate_cell, 5),
    ]
    console.print()
    print_table(console, "converting between the layouts", columns, rows)


def _rate_cell(measurement: Measurement) -> str:
    if measurement.time_s is None or measurement.bytes_min is None:
        return tables.NOTHING
    return units.digits(measurement.bytes_min / measurement.time_s.median / 1e9)
