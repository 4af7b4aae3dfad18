"""A team of threads that runs compiled stages with a sub-microsecond launch.

A *program* is a row of stages; a stage is a compiled function and a range of tasks. The threads of
a team take chunks of tasks from a shared counter and wait at a barrier after every stage, so one
call from Python runs a whole strategy (pad, transform, multiply, ...).

Every stage has the same C signature, ``void stage(int64 lo, int64 hi, T **buffers, int64 *dims)``,
which is also the signature of numba's ``cfunc`` kernels.

Waiting workers spin for some tens of microseconds and then sleep on a lock, so that the next
``run()`` of a series starts at once and an idle team costs nothing. A thread that waits longer at a
barrier lets other threads have its CPU: on a busy machine, the last one may need a CPU. The launch
costs of this team and of its alternatives are in docs/decisions.md.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen import affinity, nodes
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.threads_code import SPINS, functions
from convprof.errors import ThreadsError
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STAGE_WORDS = 16
"""Words of 64 bits in a stage: function, lo, hi, buffers, dims, grain, then the shared task counter
on a cache line of its own. Grain 0: every member takes its share of the tasks, the same in every
such stage, so that its cache holds the data that it wrote in the stage before."""

_LINE_WORDS = LINE_BYTES // 8
_STOP = 3 * _LINE_WORDS
_WORKERS_AT = 4 * _LINE_WORDS
_AWAKE, _ASLEEP = 0, 1


def _aligned_words(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return zeroed int64 words that start on a cache line."""
    raw = np.zeros(count + _LINE_WORDS, dtype=np.int64)
    skip = (-raw.ctypes.data // 8) % _LINE_WORDS
    return raw[skip : skip + count]


class Work(NamedTuple):
    """One stage of a program."""

    address: int
    """Address of the stage function."""
    lo: int
    hi: int
    buffers: int
    """Address of the table of pointers."""
    dims: int
    """Address of the table of integers."""
    fixed: bool = False
    """Whether each member takes the same share of the tasks in every such stage."""


def chunk(tasks: int, threads: int) -> int:
    """Return the number of tasks that a free thread takes next.

    Four chunks per thread: enough to balance a disturbed core, and so few that they cost nothing.
    """
    return max(1, ceil_div(tasks, 4 * threads))


class Program:
    """Stages in machine form; a program owns its table only, and the caller owns the buffers."""

    def __init__(self, stages: Sequence[Work | Iterable[int]], threads: int) -> None:
        """Build from stages (or their fields), chunked for ``threads``."""
        self.count = len(stages)
        self._table = _aligned_words(max(1, self.count) * STAGE_WORDS)
        self.address = int(self._table.ctypes.data)
        for row, (function, lo, hi, buffers, dims, fixed) in enumerate(Work(*s) for s in stages):
            grain = 0 if fixed else chunk(hi - lo, threads)
            at = row * STAGE_WORDS
            self._table[at : at + 6] = (function, lo, hi, buffers, dims, grain)


class Team:
    """``threads`` threads that run programs together; the calling thread is one of them.

    Several Python threads may call ``run``: one of them at a time is the leader, the others wait.
    In a child made by ``fork`` the workers are started again at the first ``run``.
    """

    def __init__(self, threads: int) -> None:
        """Start the workers; ``ThreadsError`` if the system does not allow them."""
        self.threads = threads
        self._solo, self._launch, self._serve = functions()
        self._control = _aligned_words(_WORKERS_AT + _LINE_WORDS * threads)
        self._address = int(self._control.ctypes.data)
        self._turn = threading.Lock()
        self._closed = False
        self._locks: list[threading.Lock] = []
        self._threads: list[threading.Thread] = []
        self._fall_asleep()
        self._start()
        _teams.add(self)
        atexit.register(self.close)

    def run(self, program: Program) -> None:
        """Run every stage of ``program``, with a barrier of all threads between the stages."""
        if self.threads > 1:
            with self._turn:
                if not self._closed:
                    address, count = program.address, program.count
                    while self._launch(self._address, address, count, self.threads):
                        self._wake()
                    return
        self._solo(program.address, program.count)

    def close(self) -> None:
        """Stop the worker threads. Programs that still run at exit use the calling thread alone."""
        with self._turn:
            self._closed = True
            self._stop()

    def _stop(self) -> None:
        self._control[_STOP] = 1
        for lock in self._locks:  # all of them: a worker may fall asleep at this moment
            with contextlib.suppress(RuntimeError):  # the lock is open already
                lock.release()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def forget(self) -> None:
        """Note that this process is a child made by ``fork``, without the workers.

        The next launch treats them as asleep, and waking starts them.
        """
        self._turn = threading.Lock()
        self._threads, self._locks = [], []
        self._fall_asleep()

    def _fall_asleep(self) -> None:
        """Record that every worker waits at its lock, and has finished every launch so far."""
        for index in range(self.threads - 1):
            state = _WORKERS_AT + _LINE_WORDS * index
            self._control[state : state + 2] = _ASLEEP, self._control[0]

    def _start(self) -> None:
        """Start the workers; each waits at its lock until it is woken."""
        self._control[_STOP] = 0
        locks = [threading.Lock() for _ in range(self.threads - 1)]
        threads: list[threading.Thread] = []
        # A library may have bound the calling thread to a single CPU.
        with affinity.restored(self.threads):
            for index, lock in enumerate(locks):
                lock.acquire()
                thread = threading.Thread(target=self._worker, args=(index, lock), daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    self._locks, self._threads = locks, threads
                    self._stop()
                    raise ThreadsError.of(self.threads) from error
                threads.append(thread)
        self._locks, self._threads = locks, threads

    def _wake(self) -> None:
        """Wake the sleeping workers on their nodes, on other CPUs than the leader's.

        On the CPU of the spinning leader, a worker would wait for the scheduler: 4 to 8 ms, in one
        of thirty launches on two cores.
        """
        if not self._threads:  # after a fork
            self._start()
        cpus = worker_cpus(self.threads)
        for index, lock in enumerate(self._locks):
            state = _WORKERS_AT + _LINE_WORDS * index
            if self._control[state] == _ASLEEP:
                thread = self._threads[index].native_id
                if cpus[index] and thread is not None:
                    affinity.change(thread, cpus[index])
                # Ctrl-C must come before both or after both. Both are one step of the interpreter,
                # which checks signals after a call; a threading.Event would be a call in Python.
                self._control[state] = _AWAKE
                lock.release()

    def _worker(self, index: int, lock: threading.Lock) -> None:
        lock.acquire()
        while not self._serve(self._address, index, SPINS):
            lock.acquire()


_teams: weakref.WeakSet[Team] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_teams):
        one.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def worker_cpus(threads: int) -> list[frozenset[int]]:
    """Return the CPUs of each worker of a team: all CPUs of its node but the caller's.

    A caller that has left the node of its team is moved back. No CPUs mean that a worker stays
    where it is.
    """
    places, here = nodes.places(threads), affinity.current_cpu()
    if not places or here is None:
        return [frozenset()] * (threads - 1)
    if here not in places[0].cpus:
        with affinity.inside(places[0].cpus):
            here = affinity.current_cpu()
    return [place.cpus - {here} for place in places[1:]]


def team(threads: int) -> Team:
    """Return the process's team of a size on the CPUs of the caller; the first call creates it.

    Callers on different CPUs have different teams, and need not wait for each other.
    """
    return _team(threads, affinity.allowed(threads) if threads > 1 else None)


@functools.cache
def _team(threads: int, cpus: affinity.Mask | None) -> Team:  # noqa: ARG001  # a key
    return Team(threads)
