"""``prepacked`` in f32 on instructions for bf16: each number is the sum of two or three bf16.

    a * b  =  a0 b0 + a0 b1 + a1 b0                          two pieces each, three products
           =  ... + a0 b2 + a1 b1 + a2 b0                    three pieces each, six products

The smallest products are left out; all sums are in f32 (Henry, Tang & Heinecke 2019). The tile
registers of AMX multiply bf16 16 times as fast as FMA units multiply f32, so that three or six
products for one pay. ``vdpbf16ps`` is only twice as fast: there the strategies are slower than
``prepacked``, and show the error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import dtypes
from convprof.codegen import isa as isas
from convprof.codegen.isa import register_rows, register_vectors
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.split import PAIRS, SplitRow
from convprof.codegen.kernels.tile_registers import SIDE, TileProduct, tile_product
from convprof.codegen.tile_list import TileKernel, kernel
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems import Gemm
from convprof.strategies import multiplying, pieces
from convprof.strategies.base import Role
from convprof.strategies.gemm.panels import FILLED_A, PANELS
from convprof.strategies.gemm.tile_stages import (
    BLOCK_BYTES,
    Part,
    TileBlocking,
    TileStages,
    block,
    choose,
)
from convprof.strategies.gemm.tile_stages import cycles as tile_cycles
from convprof.strategies.pieces import ADDED_ERRORS, PIECES, has_tiles
from convprof.strategies.plan import Packed, Plan, X
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Buffer, Stage

    Array = np.ndarray[Any, Any]

VECTOR_STEPS = 256
"""Elements of ``k`` in a block, without tile registers."""


class SplitStages(TileStages):
    """The stages in tile registers, with a stage that splits ``a``."""

    def __init__(self, g: Gemm, setting: Setting, blocking: TileBlocking, pieces: int) -> None:
        """Take f32 operands."""
        inner = replace(setting, dtype=PIECES)
        super().__init__(g, inner, blocking, pieces=pieces)
        self.fills_a, self.a = True, FILLED_A

    def split_and_pack(self, b: Array) -> Array:
        """Return the pieces of ``b`` as panels."""
        return self.pack(pieces.split(b, self.pieces))

    def _copies(self) -> list[Stage]:
        """Return the stage that splits the rows of ``a``."""
        g = self.g
        row = SplitRow(pieces.SPLITTING, self.lanes, self.pieces, g.k, self.depth)
        return [pieces.stage(row, g.batch * g.m, self.a_row, self.setting, (X, FILLED_A))]


class _VectorProduct(TileProduct):
    """A step is one group."""

    def steps(self, k: int) -> tuple[int, int]:
        """Return the groups, and one group in each step."""
        return ceil_div(k, self.k_group), 1


class VectorSplitStages(SplitStages):
    """The same in vector registers: sums of blocks are added to ``c``; pieces are apart."""

    def _shape(self) -> tuple[TileProduct, int, int]:
        across = ceil_div(self.g.n, self.lanes)
        vectors = register_vectors(across, self.isa)
        product = _VectorProduct("vdpbf16ps", 2, "avx512bf16")
        return product, register_rows(vectors, self.isa), vectors * self.lanes

    @property
    def _keeps_sums(self) -> bool:
        return False

    @property
    def buffer(self) -> Buffer:
        """The packed ``b``: batch, panels, pieces, groups, columns, elements of a group."""
        interleaved = super().buffer
        *outer, steps, pieces, columns, group = interleaved.shape  # copies come first, if any
        return replace(interleaved, shape=(*outer, pieces, steps, columns, group))

    def pack(self, b: Array) -> Array:
        """Return ``b (pieces, batch, k, n)`` as panels, zeros where they reach beyond it."""
        return np.moveaxis(super().pack(b), -3, -4)

    def _b_row(self, width: int) -> int:
        return width

    def _kernel(self, rows: int, columns: int, part: Part, lines: int) -> TileKernel:  # noqa: ARG002
        g, group = self.g, self.product.k_group
        tile = Tile(
            types=self.types,
            lanes=self.lanes,
            rows=tuple(i * self.a_row for i in range(rows)),
            segments=tuple((p * self.depth, q * self.layout.steps) for p, q in PAIRS[self.pieces]),
            run=part.steps,
            a_step=group,
            vectors=ceil_div(columns, self.lanes),
            b_row=self.nr * group,
            c_rows=tuple(i * g.n for i in range(rows)),
            columns=columns,
            accumulate=part.start > 0,
            multiply=multiplying.of_gemm(g, self.types, self.isa),
            fused=self.isa.fused,
        )
        return kernel(tile, self.isa)


class Split3(Tunable[Gemm, TileBlocking]):
    """Two pieces, three products."""

    name = "split3"
    kind = "gemm"
    summary = f"f32 as two bf16, three products: {pieces.SLOWER} prepacked"
    parallel = True
    generated = True
    role = Role.VARIANT
    dtypes = ("f32",)
    pieces = 2
    added_error = ADDED_ERRORS[pieces]

    def why_not(self, problem: Gemm, setting: Setting) -> str | None:
        """Return why the CPU, or the length of the sums, does not suit; else None."""
        reason = super().why_not(problem, setting)
        isa = isas.find(setting.isa)
        return reason or pieces.refusal(self.name, isa, "k", problem.k)

    def blockings(self, problem: Gemm, setting: Setting) -> list[TileBlocking]:
        """Return blockings to try, the model's choice first."""
        isa, types = isas.find(setting.isa), dtypes.types(PIECES)
        product = tile_product(types, isa)
        if product is None:
            rows = round_up(even_block(problem.m, 4 * SIDE), SIDE)
            return distinct(TileBlocking(rows, kc) for kc in (VECTOR_STEPS, 2 * VECTOR_STEPS))
        first = choose(problem, types, product, self.pieces)
        room = BLOCK_BYTES // types.source.bytes // self.pieces  # the pieces share it
        sizes = (block(problem.k, most, product) for most in (room, 2 * room))
        return distinct(replace(first, kc=kc) for kc in sizes)

    def cycles(self, problem: Gemm, setting: Setting) -> float:
        """Estimate the products: in tile registers, or two vectors of pairs a cycle."""
        isa, count = isas.find(setting.isa), len(PAIRS[self.pieces])
        product = tile_product(dtypes.types(PIECES), isa)
        if product is not None:
            return count * tile_cycles(problem.macs, product)
        return count * problem.macs / isa.lanes(dtypes.F32.source.bytes) / 4

    def plan_blocked(self, problem: Gemm, setting: Setting, blocking: TileBlocking) -> Plan:
        """Plan the pieces and the products."""
        g = problem
        kind = SplitStages if has_tiles(isas.find(setting.isa)) else VectorSplitStages
        stages = kind(g, setting, blocking, self.pieces)
        plan = Plan(workspaces=stages.workspaces())
        plan.packed = {PANELS: Packed(stages.buffer, stages.split_and_pack)}
        plan.steps = [*stages.all()]
        plan.executed_flops = len(PAIRS[self.pieces]) * g.flops
        return plan


class Split6(Split3):
    """Three pieces, six products: the error of f32."""

    name = "split6"
    summary = f"f32 as three bf16, six products: {pieces.SLOWER} prepacked"
    pieces = 3
    added_error = ADDED_ERRORS[pieces]
