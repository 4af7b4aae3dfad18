"""A log as bytes: from a file, compressed or not, in lines and pieces of limited size."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.problems.batch_text import STDIN, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from _typeshed import WriteableBuffer

Stored = Callable[[str], "bytes | None"]
LONGEST_LINE = 1 << 16
"""Bytes of a line that are looked at: a line of a library has some thousands at most."""
_BUFFER = 1 << 16
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GZIP = b"\x1f\x8b"
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error)


@contextmanager
def opened(path: str, stored: Stored | None = None) -> Iterator[BufferedReader]:
    """Open a log for reading; ``-`` is stdin. InputError if it fails.

    gzip is recognised by its first bytes. ``stored``: returns the content of a name that is no
    file, or None.
    """
    if path == STDIN:
        yield _unpacked(_stdin())
        return
    data = None if stored is None or os.path.exists(path) else stored(path)  # noqa: PTH110  # any text
    if data is not None:
        yield io.BufferedReader(io.BytesIO(data))
        return
    try:
        with Path(path).open("rb") as file:
            yield _unpacked(file)
    except IsADirectoryError:
        raise InputError(f"{plain(path)}: is a folder; name a log in it") from None
    except FileNotFoundError:
        raise InputError(f"{plain(path)}: there is no such file") from None
    except PermissionError:
        raise InputError(f"{plain(path)}: you may not read this file") from None


def _stdin() -> BufferedReader:
    buffer = getattr(sys.stdin, "buffer", None)
    if not isinstance(buffer, io.BufferedReader):
        raise InputError("stdin is closed; name a file")
    return buffer


def _unpacked(file: BufferedReader) -> BufferedReader:
    first = begin(file)[: len(_GZIP)]
    if first == _GZIP:
        return io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER)
    if first in _UTF_16:
        return io.BufferedReader(_FromUtf16(file), _BUFFER)
    return file


class _FromUtf16(io.RawIOBase):
    """A text in UTF-16 as UTF-8: PowerShell redirects output in UTF-16."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._rest = b""

    def readable(self) -> bool:
        """Return True: it is for reading."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer as far as the next bytes of the file do; return how many they were."""
        view = memoryview(buffer)
        while not self._rest:
            data = self._file.read(_BUFFER)
            self._rest = self._decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data:
                break
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def begin(file: BufferedReader) -> bytes:
    """Return some bytes at the beginning, which will be read again; nothing if there are none."""
    try:
        return file.peek(1)
    except _UNREADABLE:
        return b""


def lines(file: BufferedReader) -> Iterator[bytes]:
    """Yield the lines, each up to a length; the rest of a longer line is left out."""
    whole = True
    while True:
        try:
            line = file.readline(LONGEST_LINE)
        except _UNREADABLE:  # a compressed file that was cut, or is damaged
            return
        if not line:
            return
        if whole:
            yield line
        whole = line.endswith(b"\n")


def piece(file: BufferedReader, size: int) -> bytes:
    """Return the next bytes; nothing at the end, or where a compressed file is damaged."""
    try:
        return file.read(size)
    except _UNREADABLE:
        return b""
