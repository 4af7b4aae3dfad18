"""The CPUs that this process may use, and libraries that change the mask of the calling thread.

Under ``OMP_PROC_BIND``, ``GOMP_CPU_AFFINITY`` and the like an OpenMP runtime binds the thread that
calls it first to one CPU. Every thread that this thread starts later inherits the mask, so that all
of them would share the one CPU. This module stores the mask when convprof is imported, and every
first use of a library runs inside ``restored``.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from typing import TYPE_CHECKING

from convprof.errors import ConvprofError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Mask = frozenset[int]

BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
"""Variables that make an OpenMP runtime bind threads to CPUs."""

_NOT_BINDING = {"", "false", "none", "disabled"}


def of(thread: int = 0) -> Mask | None:
    """Return the CPUs that a thread may use (0: the calling thread); None if unknown."""
    if sys.platform != "linux" or not hasattr(os, "sched_getaffinity"):
        return None
    try:
        return frozenset(os.sched_getaffinity(thread))
    except OSError:  # the thread has ended, or a sandbox forbids the call
        return None


def change(thread: int, cpus: Mask) -> bool:
    """Let a thread run on ``cpus`` only; return whether that was allowed."""
    if sys.platform != "linux" or not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(thread, cpus)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def inside(cpus: Mask) -> Iterator[bool]:
    """Let the calling thread run on ``cpus`` only, until the end; yield whether that is allowed.

    Without CPUs, nothing changes.
    """
    before = of()
    allowed = before == cpus or (before is not None and change(0, cpus))
    try:
        yield allowed
    finally:
        if before is not None and before != cpus and allowed:
            change(0, before)


def current_cpu() -> int | None:
    """Return the CPU that the calling thread is on; None if unknown."""
    where = _current_cpu()
    return None if where is None else where()


@functools.cache
def _current_cpu() -> Callable[[], int] | None:
    """Return the C library's function for the caller's CPU; None if it has none."""
    if sys.platform != "linux":
        return None
    try:
        function: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None
    return function


AT_START = of()
"""The mask of the process when convprof was imported, before convprof loaded any library."""


def allowed(threads: int = 1) -> Mask | None:
    """Return the CPUs for ``threads`` threads of this process; None if unknown.

    They are the CPUs of the calling thread. If it has too few CPUs, or lost some while a variable
    makes OpenMP bind threads, they are the CPUs at the start.
    """
    now = of()
    if now is None or AT_START is None or now == AT_START:
        return now
    bound = now < AT_START and variable() is not None
    return AT_START if bound or len(now) < min(threads, len(AT_START)) else now


def variable() -> str | None:
    """Return ``NAME=value`` of a variable that makes OpenMP bind threads; None if none is set."""
    for name in BINDING:
        value = os.environ.get(name, "")
        if value.strip().lower() not in _NOT_BINDING:
            return f"{name}={value}"
    return None


@contextlib.contextmanager
def restored(threads: int = 1) -> Iterator[None]:
    """Restore the mask of the calling thread at the end, even if a library changes it.

    Threads that the library starts inherit the mask, so the mask inside has CPUs for ``threads``
    threads. ConvprofError if the system forbids to change or restore the mask.
    """
    before, room = of(), allowed(threads)
    if before is not None and room is not None and room != before:
        allowed_by_system = change(0, room)
        if not allowed_by_system and len(before) < min(threads, len(room)):
            raise ConvprofError(_lost(before))
    try:
        yield
    finally:
        after = of()
        lost = before is not None and after != before and not change(0, before)
    if lost:
        raise ConvprofError(_lost(after))


def _lost(now: Mask | None) -> str:
    cause = variable()
    why = f"unset {cause.partition('=')[0]}" if cause else "start convprof without the sandbox"
    where = f" to CPU {listed(now)}" if now else ""
    return (
        f"a library bound the main thread{where}, and the system does not allow "
        f"to undo that (sched_setaffinity): {why}"
    )


def listed(cpus: Mask) -> str:
    """Return ``0, 2, 5``."""
    return ", ".join(map(str, sorted(cpus)))


def apart(masks: Sequence[Mask]) -> bool:
    """Return whether each thread can have a CPU of its own within its mask."""
    taken: dict[int, int] = {}  # CPU -> thread

    def place(thread: int, tried: set[int]) -> bool:
        for cpu in masks[thread] - tried:
            tried.add(cpu)
            if cpu not in taken or place(taken[cpu], tried):
                taken[cpu] = thread
                return True
        return False

    return all(place(thread, set()) for thread in range(len(masks)))
