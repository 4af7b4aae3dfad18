"""The ``sysinfo`` document in words: sections of labelled facts and small tables.

An unknown fact is None here. A key that the document lacks is as unknown as one that is null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convprof import units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = tuple[str, str | None]

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
_CYCLES = {"pmu": "the hardware's counter", "calibrated": "time x measured clock"}


@dataclass(frozen=True)
class Section:
    """A title and what stands below it."""

    title: str
    rows: list[Row] = field(default_factory=list)
    table: list[list[str | None]] = field(default_factory=list)
    """The first row is the header."""
    legend: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sections(document: dict[str, Any]) -> list[Section]:
    """Return the sections in the order in which they are best read."""
    builders = (_cpu, _simd, _cores, _caches, _memory_and_system, _ceilings, _software)
    found = [build(_Facts(document)) for build in builders]
    notes = document.get("notes") or []
    return [*found, Section("Notes", notes=notes)] if notes else found


class _Facts:
    """Looks into a document whose parts may be missing."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def __call__(self, path: str) -> Any:
        """Return what stands at ``machine.cpu.brand``; None for unknown."""
        value: Any = self._document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, path: str, word: Callable[[Any], str] = str) -> str | None:
        """Return the fact in words; None for unknown."""
        value = self(path)
        return None if value is None else word(value)

    def limit(self, path: str, word: Callable[[Any], str]) -> str | None:
        """Return a limit in words; null means no limit where the facts around it are known."""
        around = self(path.rpartition(".")[0])
        return self.text(path, word) if around is None else self.text(path, word) or "none"


def _cpu(get: _Facts) -> Section:
    design, source = get("machine.cpu.microarchitecture"), get("machine.cpu.nominal_clock.source")
    origin = get("machine.cpu.microarchitecture_source")
    nominal = get.text("machine.cpu.nominal_clock.hz", _hertz)
    return Section(
        "CPU",
        [
            ("name", get.text("machine.cpu.brand")),
            ("design", f"{design}, by its {origin}" if design and origin else design),
            ("model", _model(get)),
            ("architecture", get.text("machine.cpu.architecture")),
            ("nominal clock", f"{nominal}, {_NOMINAL[source]}" if source in _NOMINAL else nominal),
            ("identity", get.text("machine.identity_key")),
        ],
    )


def _model(get: _Facts) -> str | None:
    part = hex if get("machine.cpu.architecture") == "aarch64" else str
    words = [
        get.text("machine.cpu.model.vendor"),
        get.text("machine.cpu.model.family", lambda number: f"family {number}"),
        get.text("machine.cpu.model.model", lambda number: f"model {part(number)}"),
        get.text("machine.cpu.model.stepping", lambda number: f"stepping {number}"),
    ]
    return " ".join(word for word in words if word) or None


def _simd(get: _Facts) -> Section:
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
    rows += [("absent", by_state[False])] if by_state[False] else []
    rows += [("not known", by_state[None])] if by_state[None] and by_state[True] else []
    return Section("SIMD & ISA", rows)


def _cores(get: _Facts) -> Section:
    here = "machine.topology"
    kinds = [f"{kind['physical_cores'] or '?'} {kind['name']}" for kind in get(f"{here}.kinds") or []]
    nodes = get(f"{here}.numa_nodes") or []
    cpus = " | ".join(_ranges(node["cpus"]) for node in nodes) if len(nodes) > 1 else ""
    each = get.text(f"{here}.threads_per_core", lambda number: f", {number} per core") or ""
    rows: list[Row] = [
        ("physical cores", get.text(f"{here}.physical_cores")),
        ("logical CPUs", get.text(f"{here}.logical_cpus", lambda number: f"{number}{each}")),
        ("sockets", get.text(f"{here}.sockets")),
        ("NUMA nodes", f"{len(nodes)}{cpus and f', CPUs {cpus}'}" if nodes else None),
        ("affinity", get.text(f"{here}.affinity", lambda allowed: f"CPUs {_ranges(allowed)}")),
        ("CPU quota", get.limit(f"{here}.quota_cpus", lambda quota: f"{quota:g} CPUs")),
        ("usable", _usable(get)),
    ]
    return Section("Cores & limits", [*rows[:2], ("of them", ", ".join(kinds)), *rows[2:]] if kinds else rows)


def _usable(get: _Facts) -> str | None:
    cores = get.text("machine.topology.usable_cores", lambda number: _count(number, "core"))
    cpus = get.text("machine.topology.usable_cpus", lambda number: _count(number, "logical CPU"))
    return ", ".join(word for word in (cores, cpus) if word) or None


def _caches(get: _Facts) -> Section:
    caches = get("machine.caches") or []
    header = ["cache", "size", "line", "ways", "CPUs each", "instances"]
    if not caches:
        return Section("Caches", [("caches", None)])
    return Section("Caches", table=[header, *map(_cache, caches)])


def _cache(cache: dict[str, Any]) -> list[str | None]:
    get = _Facts(cache)
    name = " ".join(filter(None, (f"L{cache['level']}", get("kind"))))
    return [
        ", ".join(filter(None, (name, get("core_kind")))),
        get.text("size_bytes", units.size),
        get.text("line_bytes", units.size),
        get.text("ways"),
        get.text("shared_by"),
        get.text("instances"),
    ]
