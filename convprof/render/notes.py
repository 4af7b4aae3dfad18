"""What rows say besides their numbers: the type in which they were computed, if another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.results import Measurement


def lines(measurements: Iterable[Measurement]) -> list[str]:
    """Return each note once, after the names of the strategies that it is about."""
    names: dict[str, dict[str, None]] = {}
    for m in measurements:
        if m.note is not None:
            names.setdefault(m.note, {})[m.strategy] = None
    return [f"{', '.join(strategies)}: {note}" for note, strategies in names.items()]
