"""The kernel of the FLOP/s ceiling of tile registers: products of tiles that stay in registers.

A chain of dependent scalar additions may run in the same loop, as in ``codegen.probes.fma``.
"""

from __future__ import annotations

import functools

from convprof import dtypes
from convprof.codegen import isa as isas
from convprof.codegen.jit import Module
from convprof.codegen.kernels.tile_registers import (
    GROUPS,
    ROW_BYTES,
    TILE_ROWS,
    TileProduct,
    tile_product,
)
from convprof.codegen.kernels.tile_registers import shapes as tile_shapes
from convprof.codegen.probes.chains import plain_add
from convprof.codegen.probes.fma import FmaKernel

TILE_BITS = 8 * TILE_ROWS * ROW_BYTES
"""Bits of a tile register: the width by which the peak is known."""
CHAINS = 6
"""Independent sums, one product each per iteration: a product takes 52 cycles, and 16 until the
next one begins. The other two registers are the factors."""
_A, _B = CHAINS, CHAINS + 1


def has_product(dtype: str, isa: str) -> bool:
    """Whether an instruction set multiplies a type, or a mixture, in tile registers."""
    return tile_product(dtypes.types(dtype), isas.find(isa)) is not None


def product(dtype: str) -> TileProduct:
    """Return the tile instruction for a type, or a mixture; ValueError if this CPU has none."""
    instruction = tile_product(dtypes.types(dtype), isas.ISAS[isas.AMX])
    if instruction is None:
        raise ValueError(f"no tile instruction multiplies {dtype}")
    return instruction


def flops_at_once(of: TileProduct) -> int:
    """Return the operations of one instruction: 16 rows, 16 columns, 16 groups."""
    return 2 * TILE_ROWS * GROUPS * GROUPS * of.k_group


@functools.cache
def tile_kernel(of: TileProduct, adds: int = 0, chains: int | None = None) -> FmaKernel:
    """Compile the peak kernel: ``buffers[0]`` has two tiles of operands, end to end."""
    count = CHAINS if chains is None else chains
    lines: list[str] = []
    for i in range(count):
        lines.append(f"  call void @llvm.x86.{of.instruction}(i8 {i}, i8 {_A}, i8 {_B})")
        between = range(adds * i // count, adds * (i + 1) // count)
        lines += [f"  {plain_add(f'%c{n + 1}', '%lo', f'%c{n}')}" for n in between]
    body = "\n".join(lines)
    zeros = "\n".join(f"  call void @llvm.x86.tilezero(i8 {i})" for i in range(count))
    whole = tile_shapes([(TILE_ROWS, ROW_BYTES)] * (CHAINS + 2))
    numbers = ", ".join(f"i8 {byte}" for byte in whole)
    ir = f"""
@shapes = private constant [64 x i8] [{numbers}], align 64
declare void @llvm.x86.ldtilecfg(ptr)
declare void @llvm.x86.tilerelease()
declare void @llvm.x86.tilezero(i8 immarg)
declare void @llvm.x86.tileloadd64(i8 immarg, ptr, i64)
declare void @llvm.x86.{of.instruction}(i8 immarg, i8 immarg, i8 immarg)
define void @peak(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %turns = load i64, ptr %dims
  %tasks = sub i64 %hi, %lo
  %iterations = mul i64 %turns, %tasks
  %out = load ptr, ptr %buffers
  %second = getelementptr i8, ptr %out, i64 {TILE_BITS // 8}
  call void @llvm.x86.ldtilecfg(ptr @shapes)
  call void @llvm.x86.tileloadd64(i8 {_A}, ptr %out, i64 {ROW_BYTES})
  call void @llvm.x86.tileloadd64(i8 {_B}, ptr %second, i64 {ROW_BYTES})
{zeros}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c0 = phi i64 [ %hi, %entry ], [ %c{adds}, %loop ]
{body}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %iterations
  br i1 %more, label %loop, label %done
done:
  call void @llvm.x86.tilerelease()
  ret void
}}
"""
    module = Module(ir)
    lanes = TILE_BITS // 32
    flops = flops_at_once(of)
    return FmaKernel(module, lanes, flops, count, adds, module.address("peak"), unroll=1)
