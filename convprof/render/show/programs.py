"""Saved times of whole programs: a row per program."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convprof.render.compare import programs
from convprof.render.show import Extent, SavedView
from convprof.studies.compare import saved_programs
from convprof.studies.compare.programs_answer import answer

if TYPE_CHECKING:
    from convprof.studies.answer import Answer
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the programs; InputError says what is wrong with the document."""
    del extent
    study = saved_programs.read(saved.fields)

    def safe_answer() -> Answer | None:
        """Return the answer without a command: it would run the programs that the file names."""
        whole = answer(study)
        return whole and dataclasses.replace(whole, command="", repeats=False)

    return SavedView(
        report=lambda console: programs.programs_report(console, study),
        answer=safe_answer,
        forms={
            "csv": lambda: programs.to_csv(study),
            "markdown": lambda: programs.to_markdown(study),
        },
        chart=lambda dated: programs.programs_chart(study, dated=dated),
    )
