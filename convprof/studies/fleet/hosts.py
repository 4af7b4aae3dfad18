"""Hosts of a fleet: which worker is which host, and what must be the same on all of them."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from convprof.errors import InputError
from convprof.json_checks import decoded, mapping, text, tree
from convprof.machine import facts
from convprof.studies.fleet import identical
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

By = Literal["machine", "worker"]
"""``machine``: all workers of one machine are a host. ``worker``: each worker is a host."""
RESOURCE = "convprof on "
"""The beginning of the name of the abstract resource of a host. Each of its workers has one."""
LONGEST = 1 << 16
_ADDRESS = re.compile(r"[a-z]+://(.+)")


@dataclass(frozen=True)
class Identity:
    """What a worker says of itself."""

    host: str
    machine: str
    """The name of the machine in the network: workers of one machine take turns."""
    versions: Mapping[str, str]
    key: str = ""
    """The key of the machine, as its result documents have it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What must be the same on identical hosts."""


def label(by: str, machine: str, worker: object) -> str:
    """Return the name of a worker's host.

    ``worker``: its Dask name, which is a number in a local cluster, and the address by default.
    """
    if by != "worker":
        return machine
    name = str(worker)
    address = _ADDRESS.fullmatch(name)
    return address[1] if address else f"worker-{name}" if name.isdecimal() else name


def host_here(by: str, worker: object) -> str:
    """Return the name of the host of a worker of this machine."""
    return label(by, _machine(), worker)


def _machine() -> str:
    return platform.node() or "unknown"


def versions() -> dict[str, str]:
    """Return the versions that must be the same on the client and on all hosts."""
    major, minor, _ = platform.python_version_tuple()
    try:
        numba = version("numba")
    except PackageNotFoundError:
        numba = "none"
    return {"convprof": VERSION, "Python": f"{major}.{minor}", "numba": numba}


def identity(by: str, worker: object) -> str:
    """Return what a worker says of itself, as JSON. Runs on the worker."""
    return json.dumps(
        {
            "host": host_here(by, worker),
            "machine": _machine(),
            "versions": versions(),
            "key": facts().identity_key(),
            "facts": identical.facts_here(),
        }
    )


def read_identity(data: Any) -> Identity:
    """Return what a worker said of itself; InputError if it is nonsense."""
    if not isinstance(data, str):
        raise InputError("a text is missing")
    fields = mapping(decoded(data.encode(errors="replace"), LONGEST))
    known = {text(name): text(value) for name, value in mapping(fields.get("versions")).items()}
    return Identity(
        text(fields.get("host")),
        text(fields.get("machine")),
        known,
        text(fields.get("key")),
        tree(mapping(fields.get("facts"))),
    )


def differences(there: Mapping[str, str]) -> list[str]:
    """Return how the versions of a worker differ: ``numba 0.60, here 0.62``."""
    return [
        f"{name} {there.get(name, 'unknown')}, here {own}"
        for name, own in versions().items()
        if there.get(name) != own
    ]


def largest(known: Iterable[Identity]) -> Mapping[str, Any]:
    """Return the facts of the largest group of identical hosts; of equal ones, of the first."""
    groups: dict[str, list[Identity]] = {}
    for identity in known:
        groups.setdefault(json.dumps(identity.facts, sort_keys=True), []).append(identity)
    return max(groups.values(), key=lambda group: len({each.host for each in group}))[0].facts
