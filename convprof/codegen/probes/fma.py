"""The kernel of the FLOP/s ceiling: independent fused multiply-adds only.

Of short elements, the instructions of the register tiles.

A chain of dependent scalar additions, one core cycle each, may run in the same loop. If the chain
is the slower part, the time of the loop gives the core clock *during* the vector load: wide vectors
lower the clock of many cores, which rises again within microseconds after them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import dtypes
from convprof.codegen import isa as isas
from convprof.codegen.architecture import ARM
from convprof.codegen.jit import Module
from convprof.codegen.kernels.f16_blocks import MANY
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.probes.chains import tied_add
from convprof.codegen.target import target
from convprof.codegen.writer import Writer

if TYPE_CHECKING:
    from convprof.dtypes import DType

CHAINS = 12
"""Independent accumulators. FMA latency x ports is at most 4 x 2 = 8 on the x86 cores of the
last ten years and 4 x 4 on wide AArch64 ones; 12 fit into 16 registers with room for operands."""
UNFUSED_CHAINS = 14
"""Independent accumulators for separate multiplications and additions: a latency of 8 cycles, on up
to three ports. This is the number that fits 16 registers with the two operands."""

UNROLL = 4
"""Updates of every accumulator per iteration, so that the loop counter costs nothing."""


@dataclass(frozen=True)
class FmaKernel:
    """A compiled peak kernel with the team's calling convention ``(lo, hi, buffers, dims)``.

    One task is ``dims[0]`` iterations of the loop; ``buffers[0]`` holds the operands.
    """

    module: Module
    operand_bytes: int
    """Bytes of the operands."""
    flops_at_once: int
    """Operations of one instruction, 2 per product; or of as many as multiply and add together."""
    chains: int
    """Independent accumulators."""
    adds: int
    """Dependent additions per iteration."""
    address: int
    unroll: int = UNROLL
    """Updates of every accumulator per iteration."""

    @property
    def flops_per_iteration(self) -> int:
        """FLOPs in one iteration of the loop (1 FMA = 2 FLOPs)."""
        return self.flops_at_once * self.chains * self.unroll


def way(dtype: str, bits: int) -> Multiply:
    """Return how register tiles in vectors of ``bits`` bits multiply a type, or a mixture."""
    if dtype in dtypes.COMMON:
        return FMA
    return multiply(dtypes.types(dtype), isas.of_bits(bits), sums=MANY)


def flops_at_once(dtype: str, bits: int) -> int:
    """Return the operations of one instruction."""
    return way(dtype, bits).flops(bits // dtypes.types(dtype).accumulator.bits)


@functools.cache
def fma_kernel(
    dtype: str, bits: int, adds: int = 0, *, fused: bool = True, chains: int | None = None
) -> FmaKernel:
    """Compile the peak kernel for ``dtype`` (``f32``, ``u8:s8:s32``) in vectors of ``bits`` bits.

    ``adds`` dependent additions are distributed among the multiply-adds of an iteration. Without
    ``fused`` each is a multiplication and an addition, for a CPU without a fused instruction.
    ``chains`` accumulators are independent; by default enough for the peak.
    """
    kind, how = dtypes.types(dtype).accumulator, way(dtype, bits)
    if chains is None:
        chains = CHAINS if fused else UNFUSED_CHAINS
    w = Writer(kind, bits // kind.bits, fused=fused)
    # Two instructions of a narrow ISA must not become one of a wider ISA.
    without = () if how == FMA else isas.of_bits(bits).without
    module = Module(_peak_ir(kind, w, how, chains, adds), without)
    flops, address, sums = how.flops(w.lanes), module.address("peak"), how.sums(w)
    return FmaKernel(module, 2 * sums.lanes * sums.size, flops, chains, adds, address)


def _peak_ir(kind: DType, w: Writer, how: Multiply, chains: int, adds: int) -> str:
    """Return the loop, and a sum of all accumulators so that the compiler removes nothing.

    The sum is stored only if it is NaN, which never happens, but the compiler cannot prove this.
    """
    is_exact, sums = kind.is_exact, how.sums(w)
    vector, size, lanes, operand = sums.vector, sums.size, sums.lanes, how.operand_type(w)
    add, bad = ("add", "icmp eq") if is_exact else ("fadd", "fcmp uno")
    total = "\n".join(
        f"  %s{i + 1} = {add} {vector} %s{i}, %a{i}_{UNROLL}" for i in range(1, chains)
    )
    return f"""{w.declarations()}{how.declarations(w)}
