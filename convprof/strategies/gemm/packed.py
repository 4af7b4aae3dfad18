"""Packed panels and register tiles of explicit vectors: the blocking of GotoBLAS and BLIS.

Removes the limit of ``tiled``: the sums stay in vector registers, in vectors as wide as the CPU has,
and a block of ``b``, copied into panels as wide as the register tile, is read as one stream from the
cache (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015). ``a`` is read in place.
"""  # noqa: E501

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.simd import isa as isas
from convprof.simd.isa import register_rows, register_vectors
from convprof.simd.microkernel import Tile
from convprof.simd.packing import PanelCopy, panel_copy
from convprof.simd.tiles import TileList, kernel, runner_address
from convprof.strategies.plan import WEIGHTS, Native, Plan, Stage, X, Y
from convprof.strategies.staged import StagedPrepared
from convprof.strategies.tuning.tunable import Tunable, Variant, distinct

if TYPE_CHECKING:
    from convprof.problems import Gemm, Problem
    from convprof.simd.isa import Isa
    from convprof.strategies.base import Prepared, Setting

    Integers = np.ndarray[Any, np.dtype[np.int64]]

B_PANELS = "b_panels"

KC = 512
"""Steps of the reduction per block. A panel of ``b``, 64 KiB of f32, streams from L2; fewer steps
would load and store the result more often (256 cost 2 % at 1024, docs/decisions.md)."""
NC = 1024
"""Columns per block: with KC two megabytes of f32, a second-level cache."""
MC_TILES = 12
"""Register tiles down a task: its rows of ``a`` stay in L2 while the panels go by."""
FEW_ROWS = 48
"""Up to here ``b`` is read in place: packing it would cost more than its better order gains."""


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
    """1: copy blocks of ``b`` into panels; 0: read them in place."""


