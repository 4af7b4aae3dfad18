"""A saved ladder: its rungs and what limits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import export
from convprof.render.ladder import halide_report, ladder_report, sizes_report
from convprof.render.ladder_chart import ladder_chart
from convprof.render.rung_limit_words import answer
from convprof.render.show import SavedView
from convprof.render.show.machine import machine_lines
from convprof.studies.ladder import saved

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Document

OLDER = "it lacks what limits each rung: an older convprof wrote it"


def view(document: Document) -> SavedView | None:
    """Return the ladders of a document; None for a document of another command."""
    content = saved.read(document)
    if content is None:
        return None
    ladders = [(each.name, each.steps) for each in content.ladders]

    def report(console: Console) -> None:
        for number, each in enumerate(content.ladders):
            if number:
                console.print()
            ladder_report(console, each.steps)
            halide_report(console, each.pairs)
        if len(ladders) > 1:
            sizes_report(console, ladders)
        console.print()
        machine_lines(console, document)

    return SavedView(
        report=report,
        answer=lambda: answer(ladders),
        forms={
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: export.to_markdown(document),
        },
        chart=lambda dated: ladder_chart(
            f"ladder {content.word}", ladders, content.peaks, dated=dated, varied=content.varied
        ),
        lacks=() if content.has_limits else (OLDER,),
    )
