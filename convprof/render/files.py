"""Writing a result file: completely or not at all, with a check before the measurement."""

from __future__ import annotations

import os
import secrets
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from convprof.errors import ConvprofError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

Text: TypeAlias = "str | Iterable[str]"
"""A text, or its parts in order, of which one at a time is in memory."""

STDOUT = "-"

_NEW_FILE_MODE = 0o666
"""The mode of a new file, before the umask."""


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


def write_bytes_atomically(path: str, data: bytes | Iterable[bytes]) -> None:
    """Write a file as ``write_atomically`` does; ``-`` is an ordinary name here."""
    pieces = [data] if isinstance(data, bytes) else data
    try:
        if _is_special(path):
            with Path(path).open("wb") as file:
                file.writelines(pieces)
        else:
            _replace(Path(os.path.realpath(path)), pieces)
    except OSError as error:
        raise ConvprofError(f"{one_line(path)}: cannot be written: {error.strerror}") from None


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


def _is_special(path: str) -> bool:
    """Whether ``path`` is a pipe, a terminal or a device: these are not replaced."""
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        return False


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
    if not _is_special(path):
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


def one_line(path: str) -> str:
    """Return the path as typed; quoted if it has invisible, line-breaking or control characters."""
    return path if path and path.isprintable() and path == path.strip() else repr(path)
