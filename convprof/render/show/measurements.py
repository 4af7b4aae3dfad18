"""Saved measurements: libraries, types or layouts side by side, or the output of ``run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import tables
from convprof.render.compare import dtypes
from convprof.render.compare.layouts import layouts_report
from convprof.render.compare.layouts import summary_report as summary_report_of_layouts
from convprof.render.compare.peers import peers_report, summary_report
from convprof.render.run import Detail, run_report
from convprof.render.run_many import problems_report
from convprof.results import FAILURES
from convprof.studies import show

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Document


def document_report(console: Console, document: Document, *, every: bool = False) -> None:
    """Print a document: libraries, types or layouts side by side, or the output of ``run``.

    ``every``: all rows of each problem.
    """
    standings = show.standings(document)
    parts = show.parts(document)
    libraries = show.libraries(document)
    of_types = show.types_compared(document)
    if len(of_types) > 1:
        dtypes.summary_report(console, of_types, tables.excluded(list(document.measurements)))
    elif of_types:
        dtypes.dtypes_report(console, list(document.measurements), of_types[0], every=every)
    elif standings and len(parts) > 1:
        # how often each shape was named is not in the document
        summary_report(console, list(document.measurements), standings, libraries, counts={})
    elif standings:
        peers_report(console, list(document.measurements), standings, libraries, every=every)
    else:
        _problems(console, document, parts, every=every)


def _problems(console: Console, document: Document, parts: list[show.Part], *, every: bool) -> None:
    peaks = show.isa_peaks(document)
    several = len(parts) > 1
    for number, part in enumerate(parts):
        if number and every:
            console.print()
        if part.layouts and (every or not several):
            layouts_report(console, part.measurements, part.layouts, every=every)
        elif every or not several:
            run_report(console, part.measurements, peaks, Detail(every=every))
    if not several:
        return
    if every:
        console.print()
    failures = [m for part in parts for m in part.measurements if m.status in FAILURES]
    layouts = [part.layouts for part in parts if part.layouts]
    rows = show.fastest(parts)
    if layouts:
        summary_report_of_layouts(console, layouts, [] if rows else failures)
    if rows or not layouts:
        problems_report(console, rows, failures, len(parts) - len(layouts))
