"""A saved comparison of environments: a row per contestant."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convprof.render import export
from convprof.render.compare.environments import environments_report, to_markdown
from convprof.render.compare.environments_chart import environments_chart
from convprof.render.show import Extent, SavedView
from convprof.render.show.machine import machine_lines
from convprof.studies.compare.environments import facts, read
from convprof.studies.compare.environments_answer import answer

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Document
    from convprof.studies.answer import Answer


def view(document: Document, extent: Extent) -> SavedView:
    """Return the environments side by side; InputError if they are damaged."""
    environments, measurements = facts(document.settings), list(document.measurements)
    comparisons = read(list(document.comparisons), measurements)

    def report(console: Console) -> None:
        environments_report(console, environments, comparisons, measurements, every=extent.every)
        machine_lines(console, document)

    def safe_answer() -> Answer | None:
        """Return the answer without a command, which would run a program that the file names."""
        whole = answer(comparisons, measurements, environments)
        return whole and dataclasses.replace(whole, command="", repeats=False)

    return SavedView(
        report=report,
        answer=safe_answer,
        forms={
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: to_markdown(document),
        },
        chart=lambda dated: environments_chart(comparisons, dated=dated),
    )
