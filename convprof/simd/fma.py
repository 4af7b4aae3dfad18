"""The kernel behind the FLOP/s ceiling: independent fused multiply-adds and nothing else."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from convprof.simd.jit import Module

CHAINS = 12
"""Independent accumulators. FMA latency x ports is at most 4 x 2 = 8 on the x86 cores of the
last ten years and 4 x 4 on wide AArch64 ones; 12 fit into 16 registers with room for operands."""

UNROLL = 4
"""Times that every accumulator is updated per turn of the loop, so that its counter is free."""

_LLVM = {"f32": ("float", 4), "f64": ("double", 8)}


@dataclass(frozen=True)
class FmaKernel:
    """A compiled peak kernel with the team's calling convention ``(lo, hi, buffers, dims)``."""

    module: Module
    lanes: int
    address: int

    @property
    def flops_per_turn(self) -> int:
        """FLOPs in one turn of the loop (1 FMA = 2 FLOPs)."""
        return 2 * self.lanes * CHAINS * UNROLL


@functools.cache
def fma_kernel(dtype: str, bits: int) -> FmaKernel:
    """Compile the peak kernel for ``dtype`` (``f32``, ``f64``) in vectors of ``bits`` bits.

    One task is ``dims[0]`` turns of the loop. The accumulators are summed into a value that is
    stored only if it is NaN, which it never is: the compiler cannot know and removes nothing.
    """
    element, size = _LLVM[dtype]
    lanes = bits // (8 * size)
    vector = f"<{lanes} x {element}>"
    suffix = f"v{lanes}f{8 * size}"
    phis = "\n".join(
        f"  %a{i} = phi {vector} [ splat ({element} {float(i + 1)}), %entry ], "
        f"[ %a{i}_{UNROLL}, %loop ]"
        for i in range(CHAINS)
    )
    body = "\n".join(
        f"  %a{i}_{u + 1} = call {vector} @llvm.fma.{suffix}({vector} "
        f"%a{i}{f'_{u}' if u else ''}, {vector} %x, {vector} %z)"
        for u in range(UNROLL)
        for i in range(CHAINS)
    )
    total = "\n".join(
        f"  %s{i} = fadd {vector} %s{i - 1}, %a{i}_{UNROLL}"
        if i
        else f"  %s0 = fadd {vector} %a0_{UNROLL}, %x"
        for i in range(CHAINS)
    )
    ir = f"""
declare {vector} @llvm.fma.{suffix}({vector}, {vector}, {vector})
define void @peak(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %turns1 = load i64, ptr %dims
  %tasks = sub i64 %hi, %lo
  %turns = mul i64 %turns1, %tasks
  %out = load ptr, ptr %buffers
  %x = load {vector}, ptr %out, align {size}
  %zp = getelementptr {vector}, ptr %out, i64 1
  %z = load {vector}, ptr %zp, align {size}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{phis}
{body}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %turns
  br i1 %more, label %loop, label %done
done:
{total}
  %bad = fcmp uno {vector} %s{CHAINS - 1}, zeroinitializer
  %bits = bitcast <{lanes} x i1> %bad to i{lanes}
  %any = icmp ne i{lanes} %bits, 0
  br i1 %any, label %store, label %end
store:
  store {vector} %s{CHAINS - 1}, ptr %out, align {size}
  br label %end
end:
  ret void
}}
"""
    module = Module(ir)
    return FmaKernel(module=module, lanes=lanes, address=module.address("peak"))
