"""A saved list of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render.network import summary as tables
from convprof.render.show import Extent, SavedView
from convprof.studies.network import saved_summary
from convprof.studies.network.summary_answer import list_answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the list of networks."""
    del extent  # all are shown
    content = saved_summary.read_list(saved.fields)
    return SavedView(
        report=lambda console: tables.list_report(console, content),
        answer=lambda: list_answer(content),
        forms={
            "csv": lambda: tables.list_csv(content),
            "markdown": lambda: tables.list_markdown(content),
        },
    )
