"""The stages of Strassen's algorithm: for each product, the left factor, then its tiles.

A pass has some rows and some panels of a block of the result. All products follow each other, so
that what they share stays in the caches of a thread: the sums to which they are added, as large as
the part of a block that one pass computes, and the left factor, a sum of blocks of ``a``. The
blocks of ``b`` are summed when panels are packed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.partial_sums import PartialSums
from convprof.codegen.kernels.strassen import Factor, Term, terms
from convprof.codegen.tile_list import kernel
from convprof.integers import ceil_div
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue
from convprof.strategies.gemm.panel_layout import filled_up
from convprof.strategies.gemm.prepacked_tiles import PanelBlocking, PanelStages, Pass
from convprof.strategies.gemm.strassen_sums import KeptSums, LeftFactors, existing
from convprof.strategies.plan import Buffer, X

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.kernels.gemm import Tile
    from convprof.codegen.tile_list import TileList
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

FACTORS, KEPT_SUMS = "a_factors", "kept_sums"
FEW_PANELS = 4
"""With fewer panels for each thread, the threads share out rows where possible: each thread sums
the left factors for its panels, which takes 12 % of the time for two panels."""


@dataclass(frozen=True)
class StrassenBlocking(PanelBlocking):
    """How each of the products of blocks is cut."""

    levels: int
    """1 for 7 products of quarters, 2 for 49 products of quarters of quarters."""
    group: int
    """Panels for which all products are computed before the next panels, at most."""


def part(g: Gemm, levels: int) -> Gemm:
    """Return the product of a block of ``a`` and a block of ``b``; sizes are rounded up."""
    side = 2**levels
    return replace(g, m=ceil_div(g.m, side), n=ceil_div(g.n, side), k=ceil_div(g.k, side))


class StrassenStages(PanelStages):
    """The panels of the factors, and the stages of one product."""

    def __init__(self, g: Gemm, setting: Setting, blocking: StrassenBlocking) -> None:
        """Cut ``g`` into equal blocks, with zeros where sizes are no multiples."""
        super().__init__(part(g, blocking.levels), setting, blocking)
        self.whole, self.levels, self.side = g, blocking.levels, 2**blocking.levels
        self.products = terms(self.levels)
        self.terms = len(self.products)
        self.group = ceil_div(self.panels, ceil_div(self.panels, blocking.group))
        self.whole_columns = existing(g.n, self.g.n, self.side - 1)
        self.kept_rows = min(self.g.m, blocking.mc)
        self.factors = LeftFactors(g, self.g, self.levels, self.kept_rows, self.blocking.kc)
        self.kept = KeptSums(self.levels, self.group * self.kept_rows * self.nr)
        self.a_buffer, self.a_row = FACTORS, self.factors.row(self.types)

    def workspaces(self) -> dict[str, Buffer]:
        """Return the left factors and the kept sums of each thread."""
        factors = (self.threads, self.factors.elements(self.types))
        return {
            FACTORS: Buffer(factors, self.types.source),
            KEPT_SUMS: Buffer((self.threads, self.kept.elements), self.types.accumulator),
        }

    def pack_factors(self, target: Array, b: Array) -> None:
        """Write the right factors of all products as panels."""
        g, kc, columns = self.g, self.blocking.kc, self.panels * self.nr
        whole = filled_up(
            b.reshape(g.batch, self.whole.k, self.whole.n), self.side * g.k, self.side * g.n
        )
        blocks = whole.reshape(g.batch, self.side, g.k, self.side, g.n)
        shape = (g.batch, self.blocks, self.terms, self.panels, *self.shape[-3:])
        factors = target.reshape(-1, *shape)
        for number, term in enumerate(self.products):
            factor = np.zeros((g.batch, g.k, g.n), b.dtype)
            for block, sign in enumerate(term.b):
                down, across = divmod(block, self.side)
                if sign:
                    factor += sign * blocks[:, down, :, across]
            filled = filled_up(factor, self.blocks * kc, columns)
            factors[:, :, :, number] = self.layout.panels(
                filled.reshape(g.batch, self.blocks, kc, columns)
            )

    def _add(self, tiles: TileList, each: Pass, following: Pass | None, *, first: bool) -> None:
        """Add the left factor of a product, then its tiles."""
        unused = [0] * (len(self._buffers()) - 2)
        first_factor = each.member * self.factors.elements(self.types)
        start = each.block * self.blocking.kc
        common = Factor(
            types=self.types,
            lanes=self.lanes,
            levels=self.levels,
            signs=(),
            places=(),
            rows=len(each.rows),
            columns=self._steps(each),
            row=self.a_row,
            target_row=self.a_row,
            fused=self.isa.fused,
        )
        steps = range(start, start + common.columns)
        for summed in self.factors.summed(each.term, each.z, each.rows, steps, common):
            target = first_factor + summed.target
            tiles.add(kernel(summed.kernel, self.isa), target, *unused, summed.source)
        super()._add(tiles, each, following, first=first)

    @property
    def _by_rows(self) -> bool:
        """Whether the threads share out the rows."""
        few = self.panels * self.g.batch < FEW_PANELS * self.threads
        tall = self.g.m >= 2 * self.blocking.rows * self.threads
        return super()._by_rows or (self.threads > 1 and few and tall)

    def _passes(self, member: int) -> Iterator[Pass]:
        """Yield all products of each pass, in order; rows that do not exist are left out.

        All rows use a group of panels before the next group: then panels, which have several times
        the bytes of ``b``, come from beyond the last-level cache only once.
        """
        passes = sorted(super()._passes(member), key=lambda each: (each.z, each.panels.start))
        for each in passes:
            for number, term in enumerate(self.products):
                rows = range(each.rows.start, min(each.rows.stop, self._rows_of(term)))
                if rows:
                    yield each._replace(rows=rows, term=number)

    def _rows_of(self, term: Term) -> int:
        """Return the rows of a product: all that the blocks have to which it is added."""
        return existing(self.whole.m, self.g.m, term.block(0, range(self.levels)))

    def _buffers(self) -> tuple[str, ...]:
        """Return the buffers of the pointers of tiles, the kept sums last."""
        names = super()._buffers()
        ends = names[4:] or (FACTORS, FACTORS)
        return (*names[:4], *ends, *[KEPT_SUMS] * (3 * self.levels), X)

    def _places(self, each: Pass, i: Array, columns: Array) -> tuple[Array, ...]:
        """Return where tiles start in ``a``, in ``c``, in what ends the sums, and in kept sums."""
        g, whole, term = self.g, self.whole, self.products[each.term]
        a = each.member * self.factors.elements(self.types) + (i - each.rows.start) * self.a_row
        down, across = (term.block(axis, range(self.levels)) for axis in (0, 1))
        column = columns + across * g.n
        c = (each.z * whole.m + i + down * g.m) * whole.n + column
        ends = epilogue.offsets(g.epilogue, self.types, column, c) or (column, c)
        panel = columns // self.nr - each.panels.start
        place = (panel * self.kept_rows + i - each.rows.start) * self.nr
        first = each.member * self.kept.elements + place
        return a, c, *ends, *(first + start for start in self.kept.starts(term)), 0 * c

    def _tile(self, each: Pass, rows: int, column: int, fetch: int, *, cold: bool) -> Tile:
        """Return the tile of one of the products."""
        tile = super()._tile(each, rows, column, fetch, cold=cold)
        term = self.products[each.term]
        across = term.block(1, range(self.levels))
        columns = existing(self.whole.n, self.g.n, across) - column
        kept = [
            PartialSums(self.nr, flow.before is not None, flow.after is not None, flow.ends)
            for flow in term.reached
        ]
        return replace(
            tile,
            c_rows=tuple(i * self.whole.n for i in range(rows)),
            columns=min(tile.columns, columns) if term.ends else tile.columns,
            accumulate=tile.accumulate and term.ends,
            epilogue=tile.epilogue if term.ends else NO_EPILOGUE,
            partial=tuple(kept),
        )

    def unread_bytes(self) -> int:
        """Return the bytes of the panels of products without rows: blocks that do not exist."""
        unread = sum(self._rows_of(term) == 0 for term in self.products)
        return self.buffer.nbytes * unread // self.terms

    def executed_flops(self) -> int:
        """Return the FLOPs of the products, of the sums of blocks and of the kept sums."""
        return sum(
            self._flops(each) for member in range(self.threads) for each in self._passes(member)
        )

    def _flops(self, each: Pass) -> int:
        term, steps = self.products[each.term], self._steps(each)
        columns = min(self.g.n, each.panels.stop * self.nr) - each.panels.start * self.nr
        again = each.block > 0 and term.ends  # the result of the block before is added
        products = len(each.rows) * columns * (2 * steps + term.additions + again)
        return products + self.factors.additions(each.term) * len(each.rows) * steps
