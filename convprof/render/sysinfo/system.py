"""The sections about what surrounds the CPU: memory, operating system, libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render.sysinfo.words import Section, count

if TYPE_CHECKING:
    from convprof.render.sysinfo.words import Lookup


def memory_and_system(get: Lookup) -> Section:
    """Return how much memory there is, and what runs below the program."""
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
    """Return the versions that decide how fast code runs, and who runs its threads."""
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
    """Return whose scheduling model is used, and why if it is not that of LLVM's name."""
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
    return f"{kind}, {threads}" if kind and threads else kind
