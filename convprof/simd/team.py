"""A team of threads that runs compiled stages with a sub-microsecond launch.

A *program* is a row of stages; a stage is a compiled function and a range of tasks. The threads of
a team take chunks of tasks from a shared counter and meet at a barrier after every stage, so one
call from Python runs a whole strategy (pad, transform, multiply, ...).

Every stage has the same C signature, ``void stage(int64 lo, int64 hi, T **buffers, int64 *dims)``,
which is also the signature of numba's ``cfunc`` kernels.

Waiting workers spin for some tens of microseconds and then sleep on an event, so that a back to
back ``run()`` starts at once and an idle team costs nothing. Launch costs of this and of the
alternatives are in docs/decisions.md.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.simd.jit import Module
from convprof.simd.target import target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

STAGE_WORDS = 16
"""Words of 64 bits in a stage: function, lo, hi, buffers, dims, grain, then the shared task
counter on a cache line of its own. Grain 0: every member takes its share of the tasks, the same
in every such stage, so that it finds in its cache what it wrote in the one before."""

_COUNTER = 8
_LINE_WORDS = 8
_WORKERS_AT = 4 * _LINE_WORDS
SPINS = 1_000
"""Pauses before a waiting worker sleeps: about 50 µs where a pause takes 140 cycles."""

_PAUSE = {"x86_64": "pause", "aarch64": "yield"}

# Control block, one cache line each: [generation] [program, count, threads] [arrived] [stop],
# then a line per worker: [state, seen]. State 0: awake, 1: asleep, 2: claimed by a launch.
# Each word that is written by more than one thread is accessed atomically.
_IR = """
define internal void @pause() alwaysinline {
  %PAUSE%
  ret void
}

define internal void @work(ptr %ctl, i64 %member) {
entry:
  %leader = icmp eq i64 %member, 0
  %pp = getelementptr i64, ptr %ctl, i64 8
  %program = load ptr, ptr %pp
  %cp = getelementptr i64, ptr %ctl, i64 9
  %count = load i64, ptr %cp
  %tp = getelementptr i64, ptr %ctl, i64 10
  %threads = load i64, ptr %tp
  %arrived = getelementptr i64, ptr %ctl, i64 16
  br label %stage
stage:
  %s = phi i64 [ 0, %entry ], [ %s1, %passed ]
  %target = phi i64 [ %threads, %entry ], [ %target1, %passed ]
  %word = mul i64 %s, 16
  %st = getelementptr i64, ptr %program, i64 %word
  %fn = load ptr, ptr %st
  %hp = getelementptr i64, ptr %st, i64 2
  %hi = load i64, ptr %hp
  %bp = getelementptr i64, ptr %st, i64 3
  %buffers = load ptr, ptr %bp
  %dp = getelementptr i64, ptr %st, i64 4
  %dims = load ptr, ptr %dp
  %gp = getelementptr i64, ptr %st, i64 5
  %grain = load i64, ptr %gp
  %counter = getelementptr i64, ptr %st, i64 8
  %fixed = icmp eq i64 %grain, 0
  br i1 %fixed, label %share, label %take
share:
  %lop = getelementptr i64, ptr %st, i64 1
  %lo = load i64, ptr %lop
  %span = sub i64 %hi, %lo
  %end = add i64 %member, 1
  %first_work = mul i64 %span, %member
  %last_work = mul i64 %span, %end
  %first_off = sdiv i64 %first_work, %threads
  %last_off = sdiv i64 %last_work, %threads
  %first = add i64 %lo, %first_off
  %last_task = add i64 %lo, %last_off
  %mine = icmp slt i64 %first, %last_task
  br i1 %mine, label %run_share, label %arrive
run_share:
  call void %fn(i64 %first, i64 %last_task, ptr %buffers, ptr %dims)
  br label %arrive
take:
  %from = atomicrmw add ptr %counter, i64 %grain monotonic
  %some = icmp slt i64 %from, %hi
  br i1 %some, label %run, label %arrive
run:
  %to0 = add i64 %from, %grain
  %less = icmp slt i64 %to0, %hi
  %to = select i1 %less, i64 %to0, i64 %hi
  call void %fn(i64 %from, i64 %to, ptr %buffers, ptr %dims)
  br label %take
arrive:
  %old = atomicrmw add ptr %arrived, i64 1 acq_rel
  %s1 = add i64 %s, 1
  %last = icmp eq i64 %s1, %count
  %notleader = xor i1 %leader, true
  %leave = and i1 %last, %notleader
  br i1 %leave, label %done, label %wait
wait:
  %now = load atomic i64, ptr %arrived acquire, align 8
  %all = icmp sge i64 %now, %target
  br i1 %all, label %passed, label %spin
spin:
  call void @pause()
  br label %wait
passed:
  %target1 = add i64 %target, %threads
  br i1 %last, label %done, label %stage
done:
  ret void
}

