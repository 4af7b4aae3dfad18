"""Where convprof stores, between two commands, figures that took time to measure.

The store saves time and never costs results: what cannot be read, or is something else, is
measured again, and what cannot be written is not stored.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

VARIABLE = "CONVPROF_CACHE_DIR"

_NOWHERE = Path(os.devnull) / "convprof"
"""No file can be below it."""


def folder(kind: str) -> Path:
    """Return the folder for files of a kind: CONVPROF_CACHE_DIR, or one in the user's cache folder.

    The folder that the variable names is one for all kinds; their files' names tell them apart.
    For a user without a home it is a temporary one, of this process alone.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    try:
        return _users_cache() / "convprof" / kind
    except (RuntimeError, OSError, KeyError):  # no HOME, and no entry of the user in passwd
        return temporary() / kind


def shared() -> bool:
    """Whether all kinds share the folder, and perhaps with files that are not ours."""
    return bool(os.environ.get(VARIABLE))


def _users_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"  # XDG: ignore a relative one


@functools.cache
def temporary() -> Path:
    """Return a new folder that only its owner can enter, removed when the process ends."""
    try:
        made = tempfile.mkdtemp(prefix="convprof-")
    except OSError:
        return _NOWHERE
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def read(path: Path, most_bytes: int) -> bytes | None:
    """Return the bytes of a stored file, one more if it is larger; None without one."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as file:
            return file.read(most_bytes + 1)
    except (OSError, ValueError):
        return None


def write(path: Path, text: str) -> bool:
    """Store a text as a whole, and return whether it is stored; on a full disk nothing is."""
    # Two containers that share the folder may have the same process number.
    scratch = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except (OSError, ValueError):
        _remove(scratch)
        return False
    return True


def _remove(path: Path) -> None:
    """Leave no half-written file on a full disk."""
    try:
        path.unlink(missing_ok=True)
    except (OSError, ValueError):
        return


_complained: set[str] = set()


def complain(kind: str, text: str) -> None:
    """Log what is wrong with a stored file: the first of each kind, for a batch may have thousands.

    Not by the warnings module, which a user can turn into exceptions.
    """
    if kind not in _complained:
        _complained.add(kind)
        logging.getLogger("convprof").warning("convprof: %s", text)
