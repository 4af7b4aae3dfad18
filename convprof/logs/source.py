"""A log as bytes: from a file, compressed or not, in lines and pieces of limited size."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.problems.batch_text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

LONGEST_LINE = 1 << 16
"""Bytes of a line that are looked at: a line of a library has some thousands at most."""
_GZIP = b"\x1f\x8b"
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error)


@contextmanager
def opened(path: str | Path) -> Iterator[BufferedIOBase]:
    """Open a log for reading; gzip is recognised by its first bytes. InputError if it fails."""
    try:
        with Path(path).open("rb") as file:
            if file.peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
    except IsADirectoryError:
        raise InputError(f"{plain(path)}: is a folder; name a log in it") from None
    except FileNotFoundError:
        raise InputError(f"{plain(path)}: there is no such file") from None
    except PermissionError:
        raise InputError(f"{plain(path)}: you may not read this file") from None


def lines(file: BufferedIOBase) -> Iterator[bytes]:
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


def piece(file: BufferedIOBase, size: int) -> bytes:
    """Return the next bytes; nothing at the end, or where a compressed file is damaged."""
    try:
        return file.read(size)
    except _UNREADABLE:
        return b""
