"""Choices stored on disk, one small JSON file each.

A file is data from a stranger: it is read up to a size, parsed, and used only if its key equals the
requested one and its choice is one that would be tried anyway.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from convprof import cache_folder
from convprof.errors import InputError
from convprof.json_checks import decoded, mapping

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1 << 16


def load(kind: str, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored choice of a kind for ``key``; None without one, or from a bad file.

    A kind is a folder: see `cache_folder.folder`.
    """
    path = _path(kind, key)
    data = cache_folder.read(path, MOST_BYTES)
    if data is None:
        return None
    choice = _parsed(data, key)
    if choice is None:
        cache_folder.complain(kind, f"{path}: not the choice that was asked for: chosen anew")
    return choice


def _parsed(data: bytes, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return the choice that a file holds for the key; None if it holds anything else."""
    try:
        document = mapping(decoded(data, MOST_BYTES))
        return mapping(document.get("choice")) if document.get("key") == key else None
    except InputError:
        return None


def save(kind: str, key: dict[str, Any], choice: dict[str, Any]) -> None:
    """Store a choice; nothing is stored in a folder that cannot be written."""
    cache_folder.write(_path(kind, key), json.dumps({"key": key, "choice": choice}))


def _path(kind: str, key: dict[str, Any]) -> Path:
    text = json.dumps(key, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return cache_folder.folder(kind) / f"{kind}-{digest}.json"
