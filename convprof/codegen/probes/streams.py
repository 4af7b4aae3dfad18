"""The kernels of the bandwidth ceilings: load, store, copy and triad over arrays.

One loop without an inner loop runs for the requested time. At the end of the arrays a conditional
move sets its offset to 0, so that a small working set costs no mispredicted branch per pass. An
iteration has enough vectors for the ports or the cache to be the limit.

``load``   reads ``a``; ``store`` writes ``a``; ``copy`` is ``b = a``; ``triad`` is
``c = a + s * b`` (McCalpin 1995, STREAM).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from convprof.codegen.jit import Module

Operation = Literal["load", "store", "copy", "triad"]

ARRAYS: dict[Operation, int] = {"load": 1, "store": 1, "copy": 2, "triad": 3}
"""Operation -> number of arrays; each byte of an array is loaded or stored once."""

ITERATION_BYTES = 1024
"""Bytes of each array per iteration: 16 vectors of 512 bits, 64 of 128 bits."""

ONES = "splat (float 1.0)"
"""The stored value: lines of zeros are faster to evict on some cores."""

_ELEMENT_BYTES = 4


@dataclass(frozen=True)
class StreamKernel:
    """A compiled loop with the team's calling convention ``(lo, hi, buffers, dims)``.

    Task ``i`` uses a part of each array in ``buffers``: ``dims[1]`` bytes from byte ``i * dims[0]``
    on, a multiple of ``ITERATION_BYTES``. It starts ``dims[2]`` bytes after the start of the part,
    runs ``dims[3]`` iterations, and continues at the start when it reaches the end.
    """

    module: Module
    operation: Operation
    address: int

    @property
    def bytes_per_iteration(self) -> int:
        """Bytes loaded and stored per iteration by the program's instructions."""
        return ARRAYS[self.operation] * ITERATION_BYTES


@functools.cache
def stream_kernel(operation: Operation, bits: int, *, fused: bool = True) -> StreamKernel:
    """Compile the loop in vectors of ``bits`` bits; ``fused``: a triad uses multiply-adds."""
    module = Module(_ir(operation, bits, fused=fused))
    return StreamKernel(module, operation, module.address("stream"))


def _ir(operation: Operation, bits: int, *, fused: bool) -> str:
    """Return the loop over the tasks, and inside it the loop over the bytes of a task."""
    lanes = bits // (8 * _ELEMENT_BYTES)
    vector = f"<{lanes} x float>"
    fma = f"@llvm.fma.v{lanes}f32"
    body = "\n".join(
        line
        for at in range(0, ITERATION_BYTES, bits // 8)
        for line in _step(operation, vector, fma if fused else None, at)
    )
    return f"""
declare {vector} {fma}({vector}, {vector}, {vector})
define void @stream(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
{_lengths()}
  br label %task
task:
  %t = phi i64 [ %lo, %entry ], [ %t1, %next ]
  %some = icmp slt i64 %t, %hi
  br i1 %some, label %begin, label %end
begin:
  %skip = mul i64 %t, %stride
{_arrays(ARRAYS[operation])}
  br label %loop
loop:
  %i = phi i64 [ 0, %begin ], [ %i1, %loop ]
  %at = phi i64 [ %start, %begin ], [ %at2, %loop ]
{body}
  %at1 = add i64 %at, {ITERATION_BYTES}
  %wrap = icmp sge i64 %at1, %bytes
  %at2 = select i1 %wrap, i64 0, i64 %at1, !unpredictable !0
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %iterations
  br i1 %more, label %loop, label %next
next:
  %t1 = add i64 %t, 1
  br label %task
end:
  ret void
}}
!0 = !{{}}
"""


def _lengths() -> str:
    """Return the loads of the integers in ``dims``."""
    return """  %stride = load i64, ptr %dims
  %bytes_p = getelementptr i64, ptr %dims, i64 1
  %bytes = load i64, ptr %bytes_p
  %start_p = getelementptr i64, ptr %dims, i64 2
  %start = load i64, ptr %start_p
  %iterations_p = getelementptr i64, ptr %dims, i64 3
  %iterations = load i64, ptr %iterations_p"""


def _arrays(count: int) -> str:
    """Return the code that finds a task's parts of the arrays."""
    return "\n".join(
        f"  %slot{i} = getelementptr ptr, ptr %buffers, i64 {i}\n"
        f"  %base{i} = load ptr, ptr %slot{i}\n"
        f"  %array{i} = getelementptr i8, ptr %base{i}, i64 %skip"
        for i in range(count)
    )


def _step(operation: Operation, vector: str, fma: str | None, at: int) -> list[str]:
    """Return the instructions for the vectors at offset ``at`` of the iteration, in bytes."""

    def place(i: int) -> list[str]:
        return [
            f"  %iteration{i}_{at} = getelementptr i8, ptr %array{i}, i64 %at",
            f"  %p{i}_{at} = getelementptr i8, ptr %iteration{i}_{at}, i64 {at}",
        ]

    def load(i: int) -> list[str]:
        # Volatile: LLVM keeps loads whose value is not used.
        return [*place(i), f"  %v{i}_{at} = load volatile {vector}, ptr %p{i}_{at}, align 64"]

    def store(i: int, value: str) -> list[str]:
        return [*place(i), f"  store {vector} {value}, ptr %p{i}_{at}, align 64"]

    if operation == "load":
        return load(0)
    if operation == "store":
        return store(0, ONES)
    if operation == "copy":
        return [*load(0), *store(1, f"%v0_{at}")]
    a, b, half = f"%v0_{at}", f"%v1_{at}", "splat (float 0.5)"
    if fma is None:
        compute = [
            f"  %m_{at} = fmul {vector} {b}, {half}",
            f"  %s_{at} = fadd {vector} {a}, %m_{at}",
        ]
    else:
        operands = f"{vector} {b}, {vector} {half}, {vector} {a}"
        compute = [f"  %s_{at} = call {vector} {fma}({operands})"]
    return [*load(0), *load(1), *compute, *store(2, f"%s_{at}")]
