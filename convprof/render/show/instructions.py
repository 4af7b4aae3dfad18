"""Saved costs of instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import instructions
from convprof.render.instructions_chart import instructions_chart
from convprof.render.show import Extent, SavedView
from convprof.studies import saved_instructions

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the costs, next to published figures."""
    content = saved_instructions.read(saved.fields, extent.match)
    shown = instructions.View(
        content.rows, content.missing, content.cores, content.alike, content.cycle_source
    )
    every = extent.every or content.every
    return SavedView(
        report=lambda console: instructions.instructions_report(console, shown, everything=every),
        answer=lambda: instructions.answer(shown, everything=every),
        forms={
            "csv": lambda: instructions.to_csv(shown),
            "markdown": lambda: instructions.to_markdown(shown),
        },
        chart=lambda dated: instructions_chart(shown, dated=dated),
    )
