"""Result files: a check before the measurement, and ``-`` for stdout."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from convprof.atomic_files import is_special, one_line, write_bytes_atomically
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

Text: TypeAlias = "str | Iterable[str]"
"""A text, or its parts in order, of which one at a time is in memory."""

STDOUT = "-"


def check_writable(path: str, flag: str, *, stdout: bool = True) -> None:
    """Raise InputError ``FLAG PATH: cannot be written: reason. ...`` unless ``path`` can be.

    Call it before measuring. Nothing is left behind, and an existing file stays as it is.
    ``stdout``: whether the flag accepts ``-``.
    """
    if path == STDOUT and stdout:
        return
    reason = _why_not(path, ", or '-' for stdout" if stdout else "")
    if reason is not None:
        raise InputError(f"{flag} {one_line(path)}: cannot be written: {reason}")


def parts(text: Text) -> Iterable[str]:
    """Return the parts of a text."""
    return [text] if isinstance(text, str) else text


def write_atomically(path: str, text: Text) -> None:
    """Write ``text`` in UTF-8; readers of ``path`` see the old or the complete new content.

    ``-`` is stdout. A symbolic link keeps pointing, an existing file keeps its mode; a pipe or a
    device is written directly. ConvprofError if it fails, for instance because the disk is full.
    """
    if path == STDOUT:
        for part in parts(text):
            sys.stdout.write(part)
        sys.stdout.flush()
        return
    encoded = (part.encode("utf-8", errors="backslashreplace") for part in parts(text))
    write_bytes_atomically(path, encoded)


def _why_not(path: str, or_stdout: str) -> str | None:
    try:
        return _refusal(path, or_stdout)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        return f"{reason}. Name another file{or_stdout}"


def _refusal(path: str, or_stdout: str) -> str | None:
    if not path:
        return f"the name is empty. Name another file{or_stdout}"
    if not Path(path).is_absolute() and _no_working_folder():
        return f"the working directory does not exist any more. Give a full path{or_stdout}"
    target = Path(os.path.realpath(path))
    if target.is_dir() or path.endswith(("/", os.sep)):
        return f"it is a folder. Name a file in it{or_stdout}"
    if not target.parent.is_dir():
        folder = one_line(str(Path(path).parent))
        use = or_stdout.replace("or", "or use", 1)
        return f"there is no folder {folder}. Create it first{use}"
    if not is_special(path):
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    if Path(path).exists() and not os.access(path, os.W_OK):
        return f"it is write-protected. Name another file{or_stdout}"
    return None


def _no_working_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False
