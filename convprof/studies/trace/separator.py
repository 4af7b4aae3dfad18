"""Separate the lines that libraries print from all other output of a program, byte by byte.

oneDNN and MKL print a line at a time, from its name to the end of the line. The program may have
printed the first half of a line of its own before: the library's line begins in the middle then,
and the second half of the program's line follows after it.
"""

from __future__ import annotations

import re

_LINE = re.compile(
    rb"(?:onednn|dnnl|mkldnn)_verbose,(?=v[0-9]|[0-9]+\.[0-9]+,|info|primitive|graph|ukernel|common|profile|exec"
    rb"|create|error|warn)|MKL_VERBOSE (?=oneMKL|Intel|[A-Za-z_0-9]+\()"
)
_NAMES = (b"onednn_verbose,", b"dnnl_verbose,", b"mkldnn_verbose,", b"MKL_VERBOSE ")
_WORDS = (b"_verbose,", b"MKL_VERBOSE ")
"""What a line of a library contains."""
_LONGEST_WORD = 80
"""Bytes behind a name after which it is decided whether the line is a library's."""
_LONGEST_HEAD = _LONGEST_WORD + max(map(len, _NAMES))


def _beginnings(name: bytes) -> bytes:
    """Return a pattern of every beginning of a name, and of the name with a part of a word."""
    pattern = b"[A-Za-z_0-9.]{0,%d}" % (_LONGEST_WORD - 1)
    for position in reversed(range(len(name))):
        letter = re.escape(name[position : position + 1])
        pattern = letter + (b"(?:%s)?" % pattern if position < len(name) - 1 else pattern)
    return pattern


_HEAD = re.compile(rb"(?:%s)\Z" % b"|".join(map(_beginnings, _NAMES)))
"""The end of an output that may become a library's line."""
LONGEST_LINE = 1 << 16
"""Bytes; what is longer is not a line of a library."""


class Separator:
    """Takes the output of a program in pieces; returns what the program and libraries printed."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the bytes of the program, and whole lines of libraries, as far as known."""
        own: list[bytes] = []
        log: list[bytes] = []
        data, at = self._rest + data, 0
        while True:
            # Words are found many times as fast as patterns, and most output has neither.
            likely = any(data.find(word, at) >= 0 for word in _WORDS)
            match = _LINE.search(data, at) if likely else None
            if match is None:
                break
            end = data.find(b"\n", match.end())
            if end < 0 and len(data) - match.start() <= LONGEST_LINE:
                self._rest = data[match.start() :]
                return b"".join((*own, data[at : match.start()])), b"".join(log)
            if end < 0 or end - match.start() > LONGEST_LINE:
                own.append(data[at : match.end()])
                at = match.end()
                continue
            own.append(data[at : match.start()])
            log.append(data[match.start() : end + 1])
            at = end + 1
        hold = _undecided(data[at:])
        self._rest = data[len(data) - hold :] if hold else b""
        own.append(data[at : len(data) - hold])
        return b"".join(own), b"".join(log)

    @property
    def waiting(self) -> bool:
        """Whether bytes are held back."""
        return bool(self._rest)

    def release(self) -> bytes:
        """Return what is held back as output of the program, unless it is the head of a line.

        For a program that has printed no more for a while: ``Continue? [y/o`` ends like a name.
        """
        if _LINE.match(self._rest):
            return b""
        rest, self._rest = self._rest, b""
        return rest

    def end(self) -> tuple[bytes, bytes]:
        """Return what is left at the end of the output; a line that was cut belongs to the log."""
        rest, self._rest = self._rest, b""
        return (b"", rest) if _LINE.match(rest) else (rest, b"")


def _undecided(text: bytes) -> int:
    """Return the number of last bytes that may become the head of a library's line."""
    match = _HEAD.search(text, max(0, len(text) - _LONGEST_HEAD))
    return len(match[0]) if match else 0
