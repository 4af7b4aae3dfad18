"""Everything known about the machine without measuring, and what makes two machines the same."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.machine import caches, cpu, memory, system, topology
from convprof.machine import software as libraries
from convprof.machine.host import this_machine

if TYPE_CHECKING:
    from convprof.machine.caches import Cache
    from convprof.machine.cpu import Cpu
    from convprof.machine.memory import Memory
    from convprof.machine.software import Software
    from convprof.machine.sources import Source
    from convprof.machine.system import System
    from convprof.machine.topology import Topology

_KEY_DIGITS = 12


@dataclass(frozen=True)
class Facts:
    """What this machine is. A fact that cannot be known is None."""

    cpu: Cpu
    topology: Topology
    caches: tuple[Cache, ...]
    memory: Memory
    system: System
    software: Software | None = None
    """None unless requested: reading it takes longer than all the rest."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types: bytes, hertz, null for unknown, no NaN."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def identity(self) -> dict[str, Any]:
        """Return what must match before two runs are comparable.

        That is the CPU, its cores and caches, and whether it is virtual. The clock, the load,
        free memory, affinity and quota are states; software is a setting.
        """
        everything = self.to_json()
        cpu_part, cores = everything["cpu"], everything["topology"]
        return {
            "architecture": cpu_part["architecture"],
            "brand": cpu_part["brand"],
            **cpu_part["model"],
            "simd": cpu_part["simd"],
            "extensions": sorted(name for name, on in cpu_part["extensions"].items() if on),
            "logical_cpus": cores["logical_cpus"],
            "physical_cores": cores["physical_cores"],
            "sockets": cores["sockets"],
            "kinds": [
                {key: kind[key] for key in ("name", "logical_cpus", "physical_cores")}
                for kind in cores["kinds"]
            ],
            "caches": everything["caches"],
            "virtualised": everything["system"]["virtualised"],
        }

    def identity_key(self) -> str:
        """Return 12 hexadecimal digits that are the same wherever `identity()` is."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def facts(source: Source | None = None, *, software: bool = False) -> Facts:
    """Return the facts of this machine, or of the source.

    The facts of this machine are read once per process, affinity and free memory included:
    `memory.available_bytes()` is the memory that is free now. With `software`, versions and
    permissions too, which take longer.
    """
    gathered = _cached() if source is None else _gather(source)
    if not software:
        return gathered
    permitted = cpu.with_permissions(gathered.cpu, this_machine() if source is None else source)
    return dataclasses.replace(gathered, cpu=permitted, software=libraries.software())


@functools.cache
def _cached() -> Facts:
    return _gather(this_machine())


def _gather(source: Source) -> Facts:
    cores = topology.detect(source)
    return Facts(
        cpu=cpu.detect(source),
        topology=cores,
        caches=caches.detect(source, cores.kinds),
        memory=memory.detect(source),
        system=system.detect(source),
    )


def _plain(value: Any) -> Any:
    """Return the value in JSON types; dataclasses become objects."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
