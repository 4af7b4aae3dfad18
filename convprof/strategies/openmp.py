"""OpenMP runtimes of libraries: the requested number of threads, or a refusal that names the cause.

A program's own setting has priority over ``OMP_NUM_THREADS``. But ``OMP_THREAD_LIMIT``,
``OMP_DYNAMIC`` and ``OMP_MAX_ACTIVE_LEVELS`` silently limit a library to fewer threads. So every
thread of a parallel region is counted, once per number of threads.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, Any

from convprof.codegen import affinity
from convprof.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMITS = (
    "OMP_THREAD_LIMIT",
    "KMP_DEVICE_THREAD_LIMIT",
    "KMP_ALL_THREADS",
    "OMP_DYNAMIC",
    "OMP_MAX_ACTIVE_LEVELS",
)
"""Variables that keep a parallel region smaller than the number of threads set."""

_Body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def runtimes() -> list[Any]:
    """Return the OpenMP libraries loaded in this process, as ctypes libraries."""
    from threadpoolctl import ThreadpoolController

    return [
        library.dynlib
        for library in ThreadpoolController().select(user_api="openmp").lib_controllers
    ]


def demand(who: str, threads: int, libraries: Sequence[Any]) -> list[Callable[[], Any]]:
    """Make parallel regions of this thread have exactly ``threads`` threads, each on its own CPU.

    Return the function that restores the settings. RefusedError if the runtime still starts fewer.
    Call it inside ``affinity.restored``: the first region binds the calling thread.
    """
    undo: list[Callable[[], Any]] = []
    for library in libraries:
        undo += _loosened(library)
        members = _members(library, threads)
        if len(members) < threads:
            for step in reversed(undo):
                step()
            raise RefusedError(_too_few(who, len(members), threads))
        _spread(who, members, _place(library))
    return undo


def _loosened(library: Any) -> list[Callable[[], Any]]:
    """Switch off the settings that make regions smaller; return the function that restores them."""
    undo: list[Callable[[], Any]] = []
    if library.omp_get_dynamic():
        library.omp_set_dynamic(0)
        undo.append(lambda: library.omp_set_dynamic(1))
    if library.omp_get_max_active_levels() < 1:
        library.omp_set_max_active_levels(1)
        undo.append(lambda: library.omp_set_max_active_levels(0))
    return undo


def _members(library: Any, threads: int) -> set[int]:
    """Run a parallel region; return the system's numbers of the threads that took part.

    If the runtime has no call for a region (GOMP_parallel), return invented numbers, one for each
    thread that the runtime reports.
    """
    region = getattr(library, "GOMP_parallel", None)
    if region is None:
        told = min(library.omp_get_thread_limit(), library.omp_get_max_threads(), threads)
        return set(range(-told, 0))
    members: set[int] = set()
    body = _Body(lambda _: members.add(threading.get_native_id()))
    region(body, None, ctypes.c_uint(threads), ctypes.c_uint(0))
    return members


def _place(library: Any) -> affinity.Mask | None:
    """Return the CPUs that the runtime bound the calling thread to; None where it bound none.

    The thread's own mask does not show this: it was restored after an earlier region.
    """
    try:
        number = library.omp_get_place_num()
        if number < 0:
            return None
        cpus = (ctypes.c_int * library.omp_get_place_num_procs(number))()
        library.omp_get_place_proc_ids(number, cpus)
    except AttributeError:  # before OpenMP 4.5
        return None
    return frozenset(cpus)


def _spread(who: str, members: set[int], place: affinity.Mask | None) -> None:
    """Unbind the threads of a team that share too few CPUs, such as all on the first."""
    start, leader = affinity.AT_START, threading.get_native_id()
    if start is None or len(members) > len(start):
        return
    masks = {thread: mask for thread in members if thread > 0 and (mask := affinity.of(thread))}
    if leader in masks and place:
        masks[leader] = place
    if affinity.apart(list(masks.values())):
        return
    freed = [affinity.change(thread, start) for thread in masks]
    if not all(freed):
        cpus = affinity.listed(frozenset().union(*masks.values()))
        cause = affinity.variable()
        way_out = f"unset {cause}" if cause else "start it with all CPUs"
        raise RefusedError(f"{who}: its {len(members)} threads share CPU {cpus} here; {way_out}")


def _too_few(who: str, threads: int, asked: int) -> str:
    several = "s" if threads > 1 else ""
    ran = f"{who} runs on {threads} thread{several} here, not {asked}"
    names = [name for name in LIMITS if os.environ.get(name)]
    if not names:
        return f"{ran}: OpenMP gives it no more; use {threads} thread{several}"
    cause = " and ".join(f"{name}={os.environ[name]}" for name in names)
    are, them = ("are", "them") if len(names) > 1 else ("is", "it")
    return f"{ran}: {cause} {are} set; unset {them}"
