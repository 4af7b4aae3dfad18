"""A saved diagnosis: its rows and findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import diagnose
from convprof.render.show import Extent, SavedView
from convprof.studies.diagnose import result as diagnosis

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument

TOP = 20
"""Rows that are printed unless the user says how many."""


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the rows and findings of a diagnosis."""
    result = diagnosis.read(saved.fields)
    top = None if extent.every else extent.top or TOP
    return SavedView(
        report=lambda console: diagnose.diagnosis_report(console, result, top=top),
        answer=result.answer,
        forms={
            "csv": lambda: diagnose.to_csv(result),
            "markdown": lambda: diagnose.to_markdown(result),
        },
    )
