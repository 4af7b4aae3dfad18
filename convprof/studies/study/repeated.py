"""One small product in register tiles, many times in one call: little but the inner loop.

The operands stay in L1 and a call takes long compared with its launch, so the tile is what is
compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import disassembly, tile_list
from convprof.codegen import isa as isas
from convprof.codegen.kernels.gemm import Tile
from convprof.problems import Gemm
from convprof.strategies.memory import l1_data_bytes
from convprof.strategies.plan import WEIGHTS, Native, Plan, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.strategies.base import Setting

L1_SHARE = 0.7
"""Of the first-level cache, for the operands of the product."""
MOST_STEPS = 512
MULTIPLE = 16
"""Steps of a product are a multiple of it, so that turns of up to 16 steps divide them."""
WORK = 8_000_000
"""Multiply-adds in a call, at most: some 0.1 ms where they are fast, a few where they are slow."""


@dataclass(frozen=True)
class Shape:
    """A register tile: which sums it keeps, and how it goes through the steps."""

    rows: int
    vectors: int
    lanes: int
    turn: int
    fused: bool = True

    @property
    def chains(self) -> int:
        """Sums that do not wait for each other."""
        return self.rows * self.vectors


def product(shape: Shape, types: Types) -> Gemm:
    """Return the product of one tile, with as many steps as leave its operands in L1."""
    rows, columns = shape.rows, shape.vectors * shape.lanes
    room = int(L1_SHARE * l1_data_bytes()) - rows * columns * types.result.bytes
    step = rows * types.source.bytes + columns * types.weights.bytes
    steps = room // step // MULTIPLE * MULTIPLE
    return Gemm(m=rows, n=columns, k=max(MULTIPLE, min(MOST_STEPS, steps)))


class Repeated(Planned[Gemm]):
    """A product in tiles of one shape, all of which divide it."""

    kind = "gemm"
    summary = "one register tile, repeated"

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.shape = name, shape

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        """One stage: the tiles of the product, as often as fits WORK."""
        shape, program = self.shape, kernel(g, self.shape, setting)
        i, j = np.arange(0, g.m, shape.rows), np.arange(0, g.n, shape.vectors * shape.lanes)
        rows, columns = (axis.ravel() for axis in np.meshgrid(i, j, indexing="ij"))
        times = max(1, WORK // g.macs)
        listed = tile_list.TileList()
        listed.task()
        listed.add(
            program,
            np.tile(rows * g.k, times),
            np.tile(columns, times),
            np.tile(rows * g.n + columns, times),
        )
        plan = Plan()
        native = Native(tile_list.runner_address(), listed)
        plan.steps = [Stage("tiles", native, 1, (X, WEIGHTS, Y), listed.dims())]
        plan.executed_flops = times * g.flops
        return plan


def kernel(g: Gemm, shape: Shape, setting: Setting) -> tile_list.TileKernel:
    """Compile the tile for a product."""
    return tile_list.kernel(_tile(g, shape, setting), isas.find(setting.isa))


def _tile(g: Gemm, shape: Shape, setting: Setting) -> Tile:
    return Tile(
        types=setting.types,
        lanes=shape.lanes,
        rows=tuple(i * g.k for i in range(shape.rows)),
        segments=((0, 0),),
        run=g.k,
        vectors=shape.vectors,
        b_row=g.n,
        c_rows=tuple(i * g.n for i in range(shape.rows)),
        columns=shape.vectors * shape.lanes,
        fused=shape.fused,
        most_steps=shape.turn,
    )


@dataclass(frozen=True)
class Inner:
    """The inner loop as it was generated, per multiply-add."""

    loads_per_fma: float
    others_per_fma: float
    """Instructions that are not multiply-adds and name no vector register, per multiply-add."""
    spills: int


def inner(g: Gemm, shape: Shape, setting: Setting) -> Inner | None:
    """Count the instructions of the inner loop; None where its text is not understood."""
    code = disassembly.busiest(kernel(g, shape, setting).module.assembly())
    fmas = shape.chains * _tile(g, shape, setting).unroll
    if code.fmas != fmas:  # scalars, or an architecture that is not read
        return None
    reads = (code.loads + code.elements) / fmas
    return Inner(reads, code.scalar / fmas, code.spills)
