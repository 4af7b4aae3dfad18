"""Where the matrices of a batch are, and the stage that packs them into panels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.attention import PackQueries
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import of_one
from convprof.integers import ceil_div, round_up, split
from convprof.strategies.plan import WEIGHTS, Native, Stage, X, Y

if TYPE_CHECKING:
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting
    from convprof.strategies.gemm.panel_layout import PanelLayout

    Array = np.ndarray[Any, Any]

PANELS, FILLED_A = "b_panels", "a_filled"


@dataclass(frozen=True, eq=False)
class Matrices:
    """The places of a batch of matrices in one buffer; lengths in elements."""

    buffer: str
    starts: Array
    """Of each matrix, (batch,)."""
    row: int
    """From one row to the next."""

    @classmethod
    def dense(cls, buffer: str, batch: int, rows: int, columns: int) -> Matrices:
        """Return matrices one after the other."""
        return cls(buffer, np.arange(batch) * rows * columns, columns)


@dataclass(frozen=True, eq=False)
class Operands:
    """The places of both factors and of the product."""

    a: Matrices
    b: Matrices
    c: Matrices

    @classmethod
    def dense(cls, g: Gemm, a: str = X, b: str = WEIGHTS) -> Operands:
        """Return dense matrices in the buffers ``a``, ``b`` and the result's."""
        return cls(
            Matrices.dense(a, g.batch, g.m, g.k),
            Matrices.dense(b, g.batch, g.k, g.n),
            Matrices.dense(Y, g.batch, g.m, g.n),
        )


def filled(columns: int, lanes: int) -> int:
    """Return the columns of a panel, filled up to whole vectors."""
    return round_up(columns, lanes)


def fill_stage(g: Gemm, a: Matrices, depth: int, setting: Setting) -> Stage:
    """Return the stage that copies the rows of every ``a`` to ``(batch, m, depth)``, zeros beyond.

    Sums that take a group of elements at a time read whole groups of a row.
    """
    isa = isas.find(setting.isa)
    tiles = TileList()
    cuts = [rows for rows in split(g.m, setting.threads) if rows]
    for z, rows in itertools.product(range(g.batch), cuts):
        copy = CopyPanel(
            types=of_one(setting.types.source),
            lanes=isa.lanes(setting.types.source.bytes),
            rows=len(rows),
            columns=g.k,
            width=depth,
            row=a.row,
            fused=isa.fused,
        )
        tiles.task()
        source, target = a.starts[z] + rows.start * a.row, (z * g.m + rows.start) * depth
        tiles.add(kernel(copy, isa), source, 0, target)
    tasks, buffers = g.batch * len(cuts), (a.buffer, a.buffer, FILLED_A)
    native = Native(runner_address(), tiles)
    return Stage("fill", native, tasks, buffers, tiles.dims(), static_schedule=True)


@dataclass(frozen=True)
class Packing:
    """What happens to ``b`` on the way into panels."""

    scale: float = 1.0
    transposed: bool = False
    """Whether the matrices are (n, k)."""


def pack_stage(g: Gemm, b: Matrices, layout: PanelLayout, setting: Setting, how: Packing) -> Stage:
    """Return the stage that brings every ``b`` into panels, a panel a task.

    The last panel of a matrix is as wide as its columns need.
    """
    nr = layout.width
    isa = isas.find(setting.isa)
    lanes = isa.lanes(setting.types.accumulator.bytes)
    of = setting.types
    moved = of_one(of.weights) if how.scale == 1.0 else replace(of, result=of.weights)
    common: dict[str, Any] = {
        "types": moved,
        "lanes": lanes,
        "row": b.row,
        "scale": how.scale,
        "fused": isa.fused,
        "k_group": layout.k_group,
    }

    def packer(columns: int) -> PackQueries | CopyPanel:
        width = filled(columns, lanes)
        if how.transposed:
            return PackQueries(queries=columns, width=width, dim=g.k, **common)
        zeros = layout.steps - ceil_div(g.k, layout.k_group)
        return CopyPanel(rows=g.k, columns=columns, width=width, zero_groups=zeros, **common)

    tiles = TileList()
    columns = range(0, g.n, nr)
    packers = [kernel(packer(min(nr, g.n - j)), isa) for j in columns]
    along = b.row if how.transposed else 1  # from one column to the next
    for z, (panel, j) in itertools.product(range(g.batch), enumerate(columns)):
        tiles.task()
        target = (z * len(columns) + panel) * layout.elements
        tiles.add(packers[panel], b.starts[z] + j * along, 0, target)
    tasks, buffers = g.batch * len(columns), (b.buffer, b.buffer, PANELS)
    native = Native(runner_address(), tiles)
    return Stage("pack", native, tasks, buffers, tiles.dims(), static_schedule=True)
