"""The sections about the system around the CPU: memory, operating system, libraries."""

from __future__ import annotations

from convprof import units
from convprof.render.sysinfo.hardware import Lookup, Section, count, hertz


def memory_and_system(get: Lookup) -> Section:
    """Return the size of the memory, and the system below the program."""
    return Section(
        "Memory & system",
        [
            ("memory", get.text("machine.memory.total_bytes", units.size)),
            ("memory limit", _memory_limit(get)),
            ("available", get.text("machine.memory.available_bytes", units.size)),
            ("huge pages", get.text("machine.memory.transparent_huge_pages")),
            ("system", get.text("machine.system.os_version") or get.text("machine.system.os")),
            ("kernel", get.text("machine.system.kernel")),
            ("virtual", get.text("machine.system.virtualised", lambda yes: _virtual(get, yes=yes))),
            ("container", get.text_or_none("machine.system.container")),
            ("load average", get.text("state.load_per_core", _load)),
            ("other programs", get.text_or_none("state.others_share", _others)),
        ],
    )


def _virtual(get: Lookup, *, yes: bool) -> str:
    return f"yes, {get('machine.system.hypervisor') or 'hypervisor unknown'}" if yes else "no"


def _memory_limit(get: Lookup) -> str | None:
    limit = get.text_or_none("machine.memory.limit_bytes", units.size)
    name = get("machine.memory.limit_name")
    return f"{limit}, {name} of its cgroup" if limit and name else limit


def _load(load: float) -> str:
    return f"{load:.2f} processes per core in the last minute"


def _others(share: float) -> str:
    return f"{100 * share:.0f} % of the CPUs' time while this was measured"


def software(get: Lookup) -> Section:
    """Return the versions that affect the speed of code, and the owners of its threads."""
    llvm = [get.text("machine.software.llvm"), get.text("machine.software.llvmlite")]
    return Section(
        "Software",
        [
            ("convprof", get.text("tool_version")),
            ("python", get.text("machine.software.python")),
            ("numpy", get.text("machine.software.numpy")),
            ("blas", _blas(get)),
            ("numba", get.text("machine.software.numba")),
            ("numba layers", ", ".join(get("threads.numba_layers") or []) or None),
            ("llvm", llvm[0] and (f"{llvm[0]}, llvmlite {llvm[1]}" if llvm[1] else llvm[0])),
            ("llvm's CPU name", get.text("machine.software.llvm_host_cpu")),
            ("kernels made for", _model(get)),
            ("numba settings", _settings(get)),
            ("thread team", _team(get)),
        ],
    )


def _model(get: Lookup) -> str | None:
    """Return the CPU whose scheduling model is used, with the reason if LLVM names another CPU."""
    name, spills = get.text("machine.software.llvm_model"), get("machine.software.llvm_host_spills")
    if name is None or name == get("machine.software.llvm_host_cpu"):
        return name
    return f"{name}; {count(spills or 0, 'spill')} with llvm's name"


def _settings(get: Lookup) -> str | None:
    changed = get("machine.software.numba_settings")
    if changed is None:
        return None
    values = (f"{name}={value}" for name, value in changed.items() if value is not None)
    return ", ".join(values) or "as usual"


def _blas(get: Lookup) -> str | None:
    here = "machine.software.blas"
    name = " ".join(filter(None, (get.text(f"{here}.name"), get.text(f"{here}.version"))))
    kernels = get.text(f"{here}.architecture", lambda kind: f"{kind} kernels")
    threads = get.text(f"{here}.threads", lambda number: count(number, "thread"))
    return ", ".join(filter(None, (name, kernels, threads))) or None


def _team(get: Lookup) -> str | None:
    kind = get.text("threads.team.kind")
    threads = get.text("threads.team.threads", lambda number: count(number, "thread"))
    nodes = get("threads.team.nodes") or []
    placed = f"; {' + '.join(map(str, nodes))} on {len(nodes)} NUMA nodes" if len(nodes) > 1 else ""
    return f"{kind}, {threads}{placed}" if kind and threads else kind


# The sections about measurements: clocks, peaks, and failures.

_CYCLES = {"pmu": "the hardware's counter", "calibrated": "elapsed time x measured clock"}
_SAME_CLOCK = 0.01
"""Clocks within this difference count as equal: two readings of one clock differ as much."""


def clock_and_ceilings(get: Lookup) -> Section:
    """Return the measured clocks and FLOP/s ceilings, and the method of counting cycles."""
    header: list[str | None] = [
        "dtype", "threads", "GFLOP/s", "GHz", "FLOP/cycle", "ports", "of ideal",
    ]  # fmt: skip
    peaks = [_peak(Lookup(peak)) for peak in get("ceilings.peaks") or []]
    rows = [
        ("scalar clock", get.text("clock.scalar_hz", hertz)),
        ("vector clock", get.text("clock.simd_hz", lambda hz: f"{hertz(hz)}{_beside(get)}")),
        ("cycles from", get.text("counters.cycle_source", lambda name: _CYCLES.get(name, name))),
    ]
    refusal = get.text("counters.pmu_refusal")
    if refusal:
        rows.append(("hardware counter", f"refused: {refusal}"))
    if not peaks:
        return Section("Clock & ceilings", [*rows, ("peak", None)])
    legend = ["cycles per core; ideal = threads x clock x ports x FLOPs of an instruction"]
    if any(Lookup(peak)("operands") == "L1" for peak in get("ceilings.peaks")):
        legend.append("tiles: the tile ceiling, products of 2 x 2 tiles that are loaded from L1")
    return Section("Clock & ceilings", rows, [header, *peaks], legend)


def _beside(get: Lookup) -> str:
    """Compare the clock under wide vectors with the clock under scalar code."""
    scalar = get("clock.scalar_hz")
    if not scalar:
        return ""
    change = get("clock.simd_hz") / scalar - 1
    if abs(change) < _SAME_CLOCK:
        return ", the same"
    return f", {100 * abs(change):.0f} % {'higher' if change > 0 else 'lower'}"


def _peak(get: Lookup) -> list[str | None]:
    giga = units.Unit("G", 1e9)

    def in_giga(value: float) -> str:
        return units.digits(giga.scale(value))

    return [
        get.text("dtype", lambda dtype: f"{dtype} tiles" if get("operands") == "L1" else dtype),
        get.text("threads"),
        get.text("flop_per_s", in_giga),
        get.text("core_hz", in_giga),
        get.text("flop_per_cycle", units.digits),
        get.text("ports"),
        get.text("agreement", lambda share: f"{100 * share:.0f} %"),
    ]


def notes(get: Lookup) -> Section | None:
    """Return failures and disturbances; None without any."""
    noise = [f"{noise['message']}; {noise['hint']}" for noise in get("state.noise") or []]
    lines = [*(get("notes") or []), *noise]
    return Section("Notes", notes=lines) if lines else None
