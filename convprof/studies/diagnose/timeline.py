"""The calls of a log on a time axis, in memory that does not grow with the log."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from convprof.studies.diagnose.finding import name
from convprof.studies.timeline import TimelineEvent, Track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.logs.operation import Call, Operation
    from convprof.studies.diagnose.rows import Row

MOST_EVENTS = 200_000
"""Calls that are kept: a viewer takes seconds to open them."""


class Recorder:
    """Keeps begin, duration and thread of the first calls.

    A log without time stamps has its calls one after the other, in their order.
    """

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self._most = most
        self._operations: dict[Operation, int] = {}
        self._threads: dict[tuple[str, str], int] = {}
        self._begin, self._seconds = array("d"), array("d")
        self._which, self._where = array("L"), array("L")
        self._now: dict[str, float] = {}
        """By library, the end of its last call without a time stamp."""
        self.left_out = 0

    def add(self, call: Call) -> None:
        """Keep a call, if there is room."""
        if len(self._begin) >= self._most:
            self.left_out += 1
            return
        operation, span = call.operation, call.span
        if span is None:
            begin = self._now.get(operation.library, 0.0)
            self._now[operation.library] = begin + call.seconds
            seconds, thread = call.seconds, ""
        else:
            begin, seconds, thread = span
        self._begin.append(begin)
        self._seconds.append(seconds)
        self._which.append(self._operations.setdefault(operation, len(self._operations)))
        where = (operation.library, thread)
        self._where.append(self._threads.setdefault(where, len(self._threads)))

    def tracks(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> list[Track]:
        """Return a track per library; ``peaks``: FLOP/s by element type."""
        by_operation = {row.operation: row for row in rows}
        operations, threads = list(self._operations), list(self._threads)
        first: dict[str, float] = {}
        for where, begin in zip(self._where, self._begin, strict=True):
            library = threads[where][0]
            first[library] = min(begin, first.get(library, begin))
        tracks = {library: Track(library) for library in first}
        for index in sorted(range(len(self._begin)), key=self._begin.__getitem__):
            operation = operations[self._which[index]]
            library, thread = threads[self._where[index]]
            begin, seconds = self._begin[index] - first[library], self._seconds[index]
            row = by_operation.get(operation)
            tracks[library].events.append(
                TimelineEvent(
                    operation.kind if row is None else name(row),
                    thread or "calls",
                    begin,
                    seconds,
                    _share(row, seconds, peaks),
                    _details(operation),
                )
            )
        for track in list(tracks.values())[:1]:
            track.left_out = self.left_out
        return list(tracks.values())


def _share(row: Row | None, seconds: float, peaks: Mapping[str, float]) -> float | None:
    measured = None if row is None else row.measurement
    if measured is None or measured.flops is None or not seconds:
        return None
    peak = peaks.get(measured.dtype)
    return measured.flops.direct / seconds / peak if peak else None


def _details(operation: Operation) -> tuple[tuple[str, str], ...]:
    fields = ("kind", "types", "layout", "implementation")
    return tuple((field, text) for field in fields if (text := getattr(operation, field)))
