"""The stages of Strassen's algorithm: sums of blocks of ``a``, then the tiles of seven products.

A pass has some rows and some panels of a quarter of the result. Its seven products follow each
other, so that the sums to which they are added stay in the caches: each thread has two, as large as
the part of a quarter that one pass computes. The blocks of ``b`` are summed when panels are packed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.partial_sums import PartialSums
from convprof.codegen.kernels.strassen import KEPT, TERMS, SumRow, Term
from convprof.codegen.kernels.tile_code import LINE_BYTES
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.integers import ceil_div, even_block, round_up, split
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue
from convprof.strategies.gemm.panel_layout import filled_up
from convprof.strategies.gemm.prepacked_tiles import PanelBlocking, PanelStages, Pass
from convprof.strategies.plan import Buffer, Native, Stage, X

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.kernels.gemm import Tile
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

FACTORS, KEPT_SUMS = "a_factors", "kept_sums"
ALIASED_BYTES = 2048
"""Rows of ``a`` a multiple of 2 KiB apart share two sets of L1."""


@dataclass(frozen=True)
class StrassenBlocking(PanelBlocking):
    """How each of the seven products is cut."""

    group: int
    """Panels for which all products are computed before the next panels, at most."""


def quarter(g: Gemm) -> Gemm:
    """Return the product of a block of ``a`` and a block of ``b``; odd sizes are rounded up."""
    return replace(g, m=ceil_div(g.m, 2), n=ceil_div(g.n, 2), k=ceil_div(g.k, 2))


class StrassenStages(PanelStages):
    """The panels of the factors, and the stages of one product."""

    terms = len(TERMS)

    def __init__(self, g: Gemm, setting: Setting, blocking: StrassenBlocking) -> None:
        """Cut ``g`` into blocks of half the sizes, with zeros where a size is odd."""
        super().__init__(quarter(g), setting, blocking)
        self.whole = g
        self.a_buffer, self.a_row = FACTORS, self._factor_row()
        count = ceil_div(self.panels, ceil_div(self.panels, blocking.group))
        self.group = min(self.panels, count)
        self.whole_columns = g.n - self.g.n
        self.kept_rows = even_block(self.g.m, min(self.g.m, self.blocking.mc))

    def _factor_row(self) -> int:
        """Return the elements from one row of a factor of ``a`` to the next: whole lines."""
        size = self.types.source.bytes
        line = LINE_BYTES // size
        row = round_up(self.g.k, line)
        return row + (line if row * size % ALIASED_BYTES == 0 else 0)

    @property
    def _kept_elements(self) -> int:
        """Elements of one of the kept sums of a thread."""
        return self.group * self.kept_rows * self.nr

    def workspaces(self) -> dict[str, Buffer]:
        """Return the left factors of all products, and the kept sums of each thread."""
        factors = (self.g.batch, self.terms, self.g.m, self.a_row)
        return {
            FACTORS: Buffer(factors, self.types.source),
            KEPT_SUMS: Buffer((self.threads, KEPT, self._kept_elements), self.types.accumulator),
        }

    def pack_factors(self, target: Array, b: Array) -> None:
        """Write the right factors of all products as panels."""
        g, kc, columns = self.g, self.blocking.kc, self.panels * self.nr
        whole = filled_up(b.reshape(g.batch, self.whole.k, self.whole.n), 2 * g.k, 2 * g.n)
        blocks = whole.reshape(g.batch, 2, g.k, 2, g.n)
        factors = target.reshape(
            -1, g.batch, self.blocks, self.terms, self.panels, *self.shape[-3:]
        )
        for number, term in enumerate(TERMS):
            factor = np.zeros((g.batch, g.k, g.n), b.dtype)
            for block, sign in enumerate(term.b):
                if sign:
                    factor += sign * blocks[:, block // 2, :, block % 2]
            filled = filled_up(factor, self.blocks * kc, columns)
            factors[:, :, :, number] = self.layout.panels(
                filled.reshape(g.batch, self.blocks, kc, columns)
            )

    def _before(self) -> list[Stage]:
        """Return the stage that sums blocks of ``a``: a task is a part of the rows."""
        tiles = TileList()
        for rows in split(self.g.m, self.threads):
            tiles.task()
            bottom = self.whole.m - self.g.m
            self._add_sums(tiles, range(rows.start, min(rows.stop, bottom)), bottom=True)
            self._add_sums(tiles, range(max(rows.start, bottom), rows.stop), bottom=False)
        native = Native(runner_address(), tiles)
        buffers = (X, X, FACTORS)
        return [Stage("sums", native, self.threads, buffers, tiles.dims(), static_schedule=True)]

    def _add_sums(self, tiles: TileList, rows: range, *, bottom: bool) -> None:
        """Add the sums of some rows of every product of the batch."""
        g, whole = self.g, self.whole
        if not rows:
            return
        right = whole.k - g.k
        z = np.arange(g.batch)[:, None]
        top = (z * whole.m + np.asarray(rows)).ravel() * whole.k
        target = (z * self.terms * g.m + np.asarray(rows)).ravel() * self.a_row
        for first, columns in ((0, right), (right, g.k - right)):
            if not columns:
                continue
            row = SumRow(
                types=self.types,
                lanes=self.lanes,
                columns=columns,
                across=g.k,
                apart=g.m * self.a_row,
                right=first == 0,
                bottom=bottom,
                fused=self.isa.fused,
            )
            lower = first + bottom * g.m * whole.k
            tiles.add(kernel(row, self.isa), top + first, top + lower, target + first)

    def _passes(self, member: int) -> Iterator[Pass]:
        """Yield the seven products of each pass, in order; a row that does not exist is left out.

        The last two products are of the lower blocks only.
        """
        for each in super()._passes(member):
            for number, term in enumerate(TERMS):
                rows = range(each.rows.start, min(each.rows.stop, self._rows_of(term)))
                if rows:
                    yield each._replace(rows=rows, term=number)

    def _rows_of(self, term: Term) -> int:
        """Return the rows of a product: the lower blocks may have a row less than the upper."""
        return self.whole.m - self.g.m if term.is_lower else self.g.m

    def _buffers(self) -> tuple[str, ...]:
        """Return the buffers of the pointers of tiles, those of the kept sums last."""
        names = super()._buffers()
        ends = names[4:] or (FACTORS, FACTORS)
        return (*names[:4], *ends, KEPT_SUMS, KEPT_SUMS, KEPT_SUMS)

    def _places(self, each: Pass, i: Array, columns: Array) -> tuple[Array, ...]:
        """Return where tiles start in ``a``, in ``c``, in what ends the sums, and in kept sums."""
        g, whole, term = self.g, self.whole, TERMS[each.term]
        factor = each.z * self.terms + each.term
        a = (factor * g.m + i) * self.a_row + each.block * self.blocking.kc
        down, across = term.result
        column = columns + across * g.n
        c = (each.z * whole.m + i + down * g.m) * whole.n + column
        ends = epilogue.offsets(g.epilogue, self.types, column, c) or (column, c)
        panel = columns // self.nr - each.panels.start
        place = (panel * self.kept_rows + i - each.rows.start) * self.nr
        first = each.member * KEPT
        kept = [
            (first + (slot or 0)) * self._kept_elements + place
            for slot in (term.before, term.after, term.ended)
        ]
        return a, c, *ends, *kept

    def _tile(self, each: Pass, rows: int, column: int, fetch: int, *, cold: bool) -> Tile:
        """Return the tile of one of the products."""
        tile, term = super()._tile(each, rows, column, fetch, cold=cold), TERMS[each.term]
        right = term.ends and term.result[1] == 1
        kept = PartialSums(
            row=self.nr,
            adds=term.before is not None,
            stores=term.after is not None,
            ends=term.ends,
        )
        return replace(
            tile,
            c_rows=tuple(i * self.whole.n for i in range(rows)),
            columns=min(tile.columns, self.whole_columns - column) if right else tile.columns,
            accumulate=tile.accumulate and term.ends,
            epilogue=tile.epilogue if term.ends else NO_EPILOGUE,
            partial=kept,
        )

    def executed_flops(self) -> int:
        """Return the FLOPs of the products, of the sums of blocks and of the kept sums."""
        g = self.g
        sums = sum(sum(map(abs, term.a)) - 1 for term in TERMS) * g.m * g.k
        products = sum(self._rows_of(term) * g.n * (2 * g.k + term.additions) for term in TERMS)
        return g.batch * (sums + products)
