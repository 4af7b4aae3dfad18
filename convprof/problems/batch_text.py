"""The text of a shape file, from a path or from stdin, as words with their line numbers."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
STDIN = "-"

# A word is a run of non-blanks in which quotes may hold blanks; # opens a comment at a word's
# start or right after a closing quote, so that an unquoted name may contain one.
_WORD = re.compile(r'(?:[^\s"]++|"[^"]*+"(?!#))*+(?:"[^"]*+"?)?')


def plain(path: str | Path) -> str:
    """Return a path for a message, on one line."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def file_name(path: str | Path) -> str:
    """Return what messages call the file that a user named: ``stdin`` for ``-``."""
    return "stdin" if str(path) == STDIN else plain(path)


def text_of(path: Path) -> str:
    """Return the text of a file; InputError when it cannot be read, is not text, or is too long."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise InputError(f"{plain(path)}: is a directory; name a file in it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{plain(path)}: cannot be read: {_reason(error)}") from None
    return _decoded(data, plain(path))


def text_of_stdin() -> str:
    """Return the text of stdin; InputError as for a file."""
    if sys.stdin is None:
        raise InputError("stdin is closed; name a file", field="batch", value="-")
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"stdin cannot be read: {_reason(error)}", field="batch", value="-"
        ) from None
    return _decoded(data, "stdin")


def words(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, word); a backslash, alone or at its end, joins a word with the next."""
    parts: list[str] = []
    first, joined = 0, False
    for number, word in _bare_words(text):
        if parts and not joined and word != "\\":
            yield first, "".join(parts)
            parts.clear()
        first = first if parts else number
        joined = word.endswith("\\")
        if word != "\\":
            parts.append(word.removesuffix("\\"))
    if parts:
        yield first, "".join(parts)


def _bare_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, word) without the comments."""
    for number, line in enumerate(text.split("\n"), 1):
        for match in _WORD.finditer(line):
            word = match.group()
            if word.startswith("#"):
                break
            if word:  # the pattern matches the empty text between two words
                yield number, word


def _decoded(data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        raise InputError(f"{where}: larger than {MAX_BYTES >> 20} MiB; split the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not a text file (byte {error.start} is not UTF-8)") from None
    if "\0" in text:
        raise InputError(f"{where}: not a text file (it holds a zero byte)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _reason(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error)
