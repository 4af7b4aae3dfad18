"""A saved comparison of results: the rows that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render.compare import results
from convprof.render.show import Extent, SavedView
from convprof.studies.compare import saved_results
from convprof.studies.compare.results_answer import answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return each new side against the base."""
    compared = saved_results.read(saved.fields)
    limit = saved_results.limit(saved.fields)
    return SavedView(
        report=lambda console: results.results_report(console, compared, every=extent.every),
        answer=lambda: answer(compared, limit),
        forms={
            "csv": lambda: results.to_csv(compared),
            "markdown": lambda: results.to_markdown(compared, every=extent.every),
        },
    )
