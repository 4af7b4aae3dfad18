"""What is said of two sides before their rows: the machines, their states, the software."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof import stats
from convprof.errors import InputError
from convprof.json_checks import mapping, number, text
from convprof.json_records import record
from convprof.studies.compare.results_basis import SAME_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convprof.results import Document
    from convprof.studies.compare.results_files import Side

SAME_LOAD = 0.25
"""CPUs of other programs: a smaller difference is no other state."""
UNKNOWN = "unknown"
MOST_PACKAGES = 20
"""Versions of one file that are compared."""


@dataclass(frozen=True)
class Fact:
    """One fact of both sides, in words."""

    name: str
    base: str
    new: str
    differs: bool


@dataclass(frozen=True)
class Host:
    """The machines, states and programs of the files of one side."""

    keys: tuple[str, ...]
    brands: tuple[str, ...]
    clock_hz: float | None
    """The median core clock while measuring."""
    load_cpus: float | None
    """How many CPUs other programs kept busy; the most in any file."""
    software: dict[str, str]
    """By program: its version, or its versions."""
    identity: dict[str, str]
    """By fact of the machine: what it is."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {
            "keys": self.keys,
            "brands": self.brands,
            "clock_hz": self.clock_hz,
            "load_cpus": self.load_cpus,
            "software": self.software,
            "identity": self.identity,
        }

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Host:
        """Return the facts of a document; facts that an older version did not write are unknown."""
        host = record(cls, {"identity": {}, **fields})
        brand = ", ".join(host.brands) or UNKNOWN
        return replace(
            host,
            identity={"CPU": brand, **dict.fromkeys(_OTHER_FACTS, UNKNOWN), **host.identity},
        )


def host(side: Side) -> Host:
    """Return the facts of a side."""
    documents = [file.document for file in side.files]
    clocks = [clock for clock in map(_clock_hz, documents) if clock is not None]
    loads = [load for load in map(_load_cpus, documents) if load is not None]
    programs: dict[str, None] = {}
    for document in documents:
        programs |= dict.fromkeys(_software(document))
    return Host(
        keys=_distinct(str(document.machine["key"]) for document in documents),
        brands=_distinct(str(d.machine.get("brand") or "unknown CPU") for d in documents),
        clock_hz=stats.median(clocks) if clocks else None,
        load_cpus=max(loads, default=None),
        software={p: _joined(_software(d).get(p, UNKNOWN) for d in documents) for p in programs},
        identity={
            name: _joined(fact(document.machine) for document in documents)
            for name, fact in _IDENTITY.items()
        },
    )


def facts(base: Host, new: Host) -> list[Fact]:
    """Return the facts of both sides: the machine first, then its state, then the software."""
    pairs = ((name, base.identity[name], new.identity[name]) for name in _IDENTITY)
    rows = [Fact(name, one, other, one != other) for name, one, other in pairs]
    if base.keys != new.keys and not any(fact.differs for fact in rows):
        # Such as another feature flag: the key covers more facts than a person wants to read.
        rows.append(Fact("machine key", ", ".join(base.keys), ", ".join(new.keys), differs=True))
    rows += [_clock_fact(base, new), _load_fact(base, new)]
    for name in dict.fromkeys((*base.software, *new.software)):
        one, other = base.software.get(name, UNKNOWN), new.software.get(name, UNKNOWN)
        rows.append(Fact(name, one, other, one != other and UNKNOWN not in {one, other}))
    return rows


def same_machine(base: Host, new: Host) -> bool:
    """Whether all files of both sides come from machines with the same key."""
    return len({*base.keys, *new.keys}) == 1


def _clock_fact(base: Host, new: Host) -> Fact:
    one, other = base.clock_hz, new.clock_hz
    differs = bool(one and other) and abs((other or 1) / (one or 1) - 1) > SAME_CLOCK
    return Fact("clock", _clock_text(one), _clock_text(other), differs)


def _load_fact(base: Host, new: Host) -> Fact:
    one, other = base.load_cpus, new.load_cpus
    differs = one is not None and other is not None and abs(one - other) > SAME_LOAD
    return Fact("other programs", _load_text(one), _load_text(other), differs)


def _clock_text(clock_hz: float | None) -> str:
    return UNKNOWN if clock_hz is None else f"{clock_hz / 1e9:.2f} GHz"


def _load_text(cpus: float | None) -> str:
    return UNKNOWN if cpus is None else f"{cpus:.1f} CPUs"


def _clock_hz(document: Document) -> float | None:
    clocks = [m.cycles.core_hz for m in document.measurements if m.cycles]
    if clocks:
        return stats.median(clocks)
    return _number((document.state.get("core_hz") or {}).get("median"))


def _load_cpus(document: Document) -> float | None:
    share, cpus = document.state.get("others_share"), document.machine.get("logical_cpus")
    one, many = _number(share), _number(cpus)
    return None if one is None or many is None else one * many


def _software(document: Document) -> dict[str, str]:
    """Return the versions of the programs that decide how fast a kernel is."""
    settings = document.settings
    versions = {"convprof": document.tool_version}
    with contextlib.suppress(InputError):  # a document of an older version has none
        packages = mapping(settings.get("versions")).items()
        for name, version in itertools.islice(packages, MOST_PACKAGES):
            versions[_text(name)] = _text(version)
    if settings.get("llvm_model") is not None:
        versions["LLVM model"] = _text(settings["llvm_model"])
    if settings.get("tune") is not None:
        versions["tuning"] = _text(settings["tune"])
    return versions


def _cores(machine: dict[str, Any]) -> str:
    return _text(machine.get("physical_cores"))


def _simd(machine: dict[str, Any]) -> str:
    simd = machine.get("simd") or {}
    return _text(simd.get("isa"))


def _virtual(machine: dict[str, Any]) -> str:
    value = machine.get("virtualised")
    return "yes" if value is True else "no" if value is False else UNKNOWN


_IDENTITY: dict[str, Callable[[dict[str, Any]], str]] = {
    "CPU": lambda machine: str(machine.get("brand") or "unknown CPU"),
    "cores": _cores,
    "SIMD": _simd,
    "virtual machine": _virtual,
}


_OTHER_FACTS = tuple(name for name in _IDENTITY if name != "CPU")


def _text(value: Any) -> str:
    """Return a fact of a file in words; a file of a stranger may have anything there."""
    try:
        return UNKNOWN if value is None else text(str(value))
    except InputError:
        return UNKNOWN


def _number(value: Any) -> float | None:
    try:
        return number(value)
    except InputError:
        return None


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(_distinct(texts))
