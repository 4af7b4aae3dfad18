"""Products of a batch of matrices that lie anywhere: rows any distance apart, starting anywhere.

    c[z] = scale * a[z] @ b[z],   or with b[z] transposed

The register tiles are those of ``gemm.packed``, and so is the blocking: a block of ``b``, in panels
as wide as a tile, stays in L2 while the rows of ``a`` pass it. A ``b`` that is to be transposed or
scaled is brought into panels by a stage before; else the first tile of rows packs it in passing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_rows, register_vectors
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.integers import ceil_div, even_block, round_up
from convprof.strategies.gemm.blocked import STAGE_MACS
from convprof.strategies.gemm.packed import ALIASED_ROWS, B_SHARE, CHAINS, KC_BYTES
from convprof.strategies.gemm.panels import PANELS, Matrices, filled, pack_stage
from convprof.strategies.memory import PAGE_BYTES, l2_bytes
from convprof.strategies.plan import Native, Plan, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.tile_list import TileKernel
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

UNITS_PER_THREAD = 4
"""With fewer products the threads share out their rows, too."""


@dataclass(frozen=True)
class _Unit:
    """Columns and rows of one product: what one thread does in one go."""

    z: int
    columns: range
    rows: range


class Products:
    """The stages of one batch of products ``g``; ``b`` is (n, k) where it is to be turned."""

    def __init__(
        self,
        g: Gemm,
        setting: Setting,
        operands: tuple[Matrices, Matrices, Matrices],
        *,
        scale: float = 1.0,
        turned: bool = False,
    ) -> None:
        self.g, self.setting = g, setting
        self.a, self.b, self.c = operands
        self.scale, self.turned = scale, turned
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(setting.itemsize)
        vectors = register_vectors(ceil_div(g.n, self.lanes), self.isa)
        self.nr = vectors * self.lanes
        most = register_rows(vectors, self.isa)
        if vectors == 1:
            most = min(most, CHAINS)
        elif self.a.row * setting.itemsize % PAGE_BYTES == 0:
            most = min(most, ALIASED_ROWS)
        self.rows = even_block(g.m, most)
        self.kc = even_block(g.k, KC_BYTES // setting.itemsize)
        room = int(B_SHARE * l2_bytes()) // (self.kc * setting.itemsize) // self.nr
        panels = ceil_div(g.n, self.nr)
        self.nc = even_block(panels, max(1, room)) * self.nr
        self.ahead = turned or scale != 1.0
        self.in_place = not self.ahead and g.m <= self.rows
        self.common: dict[str, Any] = {
            "dtype": setting.dtype,
            "lanes": self.lanes,
            "fused": self.isa.fused,
        }

    def fill(self, plan: Plan) -> None:
        """Add the stages and what they need to a plan of the right operands."""
        g, setting = self.g, self.setting
        threads = setting.threads
        if self.ahead:
            plan.workspaces[PANELS] = (g.batch, ceil_div(g.n, self.nr), g.k, self.nr)
            plan.steps.append(
                pack_stage(g, self.b, self.nr, setting, scale=self.scale, turned=self.turned)
            )
        elif not self.in_place:
            plan.workspaces[PANELS] = (threads, self._block())
        plan.reusable = frozenset(plan.workspaces)
        units = list(self._units())
        largest = max(len(unit.columns) * len(unit.rows) * g.k for unit in units)
        together = max(1, STAGE_MACS // largest // threads) * threads
        for i in range(0, len(units), together):
            plan.steps.append(self._stage(units[i : i + together]))
        tables = (step.dims for step in plan.steps if isinstance(step, Stage))
        plan.table_words += sum(table.size for table in tables if isinstance(table, np.ndarray))

    def _block(self) -> int:
        """Return the size of the packed panels of one block of ``b``, in whole pages."""
        page = PAGE_BYTES // self.setting.itemsize
        return round_up(self.kc * self.nc, page)

    def _units(self) -> Iterator[_Unit]:
        """Yield the units, in the order of use."""
        g, threads = self.g, self.setting.threads
        tall = g.m
        blocks = g.batch * ceil_div(g.n, self.nc)
        if threads > 1 and blocks < UNITS_PER_THREAD * threads:
            parts = ceil_div(UNITS_PER_THREAD * threads, blocks)
            tall = round_up(ceil_div(g.m, parts), self.rows)
        cuts = itertools.product(range(g.batch), range(0, g.n, self.nc), range(0, g.m, tall))
        for z, j, i in cuts:
            columns, rows = range(j, min(j + self.nc, g.n)), range(i, min(i + tall, g.m))
            yield _Unit(z, columns, rows)

    def _stage(self, units: list[_Unit]) -> Stage:
        """Return the stage that does ``units``: the threads take equal shares."""
        threads = self.setting.threads
        tiles = TileList(self.setting.dtype)
        for member in range(threads):
            tiles.task()
            share = len(units) * member // threads, len(units) * (member + 1) // threads
            for unit in units[slice(*share)]:
                self._add(tiles, unit, member * self._block())
        panels = self.b.buffer if self.in_place else PANELS
        buffers = (self.a.buffer, panels, self.c.buffer, self.b.buffer)
        native = Native(runner_address(len(buffers)), tiles)
        return Stage("tiles", native, threads, buffers, tiles.dims(), fixed=True)

    def _add(self, tiles: TileList, unit: _Unit, panels: int) -> None:
        """Add the tiles of one unit: block by block of the sum, all panels for rows of a tile.

        The first rows pack the panels for the others, into ``panels``, where that is to be done.
        """
        z, k = unit.z, self.g.k
        columns = np.arange(unit.columns.start, unit.columns.stop, self.nr)
        widths = [min(self.nr, unit.columns.stop - j) for j in unit.columns[:: self.nr]]
        starts = np.arange(unit.rows.start, unit.rows.stop, self.rows)
        c = self.c.starts[z] + columns + starts[:, None] * self.c.row
        for t in range(0, k, self.kc):
            steps = min(self.kc, k - t)
            a = self.a.starts[z] + t + starts[:, None] * self.a.row + 0 * columns
            given = self.b.starts[z] + t * self.b.row + columns
            if self.ahead:
                count = ceil_div(self.g.n, self.nr)
                across = [filled(width, self.lanes) for width in widths]
                b = (z * count + columns // self.nr) * k * self.nr + t * np.array(across)
            elif self.in_place:
                b = given
            else:
                b = panels + (columns - unit.columns.start) * steps
            made = self._kernels(len(unit.rows), widths, steps, accumulate=t > 0)
            raw = given if not self.ahead else 0 * given
            for index, row in enumerate(made):
                tiles.add_each(row, a[index], b, c[index], raw)

    def _kernels(
        self, rows: int, widths: list[int], steps: int, *, accumulate: bool
    ) -> list[list[TileKernel]]:
        """Return for each tile of rows the kernel for every panel."""
        made: dict[tuple[int, bool], list[TileKernel]] = {}
        chosen = []
        for first in range(0, rows, self.rows):
            tall = min(self.rows, rows - first)
            packs = first == 0 and not self.ahead and not self.in_place
            if (tall, packs) not in made:
                tile = self._tile(tall, steps, accumulate=accumulate)
                if packs:
                    tile = replace(tile, pack_row=self.b.row)
                made[tall, packs] = [kernel(self._across(tile, w), self.isa) for w in widths]
            chosen.append(made[tall, packs])
        return chosen

    def _across(self, tile: Tile, columns: int) -> Tile:
        """Return the tile for a panel of so many columns."""
        width = filled(columns, self.lanes)
        b_row = self.b.row if self.in_place else width
        return replace(tile, vectors=width // self.lanes, columns=columns, b_row=b_row)

    def _tile(self, rows: int, steps: int, *, accumulate: bool) -> Tile:
        return Tile(
            rows=tuple(i * self.a.row for i in range(rows)),
            segments=((0, 0),),
            run=steps,
            vectors=self.nr // self.lanes,
            b_row=self.nr,
            c_rows=tuple(i * self.c.row for i in range(rows)),
            columns=self.nr,
            padded=not self.in_place,
            accumulate=accumulate,
            **self.common,
        )