define void @peak(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %turns1 = load i64, ptr %dims
  %tasks = sub i64 %hi, %lo
  %iterations = mul i64 %turns1, %tasks
  %out = load ptr, ptr %buffers
  %x = load {operand}, ptr %out, align {size}
  %zp = getelementptr {operand}, ptr %out, i64 1
  %z = load {operand}, ptr %zp, align {size}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c0 = phi i64 [ %hi, %entry ], [ %c{adds}, %loop ]
{_accumulators(sums, chains, is_exact=is_exact)}
{_body(w, how, chains, adds)}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %iterations
  br i1 %more, label %loop, label %done
done:
  %s1 = {add} {vector} %a0_{UNROLL}, zeroinitializer
{total}
  %bad = {bad} {vector} %s{chains}, zeroinitializer
  %bits = bitcast <{lanes} x i1> %bad to i{lanes}
  %any = icmp ne i{lanes} %bits, 0
  br i1 %any, label %store, label %end
store:
  store {vector} %s{chains}, ptr %out, align {size}
  br label %end
end:
  ret void
}}
"""


def _accumulators(sums: Writer, chains: int, *, is_exact: bool) -> str:
    """Return the accumulators at the beginning of an iteration: 1, 2, 3, … at first."""
    number = int if is_exact else float
    return "\n".join(
        f"  %a{i}_0 = phi {sums.vector} [ splat ({sums.element} {number(i + 1)}), %entry ], "
        f"[ %a{i}_{UNROLL}, %loop ]"
        for i in range(chains)
    )


def _body(w: Writer, how: Multiply, chains: int, adds: int) -> str:
    """Return one iteration: every accumulator UNROLL times, the additions evenly among them.

    An accumulator is an operand of the additions; as a number where a vector has one element, which
    LLVM 22 does not accept there.
    """
    lines: list[str] = []
    sums = how.sums(w)
    vector, tie = sums.vector, sums.element if sums.lanes == 1 else _in_assembly(sums.vector)
    done = 0
    for u in range(UNROLL):
        for i in range(chains):
            before, after = f"%a{i}_{u}", f"%a{i}_{u + 1}"
            due = adds * (u * chains + i + 1) // (UNROLL * chains)
            total = f"{after}_total" if due > done else after
            value = w.fma(before, "%x", "%z") if how == FMA else _products(w, how, before)
            lines += [*w.taken().splitlines(), f"  {total} = bitcast {vector} {value} to {vector}"]
            if due > done:
                lines.append(f"  {after}_in = bitcast {vector} {total} to {tie}")
                total = f"{after}_in"
            for n in range(done, due):
                lines += [f"  {x}" for x in tied_add(f"%c{n + 1}", "%lo", f"%c{n}", total, tie)]
                total = f"%c{n + 1}_tie"
            if due > done:
                lines.append(f"  {after} = bitcast {tie} {total} to {vector}")
            done = due
    return "\n".join(lines)


def _products(w: Writer, how: Multiply, before: str) -> str:
    """Write the products of both operands, added to an accumulator.

    The first operand passes an empty assembly, so that no product can be computed once for all.
    """
    kind, register = how.operand_type(w), "w" if target().arch == ARM else "v"
    passed = _in_assembly(kind)
    x = w.add(f"bitcast {kind} %x to {passed}")
    x = w.add(f'call {passed} asm sideeffect "", "={register},0"({passed} {x})')
    return how.add(w, w.add(f"bitcast {passed} {x} to {kind}"), "%z", before)


def _in_assembly(vector: str) -> str:
    """Return the type of a vector as an operand of assembly, where a CPU may lack f16."""
    return vector.replace("x half", "x i16")
