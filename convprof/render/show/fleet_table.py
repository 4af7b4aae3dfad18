"""A saved fleet: problems x hosts, from its lines or from the document of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import fleet
from convprof.render.show import Extent, SavedView
from convprof.studies.fleet import saved_table
from convprof.studies.fleet.answer import answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the table of a fleet."""
    del extent  # it has a row per problem
    table, prices = saved_table.of_document(saved.fields)
    return SavedView(
        report=lambda console: fleet.fleet_report(console, table, prices),
        answer=lambda: answer(table, prices),
        forms={
            "csv": lambda: fleet.to_csv(table, prices),
            "markdown": lambda: fleet.to_markdown(table, prices),
        },
    )
