"""Choices stored on disk, one small JSON file each, with the circumstances of the choice.

A file is data from a stranger: it is read up to a size, parsed, and used only if its key equals the
requested one and its choice is one that would be tried anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from convprof import cache_folder
from convprof.errors import InputError
from convprof.json_checks import decoded, mapping
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Made:
    """How a choice was made; it is stored for people, nothing depends on it."""

    llvm: str | None = None
    """The version of LLVM that generated the candidates' code."""
    load: float | None = None
    """CPUs that other programs kept busy meanwhile; None where unknown."""


_of_this_process: dict[Path, tuple[dict[str, Any], dict[str, Any]]] = {}
"""Keys and choices that this process uses whatever the files say."""
_renewed: set[str] = set()


def renew(kind: str) -> None:
    """Make every choice of a kind anew in this process, and replace the stored ones."""
    _renewed.add(kind)


def renewed() -> list[str]:
    """Return the kinds whose choices this process makes anew."""
    return sorted(_renewed)


def reset() -> None:
    """Use the files again, and forget what only this process has found."""
    _renewed.clear()
    _of_this_process.clear()


def load(kind: str, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored choice of a kind for ``key``; None without one, or from a bad file.

    A kind is a folder: see `cache_folder.folder`.
    """
    path = _path(kind, key)
    known = _of_this_process.get(path)
    if known is not None and known[0] == key:
        return known[1]
    data = None if kind in _renewed else cache_folder.read(path, MOST_BYTES)
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


def stored(kind: str) -> Iterator[dict[str, Any]]:
    """Yield every stored document of a kind: ``key``, ``choice`` and ``made``; no bad file."""
    paths: list[Path] = []
    with contextlib.suppress(OSError):
        paths += sorted(cache_folder.folder(kind).glob(f"{kind}-*.json"))
    for path in paths:
        data = cache_folder.read(path, MOST_BYTES) or b""
        with contextlib.suppress(InputError):
            document = mapping(decoded(data, MOST_BYTES))
            yield {name: mapping(document.get(name)) for name in ("key", "choice", "made")}


def save(kind: str, key: dict[str, Any], choice: dict[str, Any], made: Made) -> None:
    """Store a choice; nothing is stored in a folder that cannot be written."""
    path = _path(kind, key)
    if kind in _renewed:
        _of_this_process[path] = (key, choice)
    circumstances = {"at": time.time(), "convprof": VERSION, **asdict(made)}
    cache_folder.write(path, json.dumps({"key": key, "choice": choice, "made": circumstances}))


def use(kind: str, key: dict[str, Any], choice: dict[str, Any]) -> None:
    """Use a choice in this process without storing it: it was made on a busy machine."""
    _of_this_process[_path(kind, key)] = (key, choice)


def _path(kind: str, key: dict[str, Any]) -> Path:
    text = json.dumps(key, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return cache_folder.folder(kind) / f"{kind}-{digest}.json"
