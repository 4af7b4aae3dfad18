"""The kernel of the FLOP/s ceiling: independent fused multiply-adds only.

A chain of dependent scalar additions, one core cycle each, may run in the same loop. If the chain
is the slower part, the time of the loop gives the core clock *during* the vector load: wide vectors
lower the clock of many cores, which rises again within microseconds after them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from convprof import dtypes
from convprof.codegen.jit import Module
from convprof.codegen.probes.chains import tied_add

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

    One task is ``dims[0]`` iterations of the loop; ``buffers[0]`` holds two vectors of operands.
    """

    module: Module
    lanes: int
    chains: int
    """Independent accumulators."""
    adds: int
    """Dependent additions per iteration."""
    address: int

    @property
    def flops_per_iteration(self) -> int:
        """FLOPs in one iteration of the loop (1 FMA = 2 FLOPs)."""
        return 2 * self.lanes * self.chains * UNROLL


@functools.cache
def fma_kernel(
    dtype: str, bits: int, adds: int = 0, *, fused: bool = True, chains: int | None = None
) -> FmaKernel:
    """Compile the peak kernel for ``dtype`` (``f32``, ``f64``) in vectors of ``bits`` bits.

    ``adds`` dependent additions are distributed among the multiply-adds of an iteration. Without
    ``fused`` each is a multiplication and an addition, for a CPU without a fused instruction.
    ``chains`` accumulators are independent; by default enough for the peak.
    """
    kind = dtypes.find(dtype)
    element, size = kind.llvm, kind.bytes
    if chains is None:
        chains = CHAINS if fused else UNFUSED_CHAINS
    lanes = bits // (8 * size)
    vector = f"<{lanes} x {element}>"
    fma = f"@llvm.fma.v{lanes}f{8 * size}"
    phis = "\n".join(
        f"  %a{i}_0 = phi {vector} [ splat ({element} {float(i + 1)}), %entry ], "
        f"[ %a{i}_{UNROLL}, %loop ]"
        for i in range(chains)
    )
    # The sum is stored only if it is NaN, which never happens. The compiler cannot prove this, so
    # it removes nothing.
    total = "\n".join(
        f"  %s{i + 1} = fadd {vector} %s{i}, %a{i}_{UNROLL}" for i in range(1, chains)
    )
    ir = f"""
declare {vector} {fma}({vector}, {vector}, {vector})
define void @peak(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %turns1 = load i64, ptr %dims
  %tasks = sub i64 %hi, %lo
  %iterations = mul i64 %turns1, %tasks
  %out = load ptr, ptr %buffers
  %x = load {vector}, ptr %out, align {size}
  %zp = getelementptr {vector}, ptr %out, i64 1
  %z = load {vector}, ptr %zp, align {size}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c0 = phi i64 [ %hi, %entry ], [ %c{adds}, %loop ]
{phis}
{_body(vector, element if lanes == 1 else vector, fma if fused else None, chains, adds)}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %iterations
  br i1 %more, label %loop, label %done
done:
  %s1 = fadd {vector} %a0_{UNROLL}, %x
{total}
  %bad = fcmp uno {vector} %s{chains}, zeroinitializer
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
    module = Module(ir)
    return FmaKernel(module, lanes, chains, adds, module.address("peak"))


def _body(vector: str, tie: str, fma: str | None, chains: int, adds: int) -> str:
    """Return one iteration: every accumulator UNROLL times, the additions evenly among them.

    ``tie`` is the type of an accumulator as operand of the additions. LLVM 22 accepts no vector of
    one element there.
    """
    lines = []
    done = 0
    for u in range(UNROLL):
        for i in range(chains):
            before, after = f"%a{i}_{u}", f"%a{i}_{u + 1}"
            due = adds * (u * chains + i + 1) // (UNROLL * chains)
            total = f"{after}_total" if due > done else after
            if fma is None:
                lines.append(f"  %m{i}_{u} = fmul {vector} {before}, %x")
                lines.append(f"  {total} = fadd {vector} %m{i}_{u}, %z")
            else:
                operands = f"{vector} {before}, {vector} %x, {vector} %z"
                lines.append(f"  {total} = call {vector} {fma}({operands})")
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
