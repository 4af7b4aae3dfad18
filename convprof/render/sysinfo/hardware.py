"""The sections about the CPU itself: its names, vectors, cores and caches."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from convprof import units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_ISA = {
    "avx512": "AVX-512",
    "avx2": "AVX2",
    "avx": "AVX",
    "sse": "SSE2",
    "neon": "NEON",
    "sve": "SVE",
}
_NOMINAL = {
    "brand": "in its name",
    "base_frequency": "says cpufreq",
    "cppc": "says ACPI",
    "sysctl": "says sysctl",
    "bogomips": "half of BogoMIPS, a hint",
}


def cpu(get: Lookup) -> Section:
    """Return the names and numbers of the CPU; names can be wrong in virtual machines."""
    design, source = get("machine.cpu.microarchitecture"), get("machine.cpu.nominal_clock.source")
    origin = get("machine.cpu.microarchitecture_source")
    nominal = get.text("machine.cpu.nominal_clock.hz", hertz)
    return Section(
        "CPU",
        [
            ("name", get.text("machine.cpu.brand")),
            ("design", f"{design}, by its {origin}" if design and origin else design),
            ("model", _model(get)),
            ("architecture", get.text("machine.cpu.architecture")),
            ("nominal clock", f"{nominal}, {_NOMINAL[source]}" if source in _NOMINAL else nominal),
            ("identity", get.text("machine.key")),
        ],
    )


def _model(get: Lookup) -> str | None:
    part = hex if get("machine.cpu.architecture") == "aarch64" else str
    words = [
        get.text("machine.cpu.model.vendor"),
        get.text("machine.cpu.model.family", lambda number: f"family {number}"),
        get.text("machine.cpu.model.model", lambda number: f"model {part(number)}"),
        get.text("machine.cpu.model.stepping", lambda number: f"stepping {number}"),
    ]
    return " ".join(word for word in words if word) or None


def simd(get: Lookup) -> Section:
    """Return the widest vectors, the present and the missing instruction sets."""
    bits, f32, f64 = (get(f"machine.cpu.simd.{key}") for key in ("bits", "f32_lanes", "f64_lanes"))
    isa = get.text("machine.cpu.simd.isa", lambda name: _ISA.get(name, name))
    width = f"{bits} bits, {f32} f32 or {f64} f64 lanes" if bits else "of unknown width"
    extensions = get("machine.cpu.extensions") or {}
    by_state = {
        state: " ".join(name for name, value in extensions.items() if value is state)
        for state in (True, False, None)
    }
    rows: list[Row] = [
        ("widest vectors", f"{isa}: {width}" if isa else None),
        ("vector registers", get.text("machine.cpu.simd.registers")),
        ("multiply-add", get.text("machine.cpu.simd.fma", lambda on: "fused" if on else "none")),
        ("extensions", by_state[True] or ("none" if False in extensions.values() else None)),
    ]
    tiles = get.text("machine.cpu.tile_registers")
    rows += [("tile registers", tiles)] if tiles else []
    rows += [("absent", by_state[False])] if by_state[False] else []
    rows += [("not known", by_state[None])] if by_state[None] and by_state[True] else []
    return Section("SIMD & ISA", rows)


def cores(get: Lookup) -> Section:
    """Return the number of cores, and the number that this process may use."""
    here = "machine.topology"
    kinds = [
        f"{kind['physical_cores'] or '?'} {kind['name']}" for kind in get(f"{here}.kinds") or []
    ]
    nodes = get(f"{here}.numa_nodes") or []
    cpus = " | ".join(ranges(node["cpus"]) for node in nodes) if len(nodes) > 1 else ""
    each = get.text(f"{here}.threads_per_core", lambda number: f", {number} per core") or ""
    rows: list[Row] = [
        ("physical cores", get.text(f"{here}.physical_cores")),
        ("logical CPUs", get.text(f"{here}.logical_cpus", lambda number: f"{number}{each}")),
        ("sockets", get.text(f"{here}.sockets")),
        ("NUMA nodes", f"{len(nodes)}{cpus and f', CPUs {cpus}'}" if nodes else None),
        ("affinity", get.text(f"{here}.affinity", lambda allowed: f"CPUs {ranges(allowed)}")),
        ("CPU quota", get.text_or_none(f"{here}.quota_cpus", lambda quota: f"{quota:g} CPUs")),
        ("usable", _usable(get)),
    ]
    return Section(
        "Cores & limits", [*rows[:2], ("of them", ", ".join(kinds)), *rows[2:]] if kinds else rows
    )


def _usable(get: Lookup) -> str | None:
    cores = get.text("machine.topology.usable_cores", lambda number: count(number, "core"))
    cpus = get.text("machine.topology.usable_cpus", lambda number: count(number, "logical CPU"))
    return ", ".join(word for word in (cores, cpus) if word) or None


def caches(get: Lookup) -> Section:
    """Return the table of caches: one row for equal caches."""
    rows = get("machine.caches") or []
    header: list[str | None] = ["cache", "size", "line", "ways", "CPUs each", "instances"]
    if not rows:
        return Section("Caches", [("caches", None)])
    return Section("Caches", table=[header, *map(_cache, rows)])


def _cache(cache: dict[str, Any]) -> list[str | None]:
    get = Lookup(cache)
    name = " ".join(filter(None, (f"L{cache['level']}", get("kind"))))
    return [
        ", ".join(filter(None, (name, get("core_kind")))),
        get.text("size_bytes", units.size),
        get.text("line_bytes", units.size),
        get.text("ways"),
        get.text("shared_by"),
        get.text("instances"),
    ]


# The parts of a section of ``sysinfo``, and the reading of a document with gaps. An unknown fact is
# None. A missing key of a document is the same as a null value.

Row = tuple[str, str | None]


@dataclass(frozen=True)
class Section:
    """A title, and the rows, table and notes below it."""

    title: str
    rows: list[Row] = field(default_factory=list)
    table: list[list[str | None]] = field(default_factory=list)
    """The first row is the header."""
    legend: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Lookup:
    """Access to a document whose parts may be missing."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def __call__(self, path: str) -> Any:
        """Return the value at a path such as ``machine.cpu.brand``; None for unknown."""
        value: Any = self._document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, path: str, word: Callable[[Any], str] = str) -> str | None:
        """Return the fact in words; None for unknown."""
        value = self(path)
        return None if value is None else word(value)

    def text_or_none(self, path: str, word: Callable[[Any], str] = str) -> str | None:
        """Return a limit in words; null means no limit if the related facts are known."""
        known = self(path.rpartition(".")[0]) is not None
        return self.text(path, word) or ("none" if known else None)


def hertz(value: float) -> str:
    """Return ``2.75 GHz``."""
    return units.si(value, "Hz")


def count(number: float, thing: str) -> str:
    """Return ``1 core``, ``2 cores``, ``1.5 CPUs``."""
    return f"{number:g} {thing}{'' if number == 1 else 's'}"


def ranges(numbers: Iterable[int]) -> str:
    """Return ``0-3,8`` for 0, 1, 2, 3, 8, as Linux writes lists of CPUs."""
    ordered = enumerate(sorted(numbers))
    runs = [[n for _, n in run] for _, run in groupby(ordered, lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
