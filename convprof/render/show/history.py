"""A saved history: its lines and changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import history
from convprof.render.show import Extent, SavedView
from convprof.studies.history import saved as history_document
from convprof.studies.history.study import answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the lines of a history."""
    lines = history_document.read(saved.fields)
    return SavedView(
        report=lambda console: history.history_report(console, lines, every=extent.every),
        answer=lambda: answer(lines),
        forms={
            "csv": lambda: history.to_csv(lines),
            "markdown": lambda: history.to_markdown(lines),
        },
        chart=lambda _: history.history_chart(lines),
    )
