"""A saved study: its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render.show import Extent, SavedView
from convprof.render.study import page as pages
from convprof.render.study.chart import page_chart
from convprof.studies.study import saved as study
from convprof.studies.study.advice import answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the page of a study."""
    del extent  # a page has no further rows
    page = study.read(saved.fields)
    return SavedView(
        report=lambda console: pages.page_report(console, page),
        answer=lambda: answer(page),
        forms={
            "csv": lambda: pages.to_csv(page),
            "markdown": lambda: pages.to_markdown(page, answer(page)),
        },
        chart=lambda dated: page_chart(page, dated=dated),
    )
