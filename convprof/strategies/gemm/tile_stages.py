"""Matrix products in the tile registers of AMX: panel by panel, in blocks of the reduction.

    for a block of rows of a, in the second-level cache:
        for a panel of b, 32 columns wide:
            for a block of k:             its 16 KiB of the panel stay in the first-level cache
                for 32 rows:              one kernel; the sums of the blocks before are in L2

The sums of a block of rows and a panel are 4 KiB per kernel, end to end, and written to ``c`` once:
rows of ``c`` are far apart, and a store of tile registers takes four times as long there. Each
kernel prefetches a part of the next block of the panel. (Figures: docs/decisions.md, "Tile
registers".)
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen import nodes
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.amx import AmxTile
from convprof.codegen.kernels.tile_registers import (
    ALIASED_BYTES,
    GROUPS,
    ROW_BYTES,
    SIDE,
    STEP_CYCLES,
    TileProduct,
    dense_rows,
    tile_product,
)
from convprof.codegen.tile_list import TileKernel, TileList, kernel, runner_address
from convprof.integers import ceil_div, even_block, round_up, split
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue, memory
from convprof.strategies.gemm.panel_layout import PanelLayout, filled_up
from convprof.strategies.gemm.panels import FILLED_A, PANELS, Matrices, fill_stage, filled
from convprof.strategies.memory import l2_bytes
from convprof.strategies.plan import Buffer, Native, Stage, X, Y
from convprof.strategies.tuning.tunable import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.dtypes import Types
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

SUMS = "sums_of_tiles"
FEWEST_ROWS = 5
"""Below, the weights are read once and the memory is the limit: vectors are as fast."""
BLOCK_BYTES = 512
"""Bytes of a row of ``a`` in a block of ``k``: a block of a panel has 16 KiB and stays in L1."""
A_SHARE = 1 / 2
"""Of the second-level cache, for a block of rows of ``a``."""
MOST_ROWS = 512
"""Rows of a block, at most: their sums take 64 KiB."""
FEW_COLUMNS = 256
"""With fewer columns the rows of ``a`` are not read often enough to be copied first."""
AHEAD_BYTES = 16384
"""The distance at which a kernel without others in its block prefetches the panel."""
UNEVEN = 1.05
"""Threads share out rows if the busiest would have this many times its share of the panels."""
STAGE_MACS = 1_000_000_000
"""Work of a thread between two chances for Ctrl-C: some milliseconds."""


def tiles_pay(g: Gemm, setting: Setting) -> TileProduct | None:
    """Return the tile instruction for a product, if there is one and it is worth its loads."""
    product = tile_product(setting.types, isas.find(setting.isa))
    return product if g.m >= FEWEST_ROWS else None


@dataclass(frozen=True)
class TileBlocking:
    """How the product is cut."""

    mc: int
    """Rows that use a panel before the next panel: whole kernels of 32 rows."""
    kc: int
    """Elements of a block of the reduction: whole steps of 16 groups, or all."""

    def blocks(self, g: Gemm) -> int:
        """Return the blocks of ``b`` in all products, each as often as there are blocks of rows."""
        return g.batch * ceil_div(g.m, self.mc) * ceil_div(g.k, self.kc)


def blockings(g: Gemm, types: Types, product: TileProduct) -> list[TileBlocking]:
    """Return blockings to try, the model's choice first."""
    first = choose(g, types, product)
    most = BLOCK_BYTES // types.source.bytes
    parted = [replace(first, kc=block(g.k, size, product)) for size in (most, 2 * most, g.k)]
    lower = replace(first, mc=max(SIDE, round_up(first.mc // 2, SIDE)))
    return distinct([first, *parted, lower])


def cycles(macs: int, product: TileProduct) -> float:
    """Estimate ``STEP_CYCLES`` for a step of four products: 32 x 32 sums of 16 groups."""
    return macs / (SIDE * SIDE * GROUPS * product.k_group) * STEP_CYCLES


def choose(g: Gemm, types: Types, product: TileProduct, pieces: int = 1) -> TileBlocking:
    """Choose the blocking from the shape."""
    row_bytes = g.k * types.source.bytes * pieces
    most = max(2 * SIDE, min(MOST_ROWS, int(A_SHARE * l2_bytes()) // row_bytes))
    mc = round_up(even_block(g.m, most), SIDE)
    if mc <= 2 * SIDE:
        return TileBlocking(mc, g.k)  # a panel is used too seldom to pay for parted sums
    return TileBlocking(mc, block(g.k, BLOCK_BYTES // types.source.bytes, product))


def block(k: int, most: int, product: TileProduct) -> int:
    """Return the elements of equal blocks, in whole steps, of about ``most`` elements."""
    return min(k, round_up(even_block(k, most), GROUPS * product.k_group))


class Part(NamedTuple):
    """A block of the reduction."""

    start: int
    """Its first element of ``k``."""
    steps: int
    depth: int
    """Groups of a step."""


class _Pass(NamedTuple):
    """Panels of one product of the batch, one after the other, with a block of rows."""

    z: int
    rows: range
    panels: range
    copy: int
    """Which copy of the packed ``b``."""


class TileStages:
    """The panels of ``b``, and the stages that read them; a stage has a task per thread."""

    def __init__(
        self,
        g: Gemm,
        setting: Setting,
        blocking: TileBlocking,
        *,
        narrow: bool = False,
        pieces: int = 1,
    ) -> None:
        """Read the buffer ``PANELS``; ``narrow``: the last panel is as wide as its columns need.

        The operands are sums of ``pieces``. ValueError for types without a tile instruction.
        """
        self.g, self.setting, self.blocking = g, setting, blocking
        self.narrow, self.pieces = narrow, pieces
        self.types, self.threads = setting.types, setting.threads
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.product, self.side, self.nr = self._shape()
        self.count = ceil_div(g.n, self.nr)
        self.size = self.types.source.bytes
        product = self.product
        kc = blocking.kc
        self.parts = [Part(t, *product.steps(min(kc, g.k - t))) for t in range(0, g.k, kc)]
        last = self.parts[-1]
        self.depth = last.start + last.steps * last.depth * product.k_group
        """Elements of a sum, in whole steps."""
        self.layout = PanelLayout(self.depth, self.nr, product.k_group)
        row = self.depth * pieces
        aliased = row * self.size % ALIASED_BYTES == 0 and g.n >= FEW_COLUMNS
        self.a_row = row + (ROW_BYTES // self.size if aliased else 0)
        """Elements from one row of ``a`` to the next; its pieces are one after the other."""
        self.fills_a = self.a_row > g.k
        self.a = FILLED_A if self.fills_a else X

    def _shape(self) -> tuple[TileProduct, int, int]:
        """Return what multiplies, the most rows of a kernel, and the columns of a panel."""
        product = tile_product(self.types, self.isa)
        if product is None:
            raise ValueError(f"no tile instruction multiplies {self.types.name}")
        return product, SIDE, min(SIDE, round_up(self.g.n, self.lanes))

    # The operands.

    @property
    def buffer(self) -> Buffer:
        """The packed ``b``: batch, panels, groups, pieces, columns, elements of a group.

        Several copies, if threads of several nodes read all of it.
        """
        one = self._one_copy
        return replace(one, shape=(self.copies, *one.shape)) if self.copies > 1 else one

    @property
    def _one_copy(self) -> Buffer:
        layout = self.layout
        panel = (layout.steps, self.pieces, layout.width, layout.k_group)
        return Buffer((self.g.batch, self.count, *panel), self.types.weights)

    @functools.cached_property
    def copies(self) -> int:
        """The copies of the packed ``b``: one, if a stage packs ``b`` in each run (``narrow``)."""
        shared = self._by_rows and not self.narrow
        return memory.copies(self.threads, self._one_copy.nbytes) if shared else 1

    def pack(self, b: Array) -> Array:
        """Return ``b (pieces, batch, k, n)`` as panels, zeros where they reach beyond it."""
        g = self.g
        pieces = b.reshape(self.pieces, g.batch, g.k, g.n)
        panels = self.layout.panels(filled_up(pieces, self.depth, g.n))
        return np.moveaxis(panels, 0, -3)

    def workspaces(self) -> dict[str, Buffer]:
        """Return the rows of ``a``, if they are copied, and the sums of each thread, if needed."""
        spaces = {}
        if self.fills_a:
            spaces[FILLED_A] = Buffer((self.g.batch, self.g.m, self.a_row), self.types.source)
        if self._keeps_sums:
            shape = (self.threads, self._most_tiles, SIDE, SIDE)
            spaces[SUMS] = Buffer(shape, self.types.accumulator)
        return spaces

    @property
    def _keeps_sums(self) -> bool:
        """Whether sums are written before they are the result."""
        rounds = self.types.result != self.types.accumulator or bool(self.g.epilogue)
        return len(self.parts) > 1 or rounds

    @property
    def _most_tiles(self) -> int:
        """Kernels of a block of rows, at most."""
        return ceil_div(min(self.blocking.mc, self.g.m), self.side)

    # The stages.

    def all(self) -> list[Stage]:
        """Return every stage, in order: each thread does a part of its passes in each."""
        passes = [list(self._passes(member)) for member in range(self.threads)]
        work = max(sum(self._macs(each) for each in mine) for mine in passes)
        count = max(1, min(math.ceil(work / STAGE_MACS), max(map(len, passes))))
        stages = [self._stage(passes, part, count) for part in range(count)]
        return [*self._copies(), *stages]

    def _copies(self) -> list[Stage]:
        """Return the stages that prepare the rows of ``a``."""
        a = Matrices.dense(X, self.g.batch, self.g.m, self.g.k)
        return [fill_stage(self.g, a, self.a_row, self.setting)] if self.fills_a else []

    def _macs(self, each: _Pass) -> int:
        return len(each.rows) * len(each.panels) * self.nr * self.depth

    def _passes(self, member: int) -> Iterator[_Pass]:
        """Yield what one thread does, in order."""
        columns, rows = self._share(member)
        copy = nodes.places(self.threads)[member].node if self.copies > 1 else 0
        mc = self.blocking.mc
        most = max(1, STAGE_MACS // (mc * self.nr * self.depth))
        for z in range(self.g.batch):
            first, last = (max(0, min(self.count, p - z * self.count)) for p in columns)
            for i in range(rows.start, rows.stop, mc):
                block_ = range(i, min(i + mc, rows.stop))
                for p in range(first, last, most):
                    yield _Pass(z, block_, range(p, min(p + most, last)), copy)

    @property
    def _by_rows(self) -> bool:
        """Whether the threads share out the rows."""
        panels = self.count * self.g.batch
        uneven = round_up(panels, self.threads) > UNEVEN * panels
        return uneven and self.g.m >= self.threads * self.side // 2

    def _share(self, member: int) -> tuple[tuple[int, int], range]:
        """Return the panels of one thread, counted through the batch, and its rows."""
        panels, threads, m = self.count * self.g.batch, self.threads, self.g.m
        if self._by_rows:
            return (0, panels), split(m, threads)[member]
        mine = split(panels, threads)[member]
        return (mine.start, mine.stop), range(m)

    def _stage(self, passes: list[list[_Pass]], part: int, parts: int) -> Stage:
        """Return the stage in which each thread does one of ``parts`` parts of its passes."""
        tiles = TileList()
        for member, mine in enumerate(passes):
            tiles.task()
            for each in mine[len(mine) * part // parts : len(mine) * (part + 1) // parts]:
                for panels in self._by_width(each.panels):
                    self._add(tiles, member, each, panels)
        names = (self.a, PANELS, Y, PANELS)
        followed = epilogue.buffers(self.g.epilogue, names, self.types)[4:] or (self.a, self.a)
        sums = SUMS if self._keeps_sums else self.a
        buffers = (*names, *followed, sums)
        native = Native(runner_address(len(buffers)), tiles)
        return Stage("tiles", native, self.threads, buffers, tiles.dims(), static_schedule=True)

    def _by_width(self, panels: range) -> list[Array]:
        """Return the numbers of the whole panels, and of the narrow one if it is among them."""
        numbers = np.asarray(panels)
        narrow = (numbers + 1) * self.nr > self.g.n
        return [some for some in (numbers[~narrow], numbers[narrow]) if some.size]

    def _add(self, tiles: TileList, member: int, each: _Pass, panels: Array) -> None:
        """Add the tiles of panels of one width: all rows, block by block of the reduction."""
        g, columns = self.g, panels * self.nr
        wide = min(self.nr, g.n - int(columns[0]))
        width = filled(wide, self.lanes) if self.narrow else self.nr
        b_row = self._b_row(width)
        heights = [len(part) for part in split(len(each.rows), ceil_div(len(each.rows), self.side))]
        i = each.z * g.m + each.rows.start + np.cumsum([0, *heights[:-1]])
        tile = np.arange(len(heights))
        kernels: list[TileKernel] = []
        a, b, d = [], [], []
        for part in self.parts:
            lines = self._lines(part, b_row, len(heights))
            by_rows = {rows: self._kernel(rows, wide, part, lines) for rows in set(heights)}
            kernels += [by_rows[rows] for rows in heights]
            a.append(i * self.a_row + part.start)
            start = part.start * b_row
            b.append(np.full(len(heights), start))
            share = lines * LINE_BYTES // self.size * part.steps
            d.append(start + self._ahead(part, b_row, len(heights)) + tile * share)
        product = each.copy * g.batch + each.z
        first = (product * self.count + panels[:, None]) * self.layout.elements * self.pieces
        c = np.tile(i * g.n, len(self.parts)) + columns[:, None]
        sums = np.tile(member * self._most_tiles + tile, len(self.parts)) * SIDE * SIDE
        offsets = (np.concatenate(a), first + np.concatenate(b), c, first + np.concatenate(d))
        used = sums if self._keeps_sums else 0 * sums
        columns = columns[:, None]
        followed = epilogue.offsets(g.epilogue, self.types, columns, c) or (columns, c)
        tiles.add_each(kernels, *offsets, *followed, used)

    def _b_row(self, width: int) -> int:
        """Return the elements of a panel per element of ``k``: of its columns, and pieces."""
        return width * self.pieces

    def _block_elements(self, part: Part, b_row: int) -> int:
        return part.steps * part.depth * self.product.k_group * b_row

    def _lines(self, part: Part, b_row: int, tiles: int) -> int:
        """Return the lines of the next block that each step of ``tiles`` kernels prefetches."""
        lines = ceil_div(self._block_elements(part, b_row) * self.size, LINE_BYTES)
        return ceil_div(lines, tiles * part.steps)

    def _ahead(self, part: Part, b_row: int, tiles: int) -> int:
        """Return the distance of what is prefetched: the next block, or nearer if used once."""
        whole = self._block_elements(part, b_row)
        return whole if tiles > 1 else min(whole, AHEAD_BYTES // self.size)

    def _kernel(self, rows: int, columns: int, part: Part, lines: int) -> TileKernel:
        g, last, group = self.g, part == self.parts[-1], self.product.k_group
        width = filled(columns, self.lanes) if self.narrow else self.nr
        tile = AmxTile(
            types=self.types,
            lanes=self.lanes,
            product=self.product,
            rows=dense_rows(rows, self.a_row, g.n),
            columns=columns,
            steps=part.steps,
            depth=part.depth,
            a_row=self.a_row,
            b_row=self._b_row(width) * group,
            c_row=g.n,
            first=part.start == 0,
            last=last,
            fetch_lines=lines,
            pieces=self.pieces,
            a_piece=self.depth,
            b_piece=width * group,
            epilogue=g.epilogue if last else NO_EPILOGUE,
        )
        return kernel(tile, self.isa)
