"""The first use of a library by something prepared: with its threads, and without side effects."""

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
"""Pools of threads in a library, where there are several: PyTorch has OpenMP's and pthreadpool's,
and either ends the process where a thread does not start."""
_started: dict[str, int] = {}
"""Threads that a library is known to have started, by library; it keeps them."""


@contextlib.contextmanager
def first_use(prepared: Prepared, library: str) -> Iterator[None]:
    """Let a library start its threads and run once.

    RefusedError where they cannot start, or stayed in the process that this one was forked from.
    The calling thread has the same CPUs afterwards as before.
    """
    threads = prepared.setting.threads
    if library not in OWN_POOLS:
        forks.check(library, threads)
    need_threads(library, threads)
    with affinity.kept(threads):
        yield
    forks.note(library, threads, prepared)


def need_threads(library: str, threads: int) -> None:
    """Raise RefusedError unless so many threads can start: many libraries end the process then."""
    if threads <= _started.get(library, 1):
        return
    more = POOLS.get(library, 1) * (threads - 1)
    found = spare_threads.startable(more)
    if found < more:
        raise RefusedError(
            f"{library} starts {more} thread{'s' if more > 1 else ''} for {threads} threads, and "
            f"the system allows this process {found}: raise the limit (ulimit -u, pids.max) or use "
            f"fewer threads"
        )
    if library not in OWN_POOLS:
        _started[library] = threads
