"""The events of a JSON document, one after the other: the file is never whole in memory.

The events are the objects of a list that is the whole file, or of the lists ``traceEvents`` (traces
of PyTorch), ``nodes`` (reports of OpenVINO) or ``measurements`` (results of convprof): the first
such list, and the later ones with the same name.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from convprof.logs.source import piece

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from io import BufferedReader

    from convprof.logs.operation import Reading

PIECE = 1 << 18
LONGEST_EVENT = 1 << 21
"""Characters of one event: a longer one ends the reading."""
_WHOLE = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[")
_PART = re.compile(rb'"(traceEvents|nodes|measurements)"\s*:\s*\[')
_LONGEST_BEGIN = 64
_BETWEEN = re.compile(r"[\s,]*")


def events(file: BufferedReader, reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield the events; an event that is cut or is not JSON ends them and counts as unread."""
    rest, again = _begin(file)
    while rest is not None:
        rest = yield from _list(file, rest, reading)
        rest = None if again is None or rest is None else _next(file, rest, again)[0]


def _list(
    file: BufferedReader, begin: bytes, reading: Reading
) -> Generator[dict[str, Any], None, bytes | None]:
    """Yield the events of a list; return what follows it, None if nothing can be read there."""
    decoder = json.JSONDecoder(parse_constant=lambda _: None)
    # Latin-1 has a character for every byte: an event that is cut between the bytes of a character
    # is not an error. Keys and numbers are ASCII.
    text, at, ended = begin.decode("latin-1"), 0, False
    while True:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at < len(text):
            if text[at] != "{":
                return text[at:].encode("latin-1")
            try:
                event, at = decoder.raw_decode(text, at)
            except RecursionError:
                reading.unread += 1
                return None
            except ValueError:
                if ended or len(text) - at > LONGEST_EVENT:
                    reading.unread += 1
                    return None
            else:
                reading.lines += 1
                yield event
                continue
        elif ended:
            return None
        more = piece(file, PIECE)
        ended = not more
        text, at = text[at:] + more.decode("latin-1"), 0


def _begin(file: BufferedReader) -> tuple[bytes | None, re.Pattern[bytes] | None]:
    """Return the first bytes of the list, None without one, and how further lists begin."""
    data = piece(file, PIECE)
    whole = _WHOLE.match(data)
    if whole is not None:
        return data[whole.end() :], None
    rest, name = _next(file, data, _PART)
    return rest, re.compile(rb'"(%s)"\s*:\s*\[' % name) if name else None


def _next(
    file: BufferedReader, data: bytes, begin: re.Pattern[bytes]
) -> tuple[bytes | None, bytes | None]:
    """Return the bytes behind the bracket that opens the next list, and the name of the list."""
    while data:
        part = begin.search(data)
        if part is not None:
            return data[part.end() :], part[1]
        more = piece(file, PIECE)
        data = data[-_LONGEST_BEGIN:] + more if more else b""
    return None, None
