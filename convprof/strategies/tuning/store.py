"""Choices remembered on disk, one small JSON file per problem, setting and machine.

A file is data from a stranger: it is read up to a size, parsed, and believed only if its key is the
very one asked for and its choice is one that would be tried anyway.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from typing import TYPE_CHECKING, Any

from convprof.machine import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1 << 16


def folder() -> Path:
    """Return where choices are kept."""
    return cache_folder.folder("choices")


def recall(key: dict[str, Any]) -> dict[str, Any] | None:
    """Return the remembered choice for ``key``; None, with a warning if a file is no good."""
    path = _path(key)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError:
        return None
    try:
        document = json.loads(data) if len(data) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("key") != key:
        warnings.warn(f"{path}: not a choice for this problem and machine, ignored", stacklevel=2)
        return None
    choice = document.get("choice")
    return choice if isinstance(choice, dict) else None


def remember(key: dict[str, Any], choice: dict[str, Any]) -> None:
    """Keep a choice; a folder that cannot be written means that nothing is remembered."""
    path = _path(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps({"key": key, "choice": choice}), encoding="utf-8")
        scratch.replace(path)
    except OSError:
        return


def _path(key: dict[str, Any]) -> Path:
    text = json.dumps(key, sort_keys=True)
    return folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
