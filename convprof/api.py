"""The Python interface: prepare a strategy for a problem and run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen import NATIVE
from convprof.dtypes import types
from convprof.errors import InputError, RefusedError, UnknownNameError
from convprof.machine import facts
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Prepared, Setting

if TYPE_CHECKING:
    from convprof.problems import Problem


def prepare(
    problem: Problem,
    strategy: str,
    layout: str = "nchw",
    threads: int = 1,
    dtype: str = "f32",
    *,
    isa: str = NATIVE,
) -> Prepared:
    """Bind a strategy to a problem: allocate its memory, compile its code.

    ``layout`` is accepted and ignored for a GEMM; ``isa`` is what kernels are generated for, and
    ignored by strategies whose kernels are not. ``UnknownNameError`` for a name that does not
    exist, ``RefusedError`` with the reason if the strategy cannot do it, ``TooLargeError`` if
    the memory is not there.
    """
    if layout not in LAYOUTS:
        raise UnknownNameError.of("layout", layout, LAYOUTS)
    check_threads(threads)
    check_isa(isa)
    found = registry.find(problem.kind, strategy)
    setting = Setting(layout, types(dtype).name, threads, isa)
    reason = found.why_not(problem, setting)
    if reason is not None:
        raise RefusedError(reason)
    return found.prepare(problem, setting)


def check_threads(threads: int) -> None:
    """Raise InputError unless this process can run that many threads at once here."""
    most = facts().topology.usable_cpus
    if not 1 <= threads <= most:
        uses = f"1-{most}" if most > 1 else "1"
        raise InputError(f"{thread_limit()}. Use {uses}", field="threads", value=threads)


def thread_limit() -> str:
    """Return what limits the number of threads here, as a sentence without its full stop."""
    topology = facts().topology
    most = topology.usable_cpus
    if topology.limited_by == "quota":
        return (
            f"the CPU quota (cgroup) is {topology.quota_cpus:g} CPUs, and more threads than {most} "
            "would all be stopped in each period"
        )
    if topology.limited_by == "affinity":
        allowed = f"{most} of this machine's {topology.logical_cpus} logical CPUs"
        return f"this process may use {allowed} (its affinity; see taskset, numactl or cpusets)"
    return f"this machine has {most} usable core{'s' if most > 1 else ''}"


def check_isa(isa: str) -> None:
    """Raise InputError unless kernels can be generated for that instruction set and run here."""
    if isa != NATIVE:  # which there always is; asking loads LLVM
        from convprof.codegen import isa as isas

        isas.find(isa)
