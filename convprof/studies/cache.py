"""What convprof has stored on this machine: counted, described, and removed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof import cache_folder
from convprof.errors import InputError
from convprof.json_checks import array, decoded, mapping, number, text
from convprof.machine.ceilings_store import LATEST_S
from convprof.results import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES = 1 << 20
"""Of a file that is read; larger ones are listed without what is in them."""
_NAME = r"[0-9a-f]{12,24}(?:\.json|\.\d+-[0-9a-f]{8})"
"""A hash; the second ending is left by a process that was killed while it wrote."""
_KERNEL = re.compile(r".+\.nb[ci]")


@dataclass(frozen=True)
class Kind:
    """Files of one purpose."""

    name: str
    folders: tuple[str, ...]
    """As `cache_folder.folder` knows them."""
    what: str


KINDS = (
    Kind("choices", ("choices", "scheduling"), "what auto chose, and LLVM's scheduling model"),
    Kind("ceilings", ("ceilings",), "peaks and bandwidths"),
    Kind("kernels", ("numba",), "code that numba compiled, where numba has no folder of its own"),
)
ALL = "all"


@dataclass(frozen=True)
class Entry:
    """One stored file."""

    path: Path
    size_bytes: int
    stored_s: float
    """Seconds since 1970: when it was measured, else when the file was written."""
    load: float | None = None
    """CPUs that other programs kept busy meanwhile; None where unknown."""
    llvm: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry in JSON types."""
        return {
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "stored_s": self.stored_s,
            "load_cpus": self.load,
            "llvm": self.llvm,
        }


@dataclass(frozen=True)
class Store:
    """All files of a kind."""

    kind: Kind
    folders: list[Path]
    entries: list[Entry]
    removed: int = 0
    """Files that were just removed."""
    errors: list[str] = field(default_factory=list)
    """Why files could not be removed."""

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def newest_s(self) -> float | None:
        """When the newest file was stored; None without files."""
        return max((entry.stored_s for entry in self.entries), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the store in JSON types."""
        return {
            "kind": self.kind.name,
            "folders": [str(folder) for folder in self.folders],
            "number": len(self.entries),
            "size_bytes": self.size_bytes,
            "newest_s": self.newest_s,
            "removed": self.removed,
            "entries": [entry.to_json() for entry in self.entries],
        }


def stores() -> list[Store]:
    """Return what is stored, by kind; a folder that is missing or cannot be read is empty."""
    return [_store(kind) for kind in KINDS]


def clear(which: str) -> list[Store]:
    """Remove the files of a kind, or of all; return what is left, with what was removed."""
    return [_cleared(kind) if which in (ALL, kind.name) else _store(kind) for kind in KINDS]


def document(stores: list[Store]) -> dict[str, Any]:
    """Return the document of ``cache`` in JSON types."""
    return envelope("cache", stores=[store.to_json() for store in stores])


def _cleared(kind: Kind) -> Store:
    removed, errors = 0, []
    for path in _files(kind):
        try:
            path.unlink(missing_ok=True)
            removed += 1
        except OSError as error:
            errors.append(f"{path}: cannot be removed: {error.strerror or error}")
    left = _store(kind)
    return Store(kind, left.folders, left.entries, removed, errors)


def _store(kind: Kind) -> Store:
    folders = list(dict.fromkeys(cache_folder.folder(name) for name in kind.folders))
    entries = [entry for path in _files(kind) if (entry := _entry(path)) is not None]
    return Store(kind, folders, sorted(entries, key=lambda entry: -entry.stored_s))


def _files(kind: Kind) -> Iterator[Path]:
    """Yield the files of a kind. A folder may hold other files: the user may have named it."""
    for name in kind.folders:
        folder = cache_folder.folder(name)
        if name == "numba":
            yield from _kernels(folder)
            continue
        prefix = rf"{name}-" if cache_folder.shared() else rf"(?:{name}-)?"
        pattern = re.compile(prefix + _NAME)
        yield from (folder / file for file in _names(folder) if pattern.fullmatch(file))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError):
        return []


def _kernels(folder: Path) -> Iterator[Path]:
    for where, _, files in os.walk(folder):
        yield from (Path(where) / file for file in sorted(files) if _KERNEL.fullmatch(file))


def _entry(path: Path) -> Entry | None:
    try:
        status = path.stat()
    except OSError:
        return None
    entry = Entry(path, status.st_size, status.st_mtime)
    data = cache_folder.read(path, MOST_BYTES) if path.suffix == ".json" else None
    if data is None:
        return entry
    try:
        at, load, llvm = _made(mapping(decoded(data, MOST_BYTES)))
    except InputError:  # not ours, or of an older version
        return entry
    return Entry(path, status.st_size, at or entry.stored_s, load, llvm)


def _made(fields: dict[str, Any]) -> tuple[float | None, float | None, str | None]:
    """Return when, under which load and with which LLVM a choice or ceilings were measured."""
    if "sets" in fields:
        sets = [mapping(each) for each in array(fields["sets"])]
        newest = max(sets, key=lambda each: number(each.get("measured_at")), default={})
        origin, at = newest, newest.get("measured_at")
    else:
        origin = mapping(fields.get("made", {}))
        at = origin.get("at")

    def known(key: str, read: Callable[[Any], Any]) -> Any:
        return None if origin.get(key) is None else read(origin[key])

    seconds = None if at is None else min(number(at), LATEST_S)
    return seconds, known("load", number), known("llvm", text)
