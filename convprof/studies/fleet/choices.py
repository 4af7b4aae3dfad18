"""What ``auto`` chose on one host, for the stores of all identical hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convprof import choice_store
from convprof.choice_store import Made
from convprof.errors import InputError
from convprof.json_checks import array, decoded, mapping, number, text, tree
from convprof.machine import facts
from convprof.strategies.tuning.auto import CHOICES

if TYPE_CHECKING:
    from convprof.problems import Problem

MOST = 256
"""Choices of one problem: for each type, layout, number of threads and instruction set."""
MOST_BYTES = 64 << 20
"""Of the choices of a whole suite."""


def of_problem(problem: Problem) -> list[dict[str, Any]]:
    """Return the choices for a problem that this machine has stored. Runs on the host."""
    sizes = {"kind": problem.kind, **problem.dims()}
    machine = facts().identity_key()
    return [
        document
        for document in choice_store.stored(CHOICES)
        if document["key"].get("machine") == machine and document["key"].get("problem") == sizes
    ][:MOST]


def read(value: Any) -> list[dict[str, Any]]:
    """Return the choices that a host sent; InputError for nonsense."""
    choices = [mapping(item) for item in array(value)]
    if len(choices) > MOST:
        raise InputError("far too many choices")
    return [
        {name: tree(mapping(item.get(name))) for name in ("key", "choice", "made")}
        for item in choices
    ]


def store(data: str) -> str:
    """Store choices on this machine; return their number, or an error. Runs on the host."""
    try:
        every = array(decoded(data.encode(), MOST_BYTES))
        machine = facts().identity_key()
        own = [item for item in map(mapping, every) if mapping(item["key"])["machine"] == machine]
        for item in own:
            _store(item)
    except (InputError, LookupError) as error:
        return json.dumps({"error": str(error)})
    return json.dumps({"stored": len(own)})


def read_stored(reply: Any) -> bool:
    """Whether a host says that it has stored choices; it may say anything."""
    if not isinstance(reply, str):
        return False
    try:
        return "stored" in mapping(decoded(reply.encode(errors="replace"), choice_store.MOST_BYTES))
    except InputError:
        return False


def _store(item: dict[str, Any]) -> None:
    """Store a choice; ``auto`` checks it against its candidates before it believes it."""
    made = mapping(item.get("made"))
    llvm, load = made.get("llvm"), made.get("load")
    choice_store.save(
        CHOICES,
        tree(mapping(item["key"])),
        tree(mapping(item.get("choice"))),
        Made(None if llvm is None else text(llvm), None if load is None else number(load)),
    )
