"""A saved sweep: its table and chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import sweep as tables
from convprof.render.show import SavedView
from convprof.render.sweep_answer import answer
from convprof.render.sweep_chart import MOST_SERIES, sweep_chart
from convprof.studies.compare import isas
from convprof.studies.compare.isas_answer import added
from convprof.studies.sweep import saved as points

if TYPE_CHECKING:
    from convprof.results import Document
    from convprof.studies.show import SavedSweep


def view(sweep: SavedSweep, document: Document) -> SavedView:
    """Return the points of a sweep; InputError for a header that lacks something."""
    header, rows, capacities = points.read(sweep)
    compared = isas.read(list(document.comparisons), list(document.measurements))
    return SavedView(
        report=lambda console: tables.sweep_report(console, header, rows, capacities),
        answer=lambda: added(answer(header, rows, capacities), compared),
        forms={
            "csv": lambda: tables.to_csv(header, rows),
            "markdown": lambda: tables.to_markdown(header, rows),
        },
        chart=lambda _: sweep_chart(header, rows, capacities, MOST_SERIES),
    )
