"""A saved summary of a network: its layers and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render.network import summary as tables
from convprof.render.show import Extent, SavedView
from convprof.studies.network import saved_summary
from convprof.studies.network.summary_answer import answer
from convprof.studies.next_command import network_command

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the layers and costs of a network."""
    del extent  # all are shown
    content = saved_summary.read_summary(saved.fields)
    return SavedView(
        report=lambda console: tables.summary_report(console, content),
        answer=lambda: answer(content, network_command(content.name)),
        forms={
            "csv": lambda: tables.summary_csv(content),
            "markdown": lambda: tables.summary_markdown(content),
        },
    )
