"""The first use of a library by a contestant: start its threads, without side effects."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from convprof.codegen import affinity, spare_threads
from convprof.errors import RefusedError
from convprof.strategies import forks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.strategies.base import Prepared

OWN_POOLS = {"onnxruntime"}
"""Libraries that start threads for each model, also in a child made by ``fork``."""
POOLS = {"torch": 2}
"""Thread pools of a library, if more than one: PyTorch has OpenMP's and pthreadpool's. Both end the
process if a thread does not start."""
_started: dict[str, int] = {}
"""Threads that a library has started, by library; the library never ends them."""


@contextlib.contextmanager
def first_use(prepared: Prepared, library: str) -> Iterator[None]:
    """Let a library start its threads and run once.

    RefusedError if they cannot start, or are in the parent of this forked process.
    The calling thread's CPUs do not change.
    """
    threads = prepared.setting.threads
    if library not in OWN_POOLS:
        forks.check(library, threads)
    need_threads(library, threads)
    with affinity.restored(threads):
        yield
    forks.note(library, threads, prepared)


def need_threads(library: str, threads: int) -> None:
    """Raise RefusedError unless the threads can start: many libraries would end the process."""
    if threads <= _started.get(library, 1):
        return
    more = POOLS.get(library, 1) * (threads - 1)
    startable = spare_threads.startable(more)
    if startable < more:
        raise RefusedError(
            f"{library} starts {more} thread{'s' if more > 1 else ''} for {threads} threads, and "
            f"the system allows this process {startable}: raise the limit (ulimit -u, pids.max) or "
            f"use fewer threads"
        )
    if library not in OWN_POOLS:
        _started[library] = threads