def choose(g: Gemm, isa: Isa, itemsize: int, threads: int) -> Blocking:
    """Choose the blocking from the shape."""
    lanes = isa.lanes(itemsize)
    across = -(-g.n // lanes)
    few = g.m <= 8 and isa.registers >= 32  # noqa: PLR2004
    vectors = min(across, 4) if few else register_vectors(across, isa)
    rows = _even(g.m, register_rows(vectors, isa))
    kc, nc = _even(g.k, KC * 4 // itemsize), _even(across, NC // lanes) * lanes
    tiles = -(-g.m // rows)
    wanted = 1 if threads == 1 else -(-4 * threads // max(1, g.batch))
    mc = rows * max(1, min(MC_TILES, -(-tiles // wanted)))
    return Blocking(rows, vectors, mc, kc, nc, int(g.m > FEW_ROWS))


def _even(extent: int, most: int) -> int:
    """Return the largest block of at most ``most`` that splits ``extent`` into equal parts."""
    return -(-extent // -(-extent // most))


class _Stages:
    """The stages of one product, block by block."""

    def __init__(self, g: Gemm, setting: Setting, blocking: Blocking) -> None:
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
        g, blocking = self.g, self.blocking
        stages = []
        for z in range(g.batch):
            for j in range(0, g.n, blocking.nc):
                columns = min(blocking.nc, g.n - j)
                for t in range(0, g.k, blocking.kc):
                    steps = min(blocking.kc, g.k - t)
                    stages += self._block(z, j, columns, t, steps)
        return stages

    def workspaces(self) -> dict[str, tuple[int, ...]]:
        """Return the buffers for packed operands."""
        if not self.blocking.pack_b:
            return {}
        width = -(-min(self.blocking.nc, self.g.n) // self.nr) * self.nr
        return {B_PANELS: (self.blocking.kc * width,)}

    def _block(self, z: int, j: int, columns: int, t: int, steps: int) -> list[Stage]:
        """Return the stages for columns ``j`` on and steps ``t`` on of one product of the batch."""
        g, stages = self.g, []
        a_start, b_start = z * g.m * g.k + t, z * g.k * g.n + t * g.n + j
        if self.blocking.pack_b:
            pack = self._pack(columns, steps)
            stages.append(Stage("pack b", pack, steps, (WEIGHTS, B_PANELS), (b_start,)))
        tiles = self._tiles(columns, steps, (a_start, b_start, (z * g.m) * g.n + j), t > 0)
        table = tiles.dims()
        self.table_words += table.size
        buffers = (X, B_PANELS if self.blocking.pack_b else WEIGHTS, Y)
        native = Native(runner_address(), tiles)
        stages.append(Stage("tiles", native, int(table[0]), buffers, lambda: table))
        return stages

    def _pack(self, columns: int, steps: int) -> Native:
        """Return the stage function that packs a block of ``b``, a task per row."""
        vectors = self.blocking.vectors
        copy = PanelCopy(self.dtype, self.lanes, vectors, steps, columns, self.g.n)
        return Native(*panel_copy(copy, self.isa))

    def _tiles(
        self, columns: int, steps: int, starts: tuple[int, int, int], accumulate: bool
    ) -> TileList:
        """Return the tiles of one block: a task is some rows, panel by panel."""
        g, blocking, tiles = self.g, self.blocking, TileList(self.dtype)
        a_start, b_start, c_start = starts
        panels = range(0, columns, self.nr)
        groups = self._column_groups(len(panels))
        for first in range(0, g.m, blocking.mc):
            last = min(first + blocking.mc, g.m)
            for group in groups:
                tiles.task()
                for j in panels[group]:
                    width = min(self.nr, columns - j)
                    b = j * steps if blocking.pack_b else b_start + j
                    for rows, starts_i in _row_tiles(first, last, blocking.rows):
                        tile = self._tile(rows, width, steps, accumulate)
                        a, c = a_start + starts_i * g.k, c_start + starts_i * g.n + j
                        tiles.add(kernel(tile, self.isa), a, b, c)
        return tiles

    def _column_groups(self, panels: int) -> list[slice]:
        """Cut the panels into groups, where the rows alone make too few tasks for the threads."""
        tasks = -(-self.g.m // self.blocking.mc)
        wanted = 1 if self.threads == 1 else min(panels, -(-4 * self.threads // tasks))
        edges = [panels * k // wanted for k in range(wanted + 1)]
        return [slice(a, b) for a, b in itertools.pairwise(edges)]

    def _tile(self, rows: int, columns: int, steps: int, accumulate: bool) -> Tile:
        vectors = -(-columns // self.lanes)
        packed = bool(self.blocking.pack_b)
        return Tile(
            dtype=self.dtype,
            lanes=self.lanes,
            rows=tuple(i * self.g.k for i in range(rows)),
            segments=((0, 0),),
            run=steps,
            vectors=vectors,
            b_row=self.nr if packed else self.g.n,
            c_rows=tuple(i * self.g.n for i in range(rows)),
            columns=columns,
            padded=packed,
            accumulate=accumulate,
            fused=self.isa.fused,
        )


def _row_tiles(first: int, last: int, most: int) -> list[tuple[int, Integers]]:
    """Cut rows into tiles: ``(rows, starts)`` of the whole ones, and of the rest."""
    whole = (last - first) // most
    found = [(most, first + most * np.arange(whole))] if whole else []
    rest = last - first - whole * most
    return [*found, (rest, np.array([last - rest]))] if rest else found


class Packed(Tunable):
    """GotoBLAS blocking on generated register tiles."""

    name: ClassVar[str] = "packed"
    kind: ClassVar[str] = "gemm"
    summary: ClassVar[str] = "packed panels and register tiles of explicit vectors"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True

    def variants(self, problem: Problem, setting: Setting) -> list[Variant]:
        """Return blockings to try, the model's choice first."""
        g: Gemm = problem  # type: ignore[assignment]  # why_not refused other kinds
        isa = isas.find(setting.isa)
        first = choose(g, isa, setting.itemsize, setting.threads)
        found = [first, replace(first, pack_b=1 - first.pack_b)]
        found += [replace(first, kc=_even(g.k, kc)) for kc in (256, 384, 1024, g.k)]
        for vectors in (2, 4, 1):
            rows = _even(g.m, register_rows(vectors, isa))
            mc = first.mc // first.rows * rows
            found.append(replace(first, vectors=vectors, rows=rows, mc=mc))
        return distinct([asdict(blocking) for blocking in found])

    def cycles(self, problem: Problem, setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle."""
        lanes = isas.find(setting.isa).lanes(setting.itemsize)
        return problem.macs / lanes / 2

    def prepare_variant(self, problem: Problem, setting: Setting, variant: Variant) -> Prepared:
        """Generate the kernels, the lists of tiles and the packing stages."""
        g: Gemm = problem  # type: ignore[assignment]  # why_not refused other kinds
        stages = _Stages(g, setting, Blocking(**variant))
        plan = Plan(g.a_shape, g.b_shape, g.c_shape, stages.workspaces())
        plan.steps = [*stages.all()]
        plan.table_words = stages.table_words
        return StagedPrepared(self.name, g, setting, plan)
