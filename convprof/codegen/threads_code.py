"""The machine code of the thread team: what a worker, the leader and a single thread run."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from convprof.codegen.jit import Module
from convprof.codegen.target import target

_PAUSE = {"x86_64": "pause", "aarch64": "yield"}

SPINS = 1_000
"""Pauses of a thread before it sleeps (a worker) or gives way (at a barrier).

About 50 µs if a pause takes 140 cycles."""

# Each stage begins at the same place in a cache line of its stack (alignstack): a spilled vector
# that crosses two lines costs up to a quarter of a loop nest's speed, and without it the address
# space and the environment variables of each process would decide about that.
#
# At a barrier, a thread spins for longer than barriers usually take. Then it lets other
# threads have its CPU again and again: the thread that it waits for may need one.
#
# Control block, one cache line each: [generation] [program, count, threads] [arrived] [stop],
# then a line per worker: [state, seen]. State 0: awake, 1: asleep, 2: claimed by a launch.
# Each word that is written by more than one thread is accessed atomically.
_IR = """
define internal void @pause() alwaysinline {
  %PAUSE%
  ret void
}

define internal void @give_way() alwaysinline {
  %GIVE_WAY%
  ret void
}

define internal void @work(ptr %ctl, i64 %member) noinline alignstack(64) {
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
  %n = phi i64 [ 0, %arrive ], [ %n1, %spin ], [ %n1, %yield ]
  %now = load atomic i64, ptr %arrived acquire, align 8
  %all = icmp sge i64 %now, %target
  br i1 %all, label %passed, label %spin
spin:
  call void @pause()
  %n1 = add i64 %n, 1
  %long = icmp sge i64 %n1, %SPINS%
  br i1 %long, label %yield, label %wait
yield:
  call void @give_way()
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
define void @solo(ptr %program, i64 %count) alignstack(64) {
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
    address = yield_address()
    give_way = f"call i32 inttoptr (i64 {address} to ptr)()" if address else ""
    texts = {"%PAUSE%": pause, "%GIVE_WAY%": give_way, "%SPINS%": str(SPINS)}
    ir = _IR
    for place, text in texts.items():
        ir = ir.replace(place, text)
    return Module(ir)


def yield_address() -> int | None:
    """Return the address of the function that lets another thread have this thread's CPU.

    None where the C library has no such function: threads then spin only.
    """
    try:
        function = ctypes.CDLL(None).sched_yield
    except (OSError, TypeError, AttributeError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value


@functools.cache
def functions() -> tuple[Any, Any, Any]:
    """Return ``solo``, ``launch`` and ``serve`` as ctypes functions that release the GIL."""
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    module = _module()
    return (
        module.function("solo", None, pointer, word),
        module.function("launch", word, pointer, pointer, word, word),
        module.function("serve", word, pointer, word, word),
    )
