"""The kernel of the FLOP/s ceiling of tile registers: products of tiles that stay in registers.

A chain of dependent scalar additions may run in the same loop, as in ``codegen.probes.fma``.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from convprof import dtypes
from convprof.codegen import isa as isas
from convprof.codegen.jit import Module
from convprof.codegen.kernels.tile_registers import (
    GROUPS,
    ROW_BYTES,
    SUMS,
    TILE_ROWS,
    A,
    B,
    TileProduct,
    tile_product,
)
from convprof.codegen.kernels.tile_registers import shapes as tile_shapes
from convprof.codegen.probes.chains import plain_add
from convprof.codegen.probes.fma import FmaKernel

TILE_BITS = 8 * TILE_ROWS * ROW_BYTES
"""Bits of a tile register: the width by which the peak is known."""
TILE_BYTES = TILE_BITS // 8
TILES = 8
CHAINS = 6
"""Independent sums, one product each per iteration: a product takes 52 cycles, and 16 until the
next one begins. The other two registers are the factors."""
REGISTERS, L1 = "registers", "L1"
"""Where the operands of the products are. From L1 is the *tile ceiling*: a step of a matrix product
of 32 x 32 sums loads four tiles for four products, which no kernel of two by two tiles avoids."""
L1_STEPS = 8
"""Steps whose operands are used in turn, a power of two: 32 KiB, which fits the 48 KiB of L1 of the
CPUs with AMX."""


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


class Body(NamedTuple):
    """The products of an iteration, and how the operands come into the registers."""

    sums: int
    """Tile registers of sums, from the first one."""
    before: str
    """The loads before the loop."""
    steps: tuple[str, ...]
    """Each ends with a product; the additions are distributed among them."""
    operand_bytes: int


def in_registers(of: TileProduct, chains: int) -> Body:
    """Return products of the same two tiles, which are loaded once."""
    a, b = CHAINS, CHAINS + 1
    loads = f"{_load(a, '%operands')}{_at('%second', '%operands', TILE_BYTES)}{_load(b, '%second')}"
    steps = tuple(_product(of, i, a, b) for i in range(chains))
    return Body(chains, loads, steps, 2 * TILE_BYTES)


def from_l1(of: TileProduct) -> Body:
    """Return a step of a matrix product: two tiles of ``a`` by two of ``b``, loaded from L1.

    The operands are ``L1_STEPS`` steps, used in turn.
    """
    step_bytes = 4 * TILE_BYTES
    places = "".join(
        _at(name, "%a0", number * TILE_BYTES)
        for number, name in enumerate(("%b0", "%b1", "%a1"), start=1)
    )
    where = f"""  %turn = and i64 %i, {L1_STEPS - 1}
  %offset = mul i64 %turn, {step_bytes}
  %a0 = getelementptr i8, ptr %operands, i64 %offset
{places}"""
    first = f"{where}{_load(A, '%a0')}{_load(B, '%b0')}"
    steps = (
        f"{first}{_product(of, SUMS, A, B)}",
        f"{_load(B + 1, '%b1')}{_product(of, SUMS + 1, A, B + 1)}",
        f"{_load(A + 1, '%a1')}{_product(of, SUMS + 2, A + 1, B)}",
        _product(of, SUMS + 3, A + 1, B + 1),
    )
    return Body(4, "", steps, L1_STEPS * step_bytes)


def _at(name: str, pointer: str, offset: int) -> str:
    return f"  {name} = getelementptr i8, ptr {pointer}, i64 {offset}\n"


def _load(register: int, pointer: str) -> str:
    return f"  call void @llvm.x86.tileloadd64(i8 {register}, ptr {pointer}, i64 {ROW_BYTES})\n"


def _product(of: TileProduct, total: int, a: int, b: int) -> str:
    return f"  call void @llvm.x86.{of.instruction}(i8 {total}, i8 {a}, i8 {b})\n"


@functools.cache
def tile_kernel(
    of: TileProduct, adds: int = 0, chains: int | None = None, operands: str = REGISTERS
) -> FmaKernel:
    """Compile the peak kernel. ``buffers[0]`` has the tiles of operands, end to end.

    ``operands``: where they are, ``REGISTERS`` or ``L1``.
    """
    body = from_l1(of) if operands == L1 else in_registers(of, chains or CHAINS)
    module = Module(_ir(of, body, adds))
    flops, address = flops_at_once(of), module.address("peak")
    count = len(body.steps)
    return FmaKernel(module, body.operand_bytes, flops, count, adds, address, unroll=1)


def _ir(of: TileProduct, body: Body, adds: int) -> str:
    """Return the loop, between the configuration of the tile registers and its release."""
    count, lines = len(body.steps), ""
    for i, step in enumerate(body.steps):
        between = range(adds * i // count, adds * (i + 1) // count)
        more = (f"  {plain_add(f'%c{n + 1}', '%lo', f'%c{n}')}\n" for n in between)
        lines += step + "".join(more)
    zeros = "".join(f"  call void @llvm.x86.tilezero(i8 {i})\n" for i in range(body.sums))
    numbers = ", ".join(f"i8 {byte}" for byte in tile_shapes([(TILE_ROWS, ROW_BYTES)] * TILES))
    return f"""
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
  %operands = load ptr, ptr %buffers
  call void @llvm.x86.ldtilecfg(ptr @shapes)
{body.before}{zeros}  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c0 = phi i64 [ %hi, %entry ], [ %c{adds}, %loop ]
{lines}  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %iterations
  br i1 %more, label %loop, label %done
done:
  call void @llvm.x86.tilerelease()
  ret void
}}
"""
