"""The events of a JSON trace, one after the other: the file is never whole in memory.

The events are the objects of the list ``traceEvents``, or of a list that is the whole file.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from convprof.logs.source import piece

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from convprof.logs.operation import Reading

PIECE = 1 << 18
LONGEST_EVENT = 1 << 21
"""Characters of one event: a longer one ends the reading."""
_WHOLE = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[")
_PART = re.compile(rb'"traceEvents"\s*:\s*\[')
_LONGEST_BEGIN = 64
_BETWEEN = re.compile(r"[\s,]*")


def events(file: BufferedReader, reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield the events; one that is cut, or is no JSON, ends them and counts as unread."""
    rest = _begin(file)
    if rest is None:
        return
    decoder = json.JSONDecoder(parse_constant=lambda _: None)
    # Latin-1 has a character for every byte: an event that is cut between the bytes of a character
    # is no error, and no key or number is outside of ASCII.
    text, at, ended = rest.decode("latin-1"), 0, False
    while True:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at < len(text):
            if text[at] != "{":
                return
            try:
                event, at = decoder.raw_decode(text, at)
            except RecursionError:
                reading.unread += 1
                return
            except ValueError:
                if ended or len(text) - at > LONGEST_EVENT:
                    reading.unread += 1
                    return
            else:
                reading.lines += 1
                yield event
                continue
        elif ended:
            return
        more = piece(file, PIECE)
        ended = not more
        text, at = text[at:] + more.decode("latin-1"), 0


def _begin(file: BufferedReader) -> bytes | None:
    """Return the first bytes behind the bracket that opens the list; None without one."""
    data = piece(file, PIECE)
    whole = _WHOLE.match(data)
    if whole is not None:
        return data[whole.end() :]
    while data:
        part = _PART.search(data)
        if part is not None:
            return data[part.end() :]
        more = piece(file, PIECE)
        data = data[-_LONGEST_BEGIN:] + more if more else b""
    return None