; Worker: serve launches until idle for too long (returns 0) or told to stop (returns 1).
define i64 @serve(ptr %ctl, i64 %worker, i64 %spins) {
entry:
  %w8 = mul i64 %worker, 8
  %wat = add i64 %w8, 32
  %state = getelementptr i64, ptr %ctl, i64 %wat
  %seenp = getelementptr i64, ptr %state, i64 1
  %stop_at = getelementptr i64, ptr %ctl, i64 24
  br label %idle
idle:
  br label %look
look:
  %n = phi i64 [ 0, %idle ], [ %n1, %again ]
  %seen = load i64, ptr %seenp
  %gen = load atomic i64, ptr %ctl acquire, align 8
  %new = icmp ne i64 %gen, %seen
  br i1 %new, label %go, label %nothing
go:
  store i64 %gen, ptr %seenp
  ; Free to be claimed again before the arrival that may let the leader start the next launch.
  store atomic i64 0, ptr %state release, align 8
  %member = add i64 %worker, 1
  call void @work(ptr %ctl, i64 %member)
  br label %idle
nothing:
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %end, label %patience
patience:
  call void @pause()
  %n1 = add i64 %n, 1
  %tired = icmp sge i64 %n1, %spins
  br i1 %tired, label %sleep, label %again
again:
  br label %look
sleep:
  %pair = cmpxchg ptr %state, i64 0, i64 1 seq_cst seq_cst
  %slept = extractvalue { i64, i1 } %pair, 1
  br i1 %slept, label %park, label %idle
park:
  ret i64 0
end:
  ret i64 1
}

; Leader: claim every worker, publish the program, take part, wait for all. Returns 0, or, when
; some worker sleeps, 1 with nothing started.
define i64 @launch(ptr %ctl, ptr %program, i64 %count, i64 %threads) {
entry:
  %workers = sub i64 %threads, 1
  br label %claim
claim:
  %w = phi i64 [ 0, %entry ], [ %w1, %claimed ]
  %enough = icmp sge i64 %w, %workers
  br i1 %enough, label %reset, label %try
try:
  %w8 = mul i64 %w, 8
  %wat = add i64 %w8, 32
  %state = getelementptr i64, ptr %ctl, i64 %wat
  %pair = cmpxchg ptr %state, i64 0, i64 2 seq_cst seq_cst
  %ok = extractvalue { i64, i1 } %pair, 1
  br i1 %ok, label %claimed, label %undo
claimed:
  %w1 = add i64 %w, 1
  br label %claim
undo:
  %u = phi i64 [ %w, %try ], [ %u1, %release ]
  %none = icmp sle i64 %u, 0
  br i1 %none, label %asleep, label %release
release:
  %u1 = sub i64 %u, 1
  %u8 = mul i64 %u1, 8
  %uat = add i64 %u8, 32
  %ustate = getelementptr i64, ptr %ctl, i64 %uat
  store atomic i64 0, ptr %ustate release, align 8
  br label %undo
asleep:
  ret i64 1
reset:
  %s = phi i64 [ 0, %claim ], [ %s1, %one ]
  %ready = icmp sge i64 %s, %count
  br i1 %ready, label %publish, label %one
one:
  %word = mul i64 %s, 16
  %st = getelementptr i64, ptr %program, i64 %word
  %lp = getelementptr i64, ptr %st, i64 1
  %lo = load i64, ptr %lp
  %counter = getelementptr i64, ptr %st, i64 8
  store i64 %lo, ptr %counter
  %s1 = add i64 %s, 1
  br label %reset
publish:
  %pp = getelementptr i64, ptr %ctl, i64 8
  store ptr %program, ptr %pp
  %cp = getelementptr i64, ptr %ctl, i64 9
  store i64 %count, ptr %cp
  %tp = getelementptr i64, ptr %ctl, i64 10
  store i64 %threads, ptr %tp
  %arrived = getelementptr i64, ptr %ctl, i64 16
  store atomic i64 0, ptr %arrived release, align 8
  %g = atomicrmw add ptr %ctl, i64 1 seq_cst
  call void @work(ptr %ctl, i64 0)
  ret i64 0
}

