"""Save the result document of a command under a name."""

from __future__ import annotations

from convprof.errors import InputError
from convprof.json_checks import decoded, mapping
from convprof.results import KIND
from convprof.studies import reading
from convprof.studies.history import store
from convprof.studies.history.points import points


def save(name: str, data: bytes) -> None:
    """Save the JSON of a document; an error is one line."""
    fields = mapping(decoded(data, store.MOST_BYTES))
    if fields.get("kind") != KIND:
        raise InputError("only results are saved; this is a document of another kind")
    document = reading.document(fields)
    machine = (document.machine["key"], document.machine.get("brand"))
    store.add(name, data, machine, points(document.measurements))
