"""Saved documents of every kind as their commands print them: one module for each kind."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from convprof.errors import InputError
from convprof.results import KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from convprof.render.charts.chart import Drawable
    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.show import Saved, SavedDocument

KINDS = {
    KIND: "result",
    "cache": "cache",
    "ceilings": "ceilings",
    "comparison": "comparison",
    "diagnosis": "diagnosis",
    "fleet_table": "fleet_table",
    "history": "history",
    "instructions": "instructions",
    "network": "network_summary",
    "networks": "network_list",
    "programs": "programs",
    "study": "study",
    "sysinfo": "sysinfo",
}
"""By kind of document, the module of this folder that shows it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a document is shown."""

    every: bool = False
    """Whether all rows are shown."""
    top: int | None = None
    """The most rows; None: as the command that wrote the document."""
    match: str | None = None
    """A regular expression that the names of rows match; None: all rows."""


@dataclass(frozen=True)
class SavedView:
    """A document, ready to be printed and written."""

    report: Callable[[Console], None]
    answer: Callable[[], Answer | None]
    forms: Mapping[str, Callable[[], Text]] = field(default_factory=dict)
    """By flag, the writers of other forms than JSON."""
    chart: Callable[[str], Drawable | None] | None = None
    """Draws; it takes the machine for the subtitle. None for what has no chart."""
    lacks: tuple[str, ...] = ()
    """What the document does not have, a line each."""


class _Module(Protocol):
    """A module that shows one kind of document."""

    def view(self, saved: Any, extent: Extent) -> SavedView:
        """Return the document as its command prints it; InputError says what is wrong with it."""


def view_of(saved: Saved | SavedDocument, extent: Extent) -> SavedView:
    """Return a saved document as its command prints it.

    InputError for a document that is damaged, and for a kind that has no tables.
    """
    if saved.kind not in KINDS:
        raise InputError(f"{saved.source}: a document of kind {saved.kind!r} has no tables")
    module: _Module = importlib.import_module(f"{__name__}.{KINDS[saved.kind]}")
    try:
        return module.view(saved, extent)
    except InputError as error:
        if error.field is not None:
            raise error.at(saved.source) from None
        what = f"this {saved.kind} document cannot be shown"
        raise InputError(f"{saved.source}: {what}: {error}") from None
