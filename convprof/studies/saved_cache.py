"""What was stored on a machine, out of the document of ``convprof cache``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, number, text, words
from convprof.machine.ceilings_store import LATEST_S
from convprof.studies.cache import KINDS, Entry, Store


def read(fields: dict[str, Any]) -> list[Store]:
    """Return the stored files by kind; nothing on this machine is looked up."""
    stores = [_store(mapping(item)) for item in array(fields.get("stores"))]
    if not stores:
        raise InputError("it has no stores")
    return stores


def _store(fields: dict[str, Any]) -> Store:
    kind = next((each for each in KINDS if each.name == fields.get("kind")), None)
    if kind is None:
        raise InputError("an unknown kind of stored files")
    return Store(
        kind,
        [Path(words(folder)) for folder in array(fields.get("folders"))],
        [_entry(mapping(item)) for item in array(fields.get("entries"))],
        count(fields.get("removed"), 0),
    )


def _entry(fields: dict[str, Any]) -> Entry:
    load, llvm = fields.get("load_cpus"), fields.get("llvm")
    return Entry(
        Path(words(fields.get("path"))),
        count(fields.get("size_bytes"), 0),
        min(number(fields.get("stored_s")), LATEST_S),
        None if load is None else number(load),
        None if llvm is None else text(llvm),
    )
