"""The output of ``run``: a table per problem, or one table with a row per problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from convprof import units
from convprof.render import describe, doubts, notes, tables
from convprof.render.columns import BEST, print_table
from convprof.render.console import say
from convprof.studies import shortlist
from convprof.studies.compare.contenders import CHOOSER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.machine.peaks import Peak
    from convprof.results import Measurement

_MARKS = (
    (tables.effective, "* an effective rate: it executes fewer FLOPs than are counted"),
    (tables.over_ceiling, "! over the peak: the clock rose since, or a bug"),
)
_NO_BANDWIDTH = (
    "bound -: the data come from main memory, whose bandwidth is not stored; "
    "convprof ceilings measures it"
)
_BANDWIDTHS = (
    (
        tables.has_bandwidth,
        "bound with %: the level whose bandwidth is the limit, and the share of it that is used",
    ),
    (tables.over_bandwidth, "over 100 % of a bandwidth: nearer caches hold a part of the data"),
)
_LEAST_SHARE = 0.005
"""The smallest share of the time with which a phase is printed."""


@dataclass(frozen=True)
class Detail:
    """The parts of the results that are printed."""

    every: bool = False
    """All rows, and all refusals one by one."""
    phases: bool = False
    """The line with the shares of the phases."""


def run_report(
    console: Console,
    measurements: Sequence[Measurement],
    isa_peaks: Sequence[Peak] = (),
    detail: Detail = Detail(),
) -> None:
    """Print the table of one problem, the phases if requested, and the exclusions.

    ``isa_peaks`` are the ceilings of generated kernels if the user chose instruction sets.
    """
    every = shortlist.timed(measurements)
    if every:
        rows = every if detail.every else shortlist.shortlist(every)
        _table(console, rows, isa_peaks, shortlist.surely_fastest(every))
        hidden_report(console, every, rows)
        if detail.phases:
            console.print()
            phases_report(console, rows)
        legend_report(console, rows)
    exclusions_report(console, tables.excluded(measurements), every=detail.every)


def _table(
    console: Console,
    rows: Sequence[Measurement],
    isa_peaks: Sequence[Peak],
    best: Measurement | None,
) -> None:
    title = describe.problem_line(rows[0].problem, rows[0].dtype)
    flops = rows[0].flops
    work = f" · {units.si(flops.direct, 'FLOP')}" if flops else ""
    cold = " · cold caches" if rows[0].cache == "cold" else ""
    isas = dict.fromkeys(str(peak.isa) for peak in isa_peaks)
    kernels = f" · {' and '.join(isas)} kernels" if isas else ""
    columns = tables.run_columns(rows)
    heading = title + work + cold + kernels
    print_table(console, heading, columns, rows, lambda m: BEST if m is best else "")
    if isas:
        of_isas = [_isa_peak([p for p in isa_peaks if p.isa == isa]) for isa in isas]
        say(console, f"% peak of generated kernels: of {' and '.join(of_isas)}", style="dim")


def hidden_report(
    console: Console, every: Sequence[Measurement], rows: Sequence[Measurement]
) -> None:
    """Print the number of omitted rows and the flag for them; nothing if all are shown."""
    if len(rows) == len(every):
        return
    layouts = len(every) - len(shortlist.best_layouts(every))
    slower = len(every) - len(rows) - layouts
    parts = [
        f"{count} {what}"
        for count, what in ((slower, "slower"), (layouts, "in the other layout"))
        if count
    ]
    say(console, f"{len(every) - len(rows)} more: {', '.join(parts)} (--all)", style="dim")


def legend_report(console: Console, rows: Sequence[Measurement]) -> None:
    """Print the meaning of the marks in the column of the peak."""
    for marked, text in _MARKS:
        if any(map(marked, rows)):
            say(console, text)
    if tables.has_tiles(rows):
        say(console, tables.TILES, style="dim")
    for marked, text in _BANDWIDTHS:
        if any(map(marked, rows)):
            say(console, text, style="dim")
    if any(m.bound for m in rows) and tables.lacks_memory_bandwidth(rows):
        say(console, _NO_BANDWIDTH)
    doubt = doubts.line(rows)
    if doubt is not None:
        say(console, doubt)
    say(console, *notes.lines(rows))


def title_report(console: Console, measurements: Sequence[Measurement]) -> None:
    """Print the problem that the next lines are about."""
    for m in measurements[:1]:
        say(console, describe.problem_line(m.problem, m.dtype), style="bold")


def phases_report(console: Console, rows: Sequence[Measurement]) -> None:
    """Print the phases of each contestant, the longest phase first."""
    say(console, "where the time goes", style="bold")
    phased = [row for row in rows if len(row.phases or {}) > 1]
    for row in phased:
        say(console, f"{row.label}: {phase_shares(row)}")
    if not phased:
        say(console, "no strategy in this table has several phases")


def phase_shares(measurement: Measurement) -> str:
    """Return ``im2col 62 %, gemm 38 %``: the share of each phase, the longest first."""
    phases = measurement.phases or {}
    total = sum(phases.values())
    ordered = sorted(phases.items(), key=lambda item: -item[1])
    shares = [(name, seconds / total) for name, seconds in ordered if seconds]
    return ", ".join(f"{name} {100 * s:.0f} %" for name, s in shares if s >= _LEAST_SHARE)


def exclusions_report(
    console: Console, excluded: Sequence[Measurement], *, every: bool = False
) -> None:
    """Print the contestants without a row: refusals once per reason, or ``every`` refusal."""
    shared: list[Measurement] = []
    apart: list[Measurement] = []
    for m in excluded:
        named = m.status == "refused" and not every and m.reason != m.bare_reason
        (shared if named else apart).append(m)
    say(console, *describe.refusal_lines(shared), style="dim")
    styles = {
        describe.exclusion_line(m): "dim" if m.status == "refused" else "bold red" for m in apart
    }
    for text, style in styles.items():
        say(console, text, style=style)


def _isa_peak(peaks: Sequence[Peak]) -> str:
    parts = [f"{units.si(peak.flop_per_s, 'FLOP/s')} on {peak.threads}" for peak in peaks]
    return f"{peaks[0].isa}'s {', '.join(parts)}"


def explanations_report(
    console: Console, lines: Sequence[tuple[str, str]], measurements: Sequence[Measurement]
) -> None:
    """Print each choice and its reason, or a line that nothing was chosen."""
    for label, text in lines or [("nothing was chosen", _why_no_choice(measurements))]:
        say(console, f"{label}: {text}")


def _why_no_choice(measurements: Sequence[Measurement]) -> str:
    choosers = [m for m in measurements if m.strategy == CHOOSER]
    if not choosers:
        return f"name the strategy {CHOOSER} to have it choose"
    if any(m.time_s is not None for m in choosers):
        return "the result is from the journal of an earlier run, which explained the choice"
    return f"{CHOOSER} has no result"


def inner_loops_report(console: Console, loops: Sequence[tuple[str, str]]) -> None:
    """Print inner loops in assembly, each below a line with its owner and its counts."""
    for title, assembly in loops:
        console.print()
        say(console, title, style="bold")
        for line in assembly.splitlines():
            console.print(Text(f"  {line}"), soft_wrap=True)
