"""A timeline: what ran when, on which thread. ``render.timeline`` writes it for trace viewers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class TimelineEvent(NamedTuple):
    """One operation on one thread."""

    name: str
    thread: str
    begin_s: float
    seconds: float
    peak_fraction: float | None = None
    """Share of the peak; None where that is unknown."""
    details: tuple[tuple[str, Any], ...] = ()
    """Name and value of what a viewer shows for the event."""


@dataclass
class Track:
    """The events of one process, or of one way to run a network, in order of their begin."""

    name: str
    events: list[TimelineEvent] = field(default_factory=list)
    left_out: int = 0
    """Events that are not in the timeline, because it would be too long."""
