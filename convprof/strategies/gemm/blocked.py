"""The stages of a blocked matrix product: which register tile runs where, and who packs ``b``."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.simd import isa as isas
from convprof.simd.microkernel import Tile
from convprof.simd.tiles import TileList, kernel, runner_address
from convprof.strategies.plan import WEIGHTS, Native, Stage, X, Y

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

B_PANELS = "b_panels"

IN_PLACE, PACKED = range(2)
"""Where ``b`` is read: as it was given, or from panels that each call packs. Packing it before the
call, as constant weights, gained nothing over packing it in passing (docs/decisions.md)."""

TASKS_PER_THREAD = 4


@dataclass(frozen=True)
class Blocking:
    """How the product is cut."""

    rows: int
    """Rows of a register tile, at most."""
    vectors: int
    """Vectors across a register tile."""
    mc: int
    """Rows per task."""
    kc: int
    nc: int
    pack_b: int
    """``IN_PLACE`` or ``PACKED``."""
    unroll: int = 0
    """Steps per turn of the inner loop, at most; 0: as many as suit the vectors."""


@dataclass(frozen=True)
class _Block:
    """Some columns and some steps of the reduction of one product; offsets in elements."""

    a: int
    b: int
    c: int
    columns: int
    steps: int
    accumulate: bool


class Stages:
    """The stages of one product, block by block."""

    def __init__(
        self, g: Gemm, setting: Setting, blocking: Blocking, *, a: str = X, b: str = WEIGHTS
    ) -> None:
        """Take the operands from the buffers ``a`` and ``b``."""
        self.a, self.b = a, b
        self.g = g
        self.blocking = blocking
        self.isa = isas.find(setting.isa)
        self.dtype = setting.dtype
        self.threads = setting.threads
        self.lanes = self.isa.lanes(setting.itemsize)
        self.nr = blocking.vectors * self.lanes
        self.table_words = 0

    def all(self) -> list[Stage]:
        """Return every stage, in order."""
        return [stage for block in self._blocks() for stage in self._stages(block)]

    def workspaces(self) -> dict[str, tuple[int, ...]]:
        """Return the buffers: the panels of one block of ``b``."""
        if self.blocking.pack_b == IN_PLACE:
            return {}
        panels = -(-min(self.blocking.nc, self.g.n) // self.nr)
        return {B_PANELS: (self.blocking.kc * panels * self.nr,)}

    def _blocks(self) -> Iterator[_Block]:
        """Yield the blocks of every product: columns, and within steps of the reduction."""
        g, blocking = self.g, self.blocking
        for z in range(g.batch):
            for j in range(0, g.n, blocking.nc):
                columns = min(blocking.nc, g.n - j)
                for t in range(0, g.k, blocking.kc):
                    a, b = z * g.m * g.k + t, z * g.k * g.n + t * g.n + j
                    steps = min(blocking.kc, g.k - t)
                    c = z * g.m * g.n + j
                    yield _Block(a, b, c, columns, steps, accumulate=t > 0)

    def _stages(self, block: _Block) -> list[Stage]:
        """Return the stages of one block; where ``b`` is packed, its first rows do that."""
        if self.blocking.pack_b == IN_PLACE:
            # One task has all rows: a thread keeps its columns of the result from block to block.
            fixed = self.blocking.mc >= self.g.m
            return [self._stage("tiles", self._tiles(block, 0), (self.a, self.b, Y), fixed=fixed)]
        first = min(self.blocking.rows, self.g.m)
        packing = self._packing_tiles(block, first)
        stages = [self._stage("pack b", packing, (self.a, B_PANELS, Y, self.b), fixed=True)]
        if first < self.g.m:
            stages.append(self._stage("tiles", self._tiles(block, first), (self.a, B_PANELS, Y)))
        return stages

    def _stage(
        self, phase: str, tiles: TileList, buffers: tuple[str, ...], *, fixed: bool = False
    ) -> Stage:
        table = tiles.dims()
        self.table_words += table.size
        native = Native(runner_address(len(buffers)), tiles)
        return Stage(phase, native, int(table[0]), buffers, lambda: table, fixed)

    def _packing_tiles(self, block: _Block, rows: int) -> TileList:
        """Return the tiles of the first rows, a panel a task: each packs the panel it reads."""
        tiles = TileList(self.dtype)
        for j in range(0, block.columns, self.nr):
            tiles.task()
            made = kernel(replace(self._tile(rows, block, j), pack_row=self.g.n), self.isa)
            tiles.add(made, block.a, j * block.steps, block.c + j, block.b + j)
        return tiles

    def _tiles(self, block: _Block, done: int) -> TileList:
        """Return the tiles of the rows from ``done`` on: a task is some rows, panel by panel."""
        rows, mc, tiles = self.g.m, self.blocking.mc, TileList(self.dtype)
        tasks = (rows - done) // mc
        rest = done + tasks * mc
        panels = np.arange(0, block.columns, self.nr)
        for group in self._column_groups(len(panels), -(-(rows - done) // mc)):
            firsts = done + mc * np.arange(tasks)
            self._add_tasks(tiles, block, panels[group], firsts, mc)
            self._add_tasks(tiles, block, panels[group], np.array([rest]), rows - rest)
        return tiles

    def _add_tasks(
        self, tiles: TileList, block: _Block, panels: Array, firsts: Array, rows: int
    ) -> None:
        """Add tasks of ``rows`` rows from each of ``firsts``, at the columns ``panels``."""
        if not rows or not firsts.size:
            return
        g, blocking = self.g, self.blocking
        starts = np.arange(0, rows, blocking.rows)
        tall = np.minimum(blocking.rows, rows - starts)
        made = [
            kernel(self._tile(int(count), block, int(j)), self.isa)
            for j in panels
            for count in tall
        ]
        # tasks, panels, tiles down a task; the last two are one axis, a kernel for each
        i = firsts[:, None, None] + starts
        j = panels[:, None]
        b = (block.b + j if blocking.pack_b == IN_PLACE else j * block.steps) + 0 * starts
        c = block.c + i * g.n + j
        a = block.a + i * g.k + 0 * j
        tiles.add_tasks(made, a.reshape(len(firsts), -1), b.reshape(-1), c.reshape(len(firsts), -1))

    def _column_groups(self, panels: int, row_blocks: int) -> list[slice]:
        """Cut the panels into groups, where the rows alone make too few tasks for the threads."""
        wanted = -(-TASKS_PER_THREAD * self.threads // row_blocks)
        count = 1 if self.threads == 1 else min(panels, wanted)
        edges = [panels * k // count for k in range(count + 1)]
        return [slice(a, b) for a, b in itertools.pairwise(edges)]

    def _tile(self, rows: int, block: _Block, j: int) -> Tile:
        """Return the tile of some rows at column ``j`` of a block."""
        packed = self.blocking.pack_b != IN_PLACE
        columns = min(self.nr, block.columns - j)
        return Tile(
            dtype=self.dtype,
            lanes=self.lanes,
            rows=tuple(i * self.g.k for i in range(rows)),
            segments=((0, 0),),
            run=block.steps,
            vectors=-(-columns // self.lanes),
            b_row=self.nr if packed else self.g.n,
            c_rows=tuple(i * self.g.n for i in range(rows)),
            columns=columns,
            padded=packed,
            accumulate=block.accumulate,
            fused=self.isa.fused,
            turn=self.blocking.unroll,
        )
