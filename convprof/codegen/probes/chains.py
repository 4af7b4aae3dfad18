"""Dependent instruction chains: loops with a known time in core cycles.

``add reg, reg`` takes one cycle on every out-of-order core that convprof supports, and its result
is the input of the next, so ``n`` additions take ``n`` cycles on any core. The form with an
immediate operand is not usable: recent Intel cores fold ``add reg, imm`` at register rename and run
such a chain many times faster than one a cycle.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from convprof.codegen.jit import Module
from convprof.codegen.target import target

if TYPE_CHECKING:
    from collections.abc import Callable

ADDS_PER_ITERATION = 128
"""Additions per iteration; the loop counter runs in parallel with the chain and costs nothing."""

_ADD = {
    "x86_64": ("addq $1, $0", "=r,r,0,~{dirflag},~{fpsr},~{flags}"),
    "aarch64": ("add $0, $0, $1", "=r,r,0"),
}


_TIED_ADD = {
    "x86_64": ("addq $2, $0", "=r,=v,r,0,1,~{dirflag},~{fpsr},~{flags}"),
    "aarch64": ("add $0, $0, $2", "=r,=w,r,0,1"),
}
"""The same instruction, with a vector register as unchanged input and output."""


def tied_add(result: str, step: str, operand: str, tie: str, vector: str) -> list[str]:
    """Return the IR of ``result = operand + step`` as one add instruction; [] where unknown.

    ``{result}_tie`` equals the vector ``tie`` of type ``vector``. Code that uses it cannot be moved
    before the addition, and the addition cannot be moved before the code that computes ``tie``.
    Without this dependency LLVM's scheduling models of AMD's CPUs collect all additions in one
    place of the loop.
    """
    spelled = _TIED_ADD.get(target().arch)
    if spelled is None:
        return []
    add, constraints = spelled
    both = f"{{i64, {vector}}}"
    operands = f"i64 {step}, i64 {operand}, {vector} {tie}"
    return [
        f'{result}_both = call {both} asm sideeffect "{add}", "{constraints}"({operands})',
        f"{result} = extractvalue {both} {result}_both, 0",
        f"{result}_tie = extractvalue {both} {result}_both, 1",
    ]


def plain_add(result: str, step: str, operand: str) -> str:
    """Return the IR of ``result = operand + step`` as one add instruction, in its place."""
    add, constraints = _ADD[target().arch]
    return f'{result} = call i64 asm sideeffect "{add}", "{constraints}"(i64 {step}, i64 {operand})'


_IR = """
define i64 @chain(i64 %iterations, i64 %step) {{
entry:
  %none = icmp sle i64 %iterations, 0
  br i1 %none, label %done, label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %x = phi i64 [ %step, %entry ], [ %y, %loop ]
  %y = call i64 asm sideeffect ".rept {count}\\0A {add}\\0A .endr", "{constraints}"(i64 %step, i64 %x)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %iterations
  br i1 %more, label %loop, label %done
done:
  %r = phi i64 [ 0, %entry ], [ %y, %loop ]
  ret i64 %r
}}
"""  # noqa: E501


@functools.cache
def add_chain() -> Callable[[int, int], Any] | None:
    """Return ``chain(iterations, step)`` of ``iterations * ADDS_PER_ITERATION`` core cycles.

    None on an architecture without a known add instruction.
    """
    spelled = _ADD.get(target().arch)
    if spelled is None:
        return None
    add, constraints = spelled
    ir = _IR.format(count=ADDS_PER_ITERATION, add=add, constraints=constraints)
    return Module(ir).function("chain", ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
