"""The stages of Strassen's algorithm: sums of blocks of ``a``, then the tiles of seven products.

A pass has some rows and some panels of a quarter of the result. Its seven products follow each
other, so that the sums to which they are added stay in the caches: each thread has two, as large as
the part of a quarter that one pass computes. The blocks of ``b`` are summed when panels are packed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.partial_sums import PartialSums
from convprof.codegen.kernels.strassen import KEPT, SumRow, Term, terms
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
    """How each of the products of blocks is cut."""

    levels: int
    """1 for 7 products of quarters, 2 for 49 products of quarters of quarters."""
    group: int
    """Panels for which all products are computed before the next panels, at most."""


def part(g: Gemm, levels: int) -> Gemm:
    """Return the product of a block of ``a`` and a block of ``b``; sizes are rounded up."""
    side = 2**levels
    return replace(g, m=ceil_div(g.m, side), n=ceil_div(g.n, side), k=ceil_div(g.k, side))


def exists(size: int, block: int, number: int) -> int:
    """Return how much of the ``number``-th block of ``block`` elements exists of ``size``."""
    return max(0, min(block, size - number * block))


def sections(size: int, block: int, count: int) -> Iterator[tuple[range, int]]:
    """Yield the parts of a block that exist in the same ones of ``count`` blocks.

    With the number of these blocks, which are the first ones.
    """
    edges = sorted({0, block, *(exists(size, block, number) for number in range(count))})
    for lo, hi in itertools.pairwise(edges):
        yield range(lo, hi), sum(exists(size, block, number) >= hi for number in range(count))


class StrassenStages(PanelStages):
    """The panels of the factors, and the stages of one product."""

    def __init__(self, g: Gemm, setting: Setting, blocking: StrassenBlocking) -> None:
        """Cut ``g`` into equal blocks, with zeros where sizes are no multiples."""
        super().__init__(part(g, blocking.levels), setting, blocking)
        self.whole, self.levels, self.side = g, blocking.levels, 2**blocking.levels
        self.products = terms(self.levels)
        self.terms = len(self.products)
        self.a_buffer, self.a_row = FACTORS, self._factor_row()
        self.group = ceil_div(self.panels, ceil_div(self.panels, blocking.group))
        self.whole_columns = exists(g.n, self.g.n, self.side - 1)
        self.kept_rows = even_block(self.g.m, min(self.g.m, self.blocking.mc))

    def _factor_row(self) -> int:
        """Return the elements from one row of a factor of ``a`` to the next: whole lines."""
        size = self.types.source.bytes
        line = LINE_BYTES // size
        row = round_up(self.g.k, line)
        return row + (line if row * size % ALIASED_BYTES == 0 else 0)

    @property
    def _kept_elements(self) -> int:
        """Elements of one of the kept sums of the innermost level."""
        return self.group * self.kept_rows * self.nr

    def _kept_blocks(self, level: int) -> int:
        """Return the blocks in one of the kept sums of a level; 0 is the outermost one."""
        return int(4 ** (self.levels - 1 - level))

    def workspaces(self) -> dict[str, Buffer]:
        """Return the left factors of all products, and the kept sums of each thread."""
        factors = (self.g.batch, self.terms, self.g.m, self.a_row)
        kept = (self.threads, self._all_kept, self._kept_elements)
        return {
            FACTORS: Buffer(factors, self.types.source),
            KEPT_SUMS: Buffer(kept, self.types.accumulator),
        }

    @property
    def _all_kept(self) -> int:
        """Blocks of the kept sums of all levels."""
        return KEPT * sum(map(self._kept_blocks, range(self.levels)))

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

    def _before(self) -> list[Stage]:
        """Return the stage that sums blocks of ``a``: a task is a part of the rows."""
        tiles = TileList()
        down = list(sections(self.whole.m, self.g.m, self.side))
        for mine in split(self.g.m, self.threads):
            tiles.task()
            for rows, count in down:
                some = range(max(rows.start, mine.start), min(rows.stop, mine.stop))
                if some:
                    self._add_sums(tiles, some, count)
        native = Native(runner_address(), tiles)
        buffers = (X, X, FACTORS)
        return [Stage("sums", native, self.threads, buffers, tiles.dims(), static_schedule=True)]

    def _add_sums(self, tiles: TileList, rows: range, down: int) -> None:
        """Add the sums of some rows, which the first ``down`` blocks have, of every product."""
        g, whole = self.g, self.whole
        z = np.arange(g.batch)[:, None]
        source = (z * whole.m + np.asarray(rows)).ravel() * whole.k
        target = (z * self.terms * g.m + np.asarray(rows)).ravel() * self.a_row
        for columns, across in sections(whole.k, g.k, self.side):
            places = [
                i * g.m * whole.k + j * g.k if i < down and j < across else None
                for i, j in itertools.product(range(self.side), repeat=2)
            ]
            row = SumRow(
                types=self.types,
                lanes=self.lanes,
                levels=self.levels,
                columns=len(columns),
                places=tuple(places),
                apart=g.m * self.a_row,
                fused=self.isa.fused,
            )
            start = columns.start
            tiles.add(kernel(row, self.isa), source + start, 0, target + start)

    def _passes(self, member: int) -> Iterator[Pass]:
        """Yield all products of each pass, in order; rows that do not exist are left out."""
        for each in super()._passes(member):
            for number, term in enumerate(self.products):
                rows = range(each.rows.start, min(each.rows.stop, self._rows_of(term)))
                if rows:
                    yield each._replace(rows=rows, term=number)

    def _rows_of(self, term: Term) -> int:
        """Return the rows of a product: all that the blocks have to which it is added."""
        return exists(self.whole.m, self.g.m, term.block(0, range(self.levels)))

    def _buffers(self) -> tuple[str, ...]:
        """Return the buffers of the pointers of tiles, those of the kept sums last."""
        names = super()._buffers()
        ends = names[4:] or (FACTORS, FACTORS)
        return (*names[:4], *ends, *[KEPT_SUMS] * (3 * self.levels))

    def _places(self, each: Pass, i: Array, columns: Array) -> tuple[Array, ...]:
        """Return where tiles start in ``a``, in ``c``, in what ends the sums, and in kept sums."""
        g, whole, term = self.g, self.whole, self.products[each.term]
        factor = each.z * self.terms + each.term
        a = (factor * g.m + i) * self.a_row + each.block * self.blocking.kc
        down, across = (term.block(axis, range(self.levels)) for axis in (0, 1))
        column = columns + across * g.n
        c = (each.z * whole.m + i + down * g.m) * whole.n + column
        ends = epilogue.offsets(g.epilogue, self.types, column, c) or (column, c)
        panel = columns // self.nr - each.panels.start
        place = (panel * self.kept_rows + i - each.rows.start) * self.nr
        kept = [
            (each.member * self._all_kept + block) * self._kept_elements + place
            for block in self._kept_places(term)
        ]
        return a, c, *ends, *kept

    def _kept_places(self, term: Term) -> Iterator[int]:
        """Yield which blocks of kept sums a product reads and writes, the innermost level first.

        Three for each level: before, after, ended.
        """
        first = self._all_kept
        for level in reversed(range(self.levels)):
            size = self._kept_blocks(level)
            first -= KEPT * size
            inner = range(level + 1, self.levels)
            down, across = (term.block(axis, inner) for axis in (0, 1))
            block = down * 2 ** len(inner) + across
            flow = term.flows[level]
            for slot in (flow.before, flow.after, flow.ended):
                yield first + (slot or 0) * size + block

    def _tile(self, each: Pass, rows: int, column: int, fetch: int, *, cold: bool) -> Tile:
        """Return the tile of one of the products."""
        tile = super()._tile(each, rows, column, fetch, cold=cold)
        term = self.products[each.term]
        across = term.block(1, range(self.levels))
        columns = exists(self.whole.n, self.g.n, across) - column
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

    def executed_flops(self) -> int:
        """Return the FLOPs of the products, of the sums of blocks and of the kept sums."""
        g = self.g
        sums = sum(sum(map(abs, term.a)) - 1 for term in self.products) * g.m * g.k
        products = sum(
            self._rows_of(term) * g.n * (2 * g.k + term.additions) for term in self.products
        )
        return g.batch * (sums + products)
