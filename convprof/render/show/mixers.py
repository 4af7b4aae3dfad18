"""Saved mixers: the attention block next to convolutions, of one image or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render import export
from convprof.render.compare.block_chart import block_chart
from convprof.render.compare.mixers import exclusions, mixers_report
from convprof.render.compare.mixers_chart import growth_chart
from convprof.render.compare.mixers_growth import growing_report
from convprof.render.show import SavedView
from convprof.render.show.machine import machine_lines
from convprof.studies.compare.mixers import saved
from convprof.studies.compare.mixers.answer import answer, growth_answer
from convprof.studies.compare.mixers.growth import growths

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.render.charts.chart import Drawable
    from convprof.results import Document
    from convprof.studies.answer import Answer


def view(document: Document) -> SavedView | None:
    """Return the mixers of a document; None for a document of another command."""
    content = saved.read(document)
    if content is None:
        return None
    stages, comparisons = content
    several = len(stages) > 1

    def exclude(console: Console) -> None:
        exclusions(console, list(document.measurements), [])

    def report(console: Console) -> None:
        if several:
            growing_report(console, stages, lambda: exclude(console))
        else:
            mixers_report(console, *stages[0], comparisons)
            exclude(console)
        machine_lines(console, document)

    def drawn(dated: str) -> Drawable | None:
        if not any(totals for _, totals in stages):
            return None
        return (
            growth_chart(stages) if several else block_chart(*stages[0], comparisons, dated=dated)
        )

    def last() -> Answer | None:
        return growth_answer(growths(stages), stages[0][0]) if several else answer(comparisons)

    return SavedView(
        report=report,
        answer=last,
        forms={
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: export.to_markdown(document),
        },
        chart=drawn,
    )
