"""The tiles of blocked matrix products: which register tile runs where, when, on which thread.

    c[z] = scale * a[z] @ b[z],   or with b[z] transposed

One class for every product that ``b`` enters in blocks: the strategies of GEMM and of its
gradients, whose matrices are dense, and the products of two activations, whose rows have any
distance. ``gemm.prepacked_tiles`` has another order: one panel after the other, all rows each.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.integers import ceil_div, round_up, split
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue
from convprof.strategies.gemm.panel_layout import PanelLayout
from convprof.strategies.gemm.panels import (
    FILLED_A,
    PANELS,
    Matrices,
    Operands,
    Packing,
    fill_stage,
    filled,
    pack_stage,
)
from convprof.strategies.memory import PAGE_BYTES
from convprof.strategies.plan import Buffer, Native, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

IN_PLACE, PACKED, AHEAD, STREAMED = range(4)
"""Where ``b`` is read: where it is; from panels that the first tile of rows packs in passing; from
panels that a stage before packs, scaled or transposed; where it is, some whole rows at a time, and
each tile fetches a part of the next rows."""

PANELS_PER_THREAD = 4
"""With fewer panels the threads share out rows, and each packs panels of its own."""
ROW_UNITS_PER_THREAD = 2
STAGE_MACS = 500_000_000
"""Work between two chances for Ctrl-C: some milliseconds."""


@dataclass(frozen=True)
class GemmBlocking:
    """How the product is cut."""

    rows: int
    """Rows of a register tile, at most."""
    vectors: int
    """Vectors across a register tile."""
    mc: int
    """Rows that use one panel after the other; the next rows follow when all panels are done."""
    kc: int
    nc: int
    pack_b: int
    """``IN_PLACE``, ``PACKED``, ``AHEAD`` or ``STREAMED``."""
    unroll: int = 0
    """Steps per iteration of the inner loop, at most; 0: as many as suit the vectors."""

    @property
    def in_place(self) -> bool:
        """Whether tiles read ``b`` where it is."""
        return self.pack_b in {IN_PLACE, STREAMED}

    @property
    def parts(self) -> int:
        """Parts of each sum, which a last stage adds."""
        return 1

    def blocks(self, g: Gemm) -> int:
        """Return the blocks of ``b`` in all products, each as often as there are blocks of rows."""
        sides = (g.m, self.mc), (g.n, self.nc), (g.k, self.kc)
        return g.batch * math.prod(ceil_div(size, side) for size, side in sides)


@dataclass(frozen=True)
class PartedBlocking(GemmBlocking):
    """How a product is cut whose sums are computed in parts."""

    parts: int = 2
    """The sizes of the blocking are of one part."""


@dataclass(frozen=True)
class _Unit:
    """Columns and rows of one product of the batch: the work that one thread does in one go."""

    z: int
    columns: range
    rows: range


def row_parts(g: Gemm, nr: int, threads: int) -> int:
    """Return into how many parts the rows of a product are cut, so that every thread has work."""
    if threads > 1 and ceil_div(g.n, nr) * g.batch < PANELS_PER_THREAD * threads:
        return ceil_div(ROW_UNITS_PER_THREAD * threads, g.batch)
    return 1


class BlockedProducts:
    """The stages of a batch of products. A stage has a task per thread: some units in turn."""

    def __init__(
        self,
        g: Gemm,
        setting: Setting,
        blocking: GemmBlocking,
        operands: Operands | None = None,
        *,
        fused: bool = True,
        scale: float = 1.0,
        transposed: bool = False,
        parts: int | None = None,
        multiply: Multiply = FMA,
    ) -> None:
        """Take dense operands from the usual buffers, unless ``operands`` says where they are.

        Without ``fused`` multiply and add are apart whatever the instruction set has. ``scale`` and
        ``transposed`` matrices ``b`` need panels packed ``AHEAD``. ``parts`` of the rows are units
        of their own; None: ``row_parts`` chooses. Where a step does not ``multiply`` one element
        by an FMA, panels are packed ``AHEAD`` unless ``b`` is read in place; if ``k`` is no whole
        groups, panels are packed ``AHEAD`` and the rows of ``a`` are filled up.
        """
        k_group = multiply.k_group
        if multiply != FMA and (blocking.pack_b == PACKED or g.k % k_group):
            blocking = replace(blocking, pack_b=AHEAD)
        blocking = replace(blocking, kc=round_up(blocking.kc, k_group))
        self.multiply = multiply
        self.g, self.setting, self.blocking = g, setting, blocking
        operands = operands or Operands.dense(g)
        self.a_in_place, self.b, self.c = operands.a, operands.b, operands.c
        depth = round_up(g.k, k_group)
        self.fills_a = depth > g.k
        filled_a = Matrices.dense(FILLED_A, g.batch, g.m, depth)
        self.a = filled_a if self.fills_a else operands.a
        self.scale, self.transposed = scale, transposed
        self.isa = isas.find(setting.isa)
        self.fused = fused and self.isa.fused
        self.threads = setting.threads
        self.lanes = self.isa.lanes(setting.types.accumulator.bytes)
        self.nr = blocking.vectors * self.lanes
        self.layout = PanelLayout(g.k, self.nr, k_group)
        self.parts = row_parts(g, self.nr, self.threads) if parts is None else parts

    def all(self) -> list[Stage]:
        """Return every stage, in order."""
        g = self.g
        ahead = []
        if self.fills_a:
            ahead.append(fill_stage(g, self.a_in_place, self.layout.depth, self.setting))
        if self.blocking.pack_b == AHEAD:
            how = Packing(self.scale, transposed=self.transposed)
            ahead.append(pack_stage(g, self.b, self.layout, self.setting, how))
        units = list(self._units())
        largest = max((len(u.columns) * len(u.rows) * g.k for u in units), default=1)
        together = max(1, STAGE_MACS // largest // self.threads) * self.threads
        cuts = range(0, len(units), together)
        return [*ahead, *(self._stage(units[i : i + together]) for i in cuts)]

    def workspaces(self) -> dict[str, Buffer]:
        """Return the panels: of one block of ``b`` for each thread, or of all of ``b``.

        And the rows of ``a``, if they are filled up.
        """
        g, types = self.g, self.setting.types
        filled_a = {FILLED_A: Buffer((g.batch, g.m, self.layout.depth), types.source)}
        spaces = filled_a if self.fills_a else {}
        if self.blocking.pack_b == AHEAD:
            shape: tuple[int, ...] = (g.batch, ceil_div(g.n, self.nr), self.layout.elements)
            spaces[PANELS] = Buffer(shape, types.weights)
        elif self.blocking.pack_b == PACKED:
            spaces[PANELS] = Buffer((self.threads, self._block_elements()), types.weights)
        return spaces

    def _block_elements(self) -> int:
        """Return the size of the packed panels of one block, in whole pages."""
        panels = ceil_div(min(self.blocking.nc, self.g.n), self.nr)
        page = PAGE_BYTES // self.setting.types.weights.bytes
        return round_up(self.blocking.kc * panels * self.nr, page)

    def _units(self) -> Iterator[_Unit]:
        """Yield the units, in the order of use."""
        g, nc = self.g, self.blocking.nc
        tall = round_up(ceil_div(g.m, self.parts), self.blocking.rows)
        for z, j, i in itertools.product(range(g.batch), range(0, g.n, nc), range(0, g.m, tall)):
            yield _Unit(z, range(j, min(j + nc, g.n)), range(i, min(i + tall, g.m)))

    def _stage(self, units: list[_Unit]) -> Stage:
        """Return the stage that does ``units``: the threads take equal shares."""
        tiles = TileList()
        for member, share in enumerate(split(len(units), self.threads)):
            tiles.task()
            for unit in units[share.start : share.stop]:
                self._add_unit(tiles, unit, member * self._block_elements())
        read = self.b.buffer if self.blocking.in_place else PANELS
        four = (self.a.buffer, read, self.c.buffer, self.b.buffer)
        buffers = epilogue.buffers(self.g.epilogue, four, self.setting.types)
        native = Native(runner_address(len(buffers)), tiles)
        return Stage("tiles", native, self.threads, buffers, tiles.dims(), static_schedule=True)

    def _add_unit(self, tiles: TileList, unit: _Unit, panels: int) -> None:
        """Add the tiles of one unit, block by block of the reduction.

        The first tile of a panel packs it for the others, into ``panels``, while it computes.
        """
        g, blocking = self.g, self.blocking
        columns = np.arange(unit.columns.start, unit.columns.stop, self.nr)
        c = self.c.starts[unit.z] + columns
        for t in range(0, g.k, blocking.kc):
            steps = min(blocking.kc, g.k - t)
            a, in_place = self.a.starts[unit.z] + t, self._in_place(unit, t)
            b = self._read(unit, t, steps, panels)
            done = unit.rows.start
            if blocking.pack_b == PACKED:
                rows = min(blocking.rows, len(unit.rows))
                packing = [
                    kernel(replace(tile, pack_row=self.b.row), self.isa)
                    for tile in self._tiles(rows, unit, steps, t)
                ]
                to = c + done * self.c.row
                first = a + done * self.a.row
                tiles.add_each(packing, first, b, to, in_place, *self._more(columns, to))
                done += rows
            self._add_rows(tiles, unit, range(done, unit.rows.stop), (steps, t), (a, b, c))

    def _in_place(self, unit: _Unit, t: int) -> Array:
        """Return where the panels of a unit start in ``b`` itself, from the ``t``-th step."""
        columns = np.arange(unit.columns.start, unit.columns.stop, self.nr)
        first: int = self.b.starts[unit.z] + t * self.b.row
        return first + columns

    def _following(self, unit: _Unit, t: int) -> Array:
        """Return the start of what the tiles of each panel fetch; 0 where they fetch nothing.

        The rows of a panel are short and far apart, and the hardware prefetches along whole rows
        only. So each tile fetches a part of a row of the next block, as many elements as it reads.
        """
        before = np.arange(0, len(unit.columns), self.nr) * self.blocking.kc
        if self.blocking.pack_b != STREAMED:
            return np.zeros_like(before)
        row, column = np.divmod(before, len(unit.columns))
        first = self._in_place(unit, t + self.blocking.kc)[:1]
        start: Array = first + row * self.b.row + column
        return start

    def _fetching(self, starts: Array) -> list[bool]:
        """Return whether each tile down a block of rows fetches: the first one, for all."""
        return [self.blocking.pack_b == STREAMED and not start for start in starts.tolist()]

    def _read(self, unit: _Unit, t: int, steps: int, panels: int) -> Array:
        """Return where the tiles of a unit read each panel, from the ``t``-th step."""
        if self.blocking.in_place:
            return self._in_place(unit, t)
        columns = np.arange(unit.columns.start, unit.columns.stop, self.nr)
        if self.blocking.pack_b == PACKED:
            return panels + (columns - unit.columns.start) * steps
        panel = unit.z * ceil_div(self.g.n, self.nr) + columns // self.nr
        first = panel * self.layout.elements
        rows = np.array([self._panel_row(width) for width in self._widths(unit)])
        start: Array = first + t * rows
        return start

    def _widths(self, unit: _Unit) -> list[int]:
        """Return the columns of each panel of a unit; the last may be narrower."""
        return [min(self.nr, unit.columns.stop - j) for j in unit.columns[:: self.nr]]

    def _panel_row(self, columns: int) -> int:
        """Return the elements from one row of ``b`` to the next where a tile reads it."""
        if self.blocking.in_place:
            return self.b.row
        return self.nr if self.blocking.pack_b == PACKED else filled(columns, self.lanes)

    def _more(self, columns: Array, c: Array) -> tuple[Array, ...]:
        """Return where the operands of what follows the sums start, if anything does."""
        return epilogue.offsets(self.g.epilogue, self.setting.types, columns, c)

    def _add_rows(
        self,
        tiles: TileList,
        unit: _Unit,
        rows: range,
        reduction: tuple[int, int],
        places: tuple[int, Array, Array],
    ) -> None:
        """Add the tiles of some rows: ``mc`` rows use every panel, then the next ``mc``."""
        blocking, (steps, t), (a, b, c) = self.blocking, reduction, places
        whole = len(rows) // blocking.mc
        rest = rows.start + whole * blocking.mc
        for firsts, tall in (
            (rows.start + blocking.mc * np.arange(whole), blocking.mc),
            (np.array([rest]), rows.stop - rest),
        ):
            if not firsts.size or not tall:
                continue
            starts = np.arange(0, tall, blocking.rows)
            counts = np.minimum(blocking.rows, tall - starts)
            kernels = {
                (int(count), fetches): [
                    kernel(tile, self.isa)
                    for tile in self._tiles(int(count), unit, steps, t, fetches=fetches)
                ]
                for count, fetches in set(zip(counts.tolist(), self._fetching(starts), strict=True))
            }
            in_order = [
                kernels[int(count), fetches][j]
                for j in range(len(b))
                for count, fetches in zip(counts, self._fetching(starts), strict=True)
            ]
            # blocks of rows, panels, tiles down a block; the last two are one axis of kernels
            i = firsts[:, None, None] + starts
            shape = (len(firsts), len(b) * len(starts))
            to = c[:, None] + i * self.c.row
            more = self._more((c - c[0] + unit.columns.start)[:, None] + 0 * i, to)
            fourth = self._following(unit, t)[:, None] + 0 * i
            offsets = (a + i * self.a.row + 0 * b[:, None], b[:, None] + 0 * i, to, fourth, *more)
            tiles.add_each(in_order, *(offset.reshape(shape) for offset in offsets))

    def _tiles(
        self, rows: int, unit: _Unit, steps: int, t: int, *, fetches: bool = False
    ) -> list[Tile]:
        """Return the tile of some rows for each panel of a unit; the last may be narrower.

        Of ``steps`` rows of ``b`` from the ``t``-th: the last ones end with the epilogue.
        """
        group = self.layout.k_group
        return [
            Tile(
                types=self.setting.types,
                lanes=self.lanes,
                rows=tuple(i * self.a.row for i in range(rows)),
                segments=((0, 0),),
                run=ceil_div(steps, group),
                a_step=group,
                vectors=ceil_div(columns, self.lanes),
                b_row=self._panel_row(columns) * group,
                multiply=self.multiply,
                c_rows=tuple(i * self.c.row for i in range(rows)),
                columns=columns,
                padded=not self.blocking.in_place,
                accumulate=t > 0,
                fused=self.fused,
                most_steps=self.blocking.unroll,
                fetch_row=self.nr * group if fetches else 0,
                epilogue=self.g.epilogue if t + steps == self.g.k else NO_EPILOGUE,
            )
            for columns in self._widths(unit)
        ]
