"""What ``show`` prints: the tables that the command printed which measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import describe
from convprof.render.compare.layouts import layouts_report
from convprof.render.compare.peers import peers_report, summary_report
from convprof.render.run import run_report
from convprof.studies import show

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Document


def document_report(console: Console, document: Document) -> None:
    """Print a document: libraries side by side, layouts side by side, or a table per problem."""
    standings = show.standings(document)
    parts = show.parts(document)
    libraries = show.libraries(document)
    if standings and len(parts) > 1:
        summary_report(console, list(document.measurements), standings, libraries)
    elif standings:
        peers_report(console, list(document.measurements), standings, libraries)
    else:
        _problems(console, document, parts)
    cycles = describe.cycles_line(document.measurements)
    for line in filter(None, (describe.machine_line(document), cycles)):
        console.print(line, style="dim", soft_wrap=not console.is_terminal, markup=False)


def _problems(console: Console, document: Document, parts: list[show.Part]) -> None:
    peaks = show.isa_peaks(document)
    for number, part in enumerate(parts):
        if number:
            console.print()
        if part.layouts:
            layouts_report(console, part.measurements, part.layouts)
        else:
            run_report(console, part.measurements, peaks)
