"""A log of lines, ``ONEDNN_VERBOSE`` or ``MKL_VERBOSE``; a program's own lines may be between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.logs import mkl, onednn
from convprof.logs.operation import Call, Span, is_time
from convprof.logs.source import lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from convprof.logs.operation import Reading

_MOST_KNOWN = 50_000
"""Different lines of oneDNN whose meaning is kept: a program repeats some hundreds."""
_LONGEST_STAMP = 40
_NAME = b"_verbose,"
LINES = (_NAME, mkl.PREFIX)
"""What a line of a library contains."""


class LineReader:
    """Reads the lines of one file after the other; counts into a reading."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._known: dict[bytes, onednn.Line | None] = {}

    def calls(self, file: BufferedReader) -> Iterator[Call]:
        """Yield the calls in their order."""
        reading = self._reading
        for line in lines(file):
            reading.lines += 1
            call = self._call(line)
            if call is not None:
                reading.calls += 1
                yield call

    def _call(self, line: bytes) -> Call | None:
        begin = onednn.PREFIX.search(line)
        if begin is not None:
            return self._onednn(line[begin.end() :].rstrip(), begin[1])
        at = line.find(mkl.PREFIX)
        if at < 0:
            self._reading.foreign += 1
            return None
        text = line[at + len(mkl.PREFIX) :].decode("ascii", "replace").rstrip()
        return mkl.read(text, self._reading)

    def _onednn(self, body: bytes, stamp: bytes | None) -> Call | None:
        if _NAME in body:
            # Several threads wrote into one line: the last of them may be whole.
            self._reading.unread += 1
            begins = list(onednn.PREFIX.finditer(body))
            return self._onednn(body[begins[-1].end() :], begins[-1][1]) if begins else None
        head, _, last = body.rpartition(b",")
        seconds = _milliseconds(last)
        if seconds is None:
            self._without_time(body)
            return None
        if head not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[head] = onednn.parse(head.decode("ascii", "replace"))
        line = self._known[head]
        if line is None:
            self._reading.unread += 1
            return None
        if line.operation is None:
            self._reading.nested += 1
            return None
        return Call(line.operation, seconds, line.event, _span(stamp, seconds))

    def _without_time(self, body: bytes) -> None:
        if onednn.message(body.decode("ascii", "replace"), self._reading):
            self._reading.messages += 1
        else:
            self._reading.unread += 1


def _span(stamp: bytes | None, seconds: float) -> Span | None:
    if not stamp or len(stamp) > _LONGEST_STAMP:
        return None
    return Span(float(stamp) * 1e-3, seconds, "calls")


def _milliseconds(text: bytes) -> float | None:
    try:
        seconds = float(text) * 1e-3
    except ValueError:
        return None
    return seconds if is_time(seconds) else None
