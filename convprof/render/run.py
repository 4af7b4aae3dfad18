"""What `run` prints for one problem: its tables and the lines under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof import units
from convprof.render import describe, doubts, tables
from convprof.render.columns import print_table
from convprof.render.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.machine.peaks import Peak
    from convprof.results import Measurement


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
        doubt = doubts.line(rows)
        if doubt is not None:
            say(console, doubt)
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
