"""Saved results: the tables of the command that measured them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.render import export
from convprof.render.run_chart import run_chart
from convprof.render.show import Extent, SavedView, environments, mixers
from convprof.render.show import ladder as ladders
from convprof.render.show import networks as network_views
from convprof.render.show import sweep as sweeps
from convprof.render.show.machine import machine_lines
from convprof.render.show.measurements import document_report
from convprof.studies.show import answer

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.results import Document
    from convprof.studies.show import Saved


def view(saved: Saved, extent: Extent) -> SavedView:
    """Return the tables of a result document, or of a journal."""
    document = saved.document
    own, lacks = _own(saved, extent)
    if own is not None:
        return own
    return SavedView(
        report=lambda console: _report(console, document, extent),
        answer=lambda: answer(document),
        forms={
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: export.to_markdown(document),
        },
        chart=lambda dated: run_chart(list(document.measurements), dated=dated),
        lacks=lacks,
    )


def _own(saved: Saved, extent: Extent) -> tuple[SavedView | None, tuple[str, ...]]:
    """Return the command's own tables where the document has what they need; else what it lacks."""
    document = saved.document
    entries = list(document.networks)
    try:
        if saved.sweep is not None:
            return sweeps.view(saved.sweep, document), ()
        if "environments" in document.settings:
            return environments.view(document, extent), ()
        if len(entries) == 1:
            return network_views.view(entries[0], document, extent), ()
        if saved.is_whole:
            return ladders.view(document) or mixers.view(document), ()
    except InputError as error:
        return None, (f"it is shown problem by problem: {error}",)
    return None, ()


def _report(console: Console, document: Document, extent: Extent) -> None:
    document_report(console, document, every=extent.every)
    machine_lines(console, document)
