"""A cache line that two threads write in turn: the way of a signal from one core to another."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from convprof.codegen.jit import Module

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SPINS = 1 << 30
"""Loads without a signal before a thread gives up: about a second, if a load takes a nanosecond."""

# The thread of turn 0 writes odd numbers, the thread of turn 1 even ones. Returns 0, or 1 if the
# other thread did not answer.
_IR = """
define i64 @play(ptr %line, i64 %turn, i64 %trips) {
entry:
  %twice = mul i64 %trips, 2
  %none = icmp sge i64 %turn, %twice
  br i1 %none, label %done, label %trip
trip:
  %seen = phi i64 [ %turn, %entry ], [ %next, %signal ]
  br label %wait
wait:
  %spins = phi i64 [ 0, %trip ], [ %more, %again ]
  %now = load atomic i64, ptr %line acquire, align 8
  %mine = icmp eq i64 %now, %seen
  br i1 %mine, label %signal, label %again
again:
  %more = add i64 %spins, 1
  %lost = icmp sge i64 %more, %MOST%
  br i1 %lost, label %alone, label %wait
signal:
  %answer = add i64 %seen, 1
  store atomic i64 %answer, ptr %line release, align 8
  %next = add i64 %seen, 2
  %further = icmp slt i64 %next, %twice
  br i1 %further, label %trip, label %done
done:
  ret i64 0
alone:
  ret i64 1
}
"""


@functools.cache
def play() -> Callable[..., Any]:
    """Return ``play(line, turn, trips)``, which releases the GIL.

    The two threads call it with turns 0 and 1 on the address of a zeroed 64-bit word.
    """
    module = Module(_IR.replace("%MOST%", str(MOST_SPINS)))
    return module.function("play", ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
