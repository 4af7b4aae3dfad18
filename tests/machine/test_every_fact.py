"""A new fact is in JSON by itself; a fact that ``sysinfo`` does not show is named here."""

from __future__ import annotations

import dataclasses
import io
import types
import typing
from collections.abc import Mapping

from rich.console import Console

from convprof.codegen import nodes
from convprof.machine import brand, caches, cpu, flags, memory, software, system, topology
from convprof.machine.facts import Facts
from convprof.render import sysinfo

NAMES = {
    name: value
    for module in (typing, brand, caches, cpu, flags, memory, nodes, software, system, topology)
    for name, value in vars(module).items()
} | {"Mapping": Mapping}

NOT_SHOWN = {
    "topology.numa_nodes.number",  # the position in the list is the number, but for rare machines
    "topology.kinds.logical_cpus",  # of interest for the placement of threads only
    "topology.kinds.threads_per_core",
    "topology.kinds.cpus",
    "system.os",  # shown where the version, which has the name in it, is unknown
    "software.threading_layers",  # shown from the document's own part on threads
}
"""Facts without a row in ``sysinfo``, each for a reason."""


def example(kind):
    """Return a value of a type in which every fact is known."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, localns=NAMES)
        return kind(**{f.name: example(hints[f.name]) for f in dataclasses.fields(kind)})
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return example(next(each for each in args if each is not type(None)))
    if origin is typing.Literal:
        return args[0]
    if origin is tuple:
        return (example(args[0]),) * 2
    if origin in (Mapping, dict):
        return {"name": example(args[1])}
    return {str: "text", int: 1, float: 1.5, bool: True}[kind]


class Recording(dict):
    """A part of a document that notes which of its facts were read."""

    def __init__(self, fields, path, read):
        super().__init__()
        self._path, self._read = path, read
        for key, value in fields.items():
            self[key] = recording(value, f"{path}.{key}", read)

    def get(self, key, default=None):
        self._read.add(f"{self._path}.{key}")
        return super().get(key, default)

    def __getitem__(self, key):
        self._read.add(f"{self._path}.{key}")
        return super().__getitem__(key)


def recording(value, path, read):
    if isinstance(value, dict):
        return Recording(value, path, read)
    if isinstance(value, list):
        return [recording(item, path, read) for item in value]
    return value


def leaves(kind, path):
    """Return the paths of all facts that are no parts with facts of their own."""
    hints = typing.get_type_hints(kind, localns=NAMES)
    for name, hint in hints.items():
        inner = [each for each in _parts(hint) if dataclasses.is_dataclass(each)]
        if inner:
            yield from leaves(inner[0], f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def _parts(hint):
    return [hint, *(part for arg in typing.get_args(hint) for part in _parts(arg))]


def test_every_fact_has_a_row_or_a_reason_to_have_none():
    read = set()
    document = {"machine": recording(example(Facts).to_json(), "", read)}
    sysinfo.show(Console(file=io.StringIO(), width=100), document, boxed=False)
    forgotten = {path.removeprefix(".") for path in leaves(Facts, "")} - {
        path.removeprefix(".") for path in read
    }
    assert forgotten == NOT_SHOWN
