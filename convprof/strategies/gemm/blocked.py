"""The tiles of a blocked matrix product: which register tile runs where, when, on which thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue
from convprof.strategies.plan import WEIGHTS, Native, Stage, X, Y

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

B_PANELS = "b_panels"

IN_PLACE, PACKED = range(2)
"""Where ``b`` is read: as it was given, or from panels that each call packs."""

PANELS_PER_THREAD = 4
"""With fewer panels the threads share out rows, and each packs panels of its own."""
ROW_UNITS_PER_THREAD = 2
STAGE_MACS = 500_000_000
"""Work between two chances for Ctrl-C: some milliseconds."""


@dataclass(frozen=True)
class PackedBlocking:
    """How the product is cut."""

    rows: int
    """Rows of a register tile, at most."""
    vectors: int
    """Vectors across a register tile."""
    mc: int
    """Rows that meet one panel after the other; the next rows follow when all panels are done."""
    kc: int
    nc: int
    pack_b: int
    """``IN_PLACE`` or ``PACKED``."""
    unroll: int = 0
    """Steps per turn of the inner loop, at most; 0: as many as suit the vectors."""


@dataclass(frozen=True)
class _Unit:
    """Columns and rows of one product of the batch: the work that one thread does in one go."""

    z: int
    columns: range
    rows: range


class Stages:
    """The stages of one product. A stage has a task per thread: some units, one after the other."""

    def __init__(
        self,
        g: Gemm,
        setting: Setting,
        blocking: PackedBlocking,
        *,
        fused: bool = True,
        a: str = X,
        b: str = WEIGHTS,
    ) -> None:
        """Take the operands from the buffers ``a`` and ``b``.

        Without ``fused`` multiply and add are apart whatever the instruction set has.
        """
        self.a, self.b = a, b
        self.g = g
        self.blocking = blocking
        self.fused = fused
        self.isa = isas.find(setting.isa)
        self.dtype = setting.dtype
        self.threads = setting.threads
        self.lanes = self.isa.lanes(setting.itemsize)
        self.nr = blocking.vectors * self.lanes
        self.table_words = 0

    def all(self) -> list[Stage]:
        """Return every stage, in order."""
        units = list(self._units())
        largest = max((len(u.columns) * len(u.rows) * self.g.k for u in units), default=1)
        together = max(1, STAGE_MACS // largest // self.threads) * self.threads
        return [self._stage(units[i : i + together]) for i in range(0, len(units), together)]

    def workspaces(self) -> dict[str, tuple[int, ...]]:
        """Return the buffers: for each thread the panels of one block of ``b``."""
        if self.blocking.pack_b == IN_PLACE:
            return {}
        return {B_PANELS: (self.threads, self._block_elements())}

    def _block_elements(self) -> int:
        """Return the size of the packed panels of one block, in whole pages."""
        panels = -(-min(self.blocking.nc, self.g.n) // self.nr)
        return -(-self.blocking.kc * panels * self.nr // 1024) * 1024

    def _units(self) -> Iterator[_Unit]:
        """Yield the units, in the order of use."""
        g, blocking = self.g, self.blocking
        tall = g.m
        panels = -(-g.n // self.nr)
        if self.threads > 1 and panels * g.batch < PANELS_PER_THREAD * self.threads:
            parts = -(-ROW_UNITS_PER_THREAD * self.threads // g.batch)
            tall = -(-g.m // parts // blocking.rows) * blocking.rows
        for z in range(g.batch):
            for j in range(0, g.n, blocking.nc):
                for i in range(0, g.m, max(1, tall)):
                    columns, rows = (
                        range(j, min(j + blocking.nc, g.n)),
                        range(i, min(i + tall, g.m)),
                    )
                    yield _Unit(z, columns, rows)

    def _stage(self, units: list[_Unit]) -> Stage:
        """Return the stage that does ``units``: the threads take equal shares."""
        tiles = TileList(self.dtype)
        for member in range(self.threads):
            tiles.task()
            share = len(units) * member // self.threads, len(units) * (member + 1) // self.threads
            for unit in units[slice(*share)]:
                self._add_unit(tiles, unit, member * self._block_elements())
        table = tiles.dims()
        self.table_words += table.size
        packed = self.blocking.pack_b == PACKED
        given = (self.a, B_PANELS if packed else self.b, Y, self.b)
        buffers = epilogue.buffers(self.g.epilogue, given)
        native = Native(runner_address(len(buffers)), tiles)
        return Stage("tiles", native, self.threads, buffers, lambda: table, fixed=True)

    def _add_unit(self, tiles: TileList, unit: _Unit, panels: int) -> None:
        """Add the tiles of one unit, block by block of the reduction.

        The first tile of a panel packs it for the others, into ``panels``, while it computes.
        """
        g, blocking = self.g, self.blocking
        columns = np.arange(unit.columns.start, unit.columns.stop, self.nr)
        across = columns - unit.columns.start
        c = unit.z * g.m * g.n + columns
        for t in range(0, g.k, blocking.kc):
            steps = min(blocking.kc, g.k - t)
            a, given = unit.z * g.m * g.k + t, unit.z * g.k * g.n + t * g.n + columns
            b = given if blocking.pack_b == IN_PLACE else panels + across * steps
            done = unit.rows.start
            if blocking.pack_b == PACKED:
                rows = min(blocking.rows, len(unit.rows))
                made = [
                    kernel(replace(tile, pack_row=g.n), self.isa)
                    for tile in self._tiles(rows, unit, steps, t)
                ]
                to = c + done * g.n
                tiles.add_each(made, a + done * g.k, b, to, given, *self._more(columns, to))
                done += rows
            self._add_rows(tiles, unit, range(done, unit.rows.stop), (steps, t), (a, b, c))

    def _more(self, columns: Array, c: Array) -> tuple[Array, ...]:
        """Return where the epilogue's bias and residual start, if there is one."""
        return (columns, c) if self.g.epilogue else ()

    def _add_rows(
        self,
        tiles: TileList,
        unit: _Unit,
        rows: range,
        reduction: tuple[int, int],
        places: tuple[int, Array, Array],
    ) -> None:
        """Add the tiles of some rows: ``mc`` rows meet every panel, then the next ``mc``."""
        g, blocking, (steps, t), (a, b, c) = self.g, self.blocking, reduction, places
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
            by_rows = {
                int(count): [
                    kernel(tile, self.isa) for tile in self._tiles(int(count), unit, steps, t)
                ]
                for count in set(counts.tolist())
            }
            made = [by_rows[int(count)][j] for j in range(len(b)) for count in counts]
            # blocks of rows, panels, tiles down a block; the last two are one axis of kernels
            i = firsts[:, None, None] + starts
            shape = (len(firsts), len(b) * len(starts))
            to = c[:, None] + i * g.n
            more = self._more((c - c[0] + unit.columns.start)[:, None] + 0 * i, to)
            offsets = (a + i * g.k + 0 * b[:, None], b[:, None] + 0 * i, to, 0 * to, *more)
            tiles.add_each(made, *(offset.reshape(shape) for offset in offsets))

    def _tiles(self, rows: int, unit: _Unit, steps: int, t: int) -> list[Tile]:
        """Return the tile of some rows for each panel of a unit; the last may be narrower.

        Of ``steps`` steps from the ``t``-th: the last ones end with the epilogue.
        """
        packed = self.blocking.pack_b == PACKED
        widths = [min(self.nr, unit.columns.stop - j) for j in unit.columns[:: self.nr]]
        return [
            Tile(
                dtype=self.dtype,
                lanes=self.lanes,
                rows=tuple(i * self.g.k for i in range(rows)),
                segments=((0, 0),),
                run=steps,
                vectors=-(-columns // self.lanes),
                b_row=self.nr if packed else self.g.n,
                c_rows=tuple(i * self.g.n for i in range(rows)),
                columns=columns,
                padded=packed,
                accumulate=t > 0,
                fused=self.fused and self.isa.fused,
                turn=self.blocking.unroll,
                epilogue=self.g.epilogue if t + steps == self.g.k else NO_EPILOGUE,
            )
            for columns in widths
        ]
