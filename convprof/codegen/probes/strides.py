"""Scalar products of two rows with a vector: each element is read once, in the order of a stride.

    y[0] = sum a[t] * b[t],   y[1] = sum a[run + t] * b[t]

A pass reads every ``stride``-th element; the next pass starts one cache line later, and when all
lines between two elements of a pass have been read, one element later. So with any stride every
element is read once, and a line is read again only after all other lines: the working set is the
same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import dtypes
from convprof.codegen.jit import Module

if TYPE_CHECKING:
    from convprof.dtypes import DType

UNROLL = 8
"""Elements of each row per iteration: with two rows, 16 independent sums."""
ROWS = 2


@dataclass(frozen=True)
class StrideKernel:
    """A compiled loop with the team's calling convention ``(lo, hi, buffers, dims)``.

    ``buffers``: a, b, y. ``dims``: elements of a row, a multiple of ``UNROLL * stride``; the number
    of repetitions.
    """

    module: Module
    stride: int
    address: int


@functools.cache
def stride_kernel(dtype: str, stride: int, line: int) -> StrideKernel:
    """Compile the loop; ``stride`` and ``line`` in elements, powers of two."""
    module = Module(_ir(dtypes.find(dtype), stride, line))
    return StrideKernel(module, stride, module.address("strided"))


def _ir(kind: DType, stride: int, line: int) -> str:
    """Return the loop over repetitions, and inside it the loop over the elements of the rows."""
    element, size = kind.llvm, kind.bytes
    suffix = f"f{8 * size}"
    chains = [(row, u) for row in range(ROWS) for u in range(UNROLL)]
    phis = "\n".join(
        f"  %s{r}_{u} = phi {element} [ 0.0, %sweep ], [ %n{r}_{u}, %loop ]" for r, u in chains
    )
    body = "\n".join(_step(element, suffix, size, u, u * stride) for u in range(UNROLL))
    sums = "\n".join(_total(element, row) for row in range(ROWS))
    return f"""
declare {element} @llvm.fmuladd.{suffix}({element}, {element}, {element})
define void @strided(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
{_operands(element)}
  br label %sweep
sweep:
  %k = phi i64 [ 0, %entry ], [ %k1, %swept ]
  br label %loop
loop:
  %i = phi i64 [ 0, %sweep ], [ %i1, %loop ]
  %at = phi i64 [ 0, %sweep ], [ %at3, %loop ]
{phis}
  %pa0 = getelementptr {element}, ptr %a, i64 %at
  %pa1 = getelementptr {element}, ptr %a1, i64 %at
  %pb = getelementptr {element}, ptr %b, i64 %at
{body}
{_advance(stride, min(line, stride))}
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %iterations
  br i1 %more, label %loop, label %swept
swept:
{sums}
  %k1 = add i64 %k, 1
  %again = icmp ult i64 %k1, %times
  br i1 %again, label %sweep, label %done
done:
  ret void
}}
!0 = !{{}}
"""


def _operands(element: str) -> str:
    """Return the loads of the pointers and of the lengths."""
    return f"""  %a = load ptr, ptr %buffers
  %bp = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %bp
  %yp = getelementptr ptr, ptr %buffers, i64 2
  %y = load ptr, ptr %yp
  %run = load i64, ptr %dims
  %tp = getelementptr i64, ptr %dims, i64 1
  %times = load i64, ptr %tp
  %a1 = getelementptr {element}, ptr %a, i64 %run
  %iterations = udiv i64 %run, {UNROLL}"""


def _advance(stride: int, further: int) -> str:
    """Return the next place: ``UNROLL`` elements of the pass on, or the start of the next pass.

    At the end of a pass, ``at`` is beyond the row. The remainder of ``at`` by the stride is the
    start of that pass; the next pass starts ``further`` elements later.
    """
    return f"""  %at1 = add i64 %at, {UNROLL * stride}
  %wrap = icmp uge i64 %at1, %run
  %phase = and i64 %at, {stride - 1}
  %next = add i64 %phase, {further}
  %over = icmp uge i64 %next, {stride}
  %within = and i64 %next, {further - 1}
  %shifted = add i64 %within, 1
  %begin = select i1 %over, i64 %shifted, i64 %next
  %at3 = select i1 %wrap, i64 %begin, i64 %at1, !unpredictable !0"""


def _step(element: str, suffix: str, size: int, u: int, offset: int) -> str:
    """Return the loads and multiply-adds of one element of each row."""
    lines = [
        f"  %qb{u} = getelementptr {element}, ptr %pb, i64 {offset}",
        f"  %vb{u} = load volatile {element}, ptr %qb{u}, align {size}",
    ]
    for row in range(ROWS):
        operands = f"{element} %v{row}_{u}, {element} %vb{u}, {element} %s{row}_{u}"
        lines += [
            f"  %q{row}_{u} = getelementptr {element}, ptr %pa{row}, i64 {offset}",
            f"  %v{row}_{u} = load volatile {element}, ptr %q{row}_{u}, align {size}",
            f"  %n{row}_{u} = call {element} @llvm.fmuladd.{suffix}({operands})",
        ]
    return "\n".join(lines)


def _total(element: str, row: int) -> str:
    """Return the code that adds a row's partial sums and stores the total."""
    lines, total = [], f"%n{row}_0"
    for u in range(1, UNROLL):
        lines.append(f"  %t{row}_{u} = fadd {element} {total}, %n{row}_{u}")
        total = f"%t{row}_{u}"
    lines.append(f"  %y{row} = getelementptr {element}, ptr %y, i64 {row}")
    lines.append(f"  store {element} {total}, ptr %y{row}")
    return "\n".join(lines)