; One thread: no counter, no barrier, each stage in one call.
define void @solo(ptr %program, i64 %count) {
entry:
  br label %stage
stage:
  %s = phi i64 [ 0, %entry ], [ %s1, %stage ]
  %word = mul i64 %s, 16
  %st = getelementptr i64, ptr %program, i64 %word
  %fn = load ptr, ptr %st
  %lp = getelementptr i64, ptr %st, i64 1
  %lo = load i64, ptr %lp
  %hp = getelementptr i64, ptr %st, i64 2
  %hi = load i64, ptr %hp
  %bp = getelementptr i64, ptr %st, i64 3
  %buffers = load ptr, ptr %bp
  %dp = getelementptr i64, ptr %st, i64 4
  %dims = load ptr, ptr %dp
  call void %fn(i64 %lo, i64 %hi, ptr %buffers, ptr %dims)
  %s1 = add i64 %s, 1
  %more = icmp slt i64 %s1, %count
  br i1 %more, label %stage, label %done
done:
  ret void
}
"""


@functools.cache
def _module() -> Module:
    instruction = _PAUSE.get(target().arch)
    pause = f'call void asm sideeffect "{instruction}", ""()' if instruction else ""
    return Module(_IR.replace("%PAUSE%", pause))


@functools.cache
def _functions() -> tuple[Any, Any, Any]:
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    module = _module()
    return (
        module.function("solo", None, pointer, word),
        module.function("launch", word, pointer, pointer, word, word),
        module.function("serve", word, pointer, word, word),
    )


def _aligned_words(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return zeroed int64 words that start on a cache line."""
    raw = np.zeros(count + _LINE_WORDS, dtype=np.int64)
    skip = (-raw.ctypes.data // 8) % _LINE_WORDS
    return raw[skip : skip + count]


class Work(NamedTuple):
    """One stage of a program."""

    address: int
    """Of the stage function."""
    lo: int
    hi: int
    buffers: int
    """Address of the table of pointers."""
    dims: int
    """Address of the table of integers."""
    fixed: bool = False
    """Whether each member takes the same share of the tasks in every such stage."""


class Program:
    """Stages in machine form; owns nothing but the table, the caller keeps the buffers alive."""

    def __init__(self, stages: Sequence[Work | Iterable[int]], threads: int) -> None:
        """Build from stages (or their fields), chunked for ``threads``."""
        self.count = len(stages)
        self._table = _aligned_words(max(1, self.count) * STAGE_WORDS)
        self.address = int(self._table.ctypes.data)
        for row, (function, lo, hi, buffers, dims, fixed) in enumerate(Work(*s) for s in stages):
            # Four chunks a thread: enough to even out a disturbed core, few enough to be free.
            grain = 0 if fixed else max(1, -(-(hi - lo) // (4 * threads)))
            at = row * STAGE_WORDS
            self._table[at : at + 6] = (function, lo, hi, buffers, dims, grain)


class Team:
    """``threads`` threads that run programs together; the calling thread is one of them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._solo, self._launch, self._serve = _functions()
        self._control = _aligned_words(_WORKERS_AT + _LINE_WORDS * threads)
        self._address = int(self._control.ctypes.data)
        self._events = [threading.Event() for _ in range(threads - 1)]
        self._threads = [
            threading.Thread(target=self._worker, args=(index,), daemon=True)
            for index in range(threads - 1)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def run(self, program: Program) -> None:
        """Run every stage of ``program``, all threads passing each before the next begins."""
        if self.threads == 1:
            self._solo(program.address, program.count)
            return
        while self._launch(self._address, program.address, program.count, self.threads):
            self._wake()

    def close(self) -> None:
        """Stop the worker threads; the team cannot run again."""
        self._control[3 * _LINE_WORDS] = 1
        for event in self._events:  # all of them: one may be falling asleep right now
            event.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _wake(self) -> None:
        """Wake the workers that sleep, away from the leader's core.

        A worker woken on the core of a leader that spins for it would wait for the scheduler: some
        4 to 8 ms at each such wake, one in thirty on two cores.
        """
        elsewhere = _other_cores()
        for index, event in enumerate(self._events):
            state = _WORKERS_AT + _LINE_WORDS * index
            if self._control[state] == 1:
                thread = self._threads[index].native_id
                if elsewhere and thread is not None:
                    _move(thread, elsewhere)
                self._control[state] = 0
                event.set()

    def _worker(self, index: int) -> None:
        event = self._events[index]
        while not self._serve(self._address, index, SPINS):
            event.wait()
            event.clear()


@functools.cache
def _current_core() -> Callable[[], int] | None:
    """Return the C library's function that names the core of the caller; None where it has none."""
    if sys.platform != "linux":
        return None
    try:
        function: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None
    return function


def _other_cores() -> set[int]:
    """Return the cores this process may use but the caller's; empty where that is unknown."""
    where = _current_core()
    if where is None or sys.platform != "linux":
        return set()
    return os.sched_getaffinity(os.getpid()) - {where()}


def _move(thread: int, cores: set[int]) -> None:
    """Let a thread of this process run on ``cores`` only; where that is forbidden, anywhere."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setaffinity(thread, cores)


@functools.cache
def team(threads: int) -> Team:
    """Return the process's team of that size, made at the first call."""
    return Team(threads)
