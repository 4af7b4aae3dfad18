"""Writing a file completely or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import ConvprofError

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW_FILE_MODE = 0o666
"""The mode of a new file, before the umask."""


def write_bytes_atomically(path: str, data: bytes | Iterable[bytes]) -> None:
    """Write a file; readers of ``path`` see the old or the complete new content.

    A symbolic link keeps pointing, an existing file keeps its mode; a pipe or a device is written
    directly. ConvprofError if it fails, for instance because the disk is full.
    """
    pieces = [data] if isinstance(data, bytes) else data
    try:
        if is_special(path):
            with Path(path).open("wb") as file:
                file.writelines(pieces)
        else:
            _replace(Path(os.path.realpath(path)), pieces)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ConvprofError(f"{one_line(path)}: cannot be written: {reason}") from None


def _replace(target: Path, pieces: Iterable[bytes]) -> None:
    """Write next to ``target`` and rename: a rename within a folder is atomic."""
    part = target.with_name(f".convprof-{secrets.token_hex(8)}.tmp")
    try:
        with open(part, "xb", opener=_create) as file:
            file.writelines(pieces)
            file.flush()
            # a rename that survives a power failure needs the content on disk
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            part.chmod(stat.S_IMODE(target.stat().st_mode))
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _create(path: str, flags: int) -> int:
    return os.open(path, flags, _NEW_FILE_MODE)


def is_special(path: str) -> bool:
    """Whether ``path`` is a pipe, a terminal or a device: these are not replaced."""
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        return False


def one_line(path: str) -> str:
    """Return the path as typed; quoted if it has invisible, line-breaking or control characters."""
    return path if path and path.isprintable() and path == path.strip() else repr(path)
