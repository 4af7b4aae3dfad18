"""The content of a report, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convprof.render.charts.chart import Drawable
    from convprof.render.recording import Block
    from convprof.studies.answer import Answer


@dataclass(frozen=True, slots=True)
class Page:
    """What a report shows, in this order: answer, tables, charts, machine, settings, document."""

    command: str
    date: str
    answer: Answer | None
    blocks: tuple[Block, ...]
    """The tables and texts that the command printed, with all columns."""
    charts: tuple[Drawable, ...]
    remarks: tuple[str, ...]
    document: dict[str, Any] | None
    """The result document; None if the command has none."""
