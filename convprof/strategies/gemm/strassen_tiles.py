"""The stages of Strassen's algorithm: for each product, the left factor, then its tiles.

A pass has some rows and some panels of a block of the result. All products follow each other, so
that what they share stays in the caches of a thread: the sums to which they are added, as large as
the part of a block that one pass computes, and the left factor, a sum of blocks of ``a``. The
blocks of ``b`` are summed when panels are packed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen.kernels.partial_sums import PartialSums
from convprof.codegen.kernels.strassen import KEPT, STEPS, Blocks, Factor, Term, terms
from convprof.codegen.kernels.tile_code import LINE_BYTES
from convprof.codegen.tile_list import kernel
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import epilogue
from convprof.strategies.gemm.panel_layout import filled_up
from convprof.strategies.gemm.prepacked_tiles import PanelBlocking, PanelStages, Pass
from convprof.strategies.plan import Buffer, X

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.codegen.kernels.gemm import Tile
    from convprof.codegen.tile_list import TileList
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


FOUR = tuple(itertools.product(range(2), repeat=2))
"""The blocks of a matrix: down, across."""


def part(g: Gemm, levels: int) -> Gemm:
    """Return the product of a block of ``a`` and a block of ``b``; sizes are rounded up."""
    side = 2**levels
    return replace(g, m=ceil_div(g.m, side), n=ceil_div(g.n, side), k=ceil_div(g.k, side))


def exists(size: int, block: int, number: int) -> int:
    """Return how much of the ``number``-th block of ``block`` elements exists of ``size``."""
    return max(0, min(block, size - number * block))


def cuts(span: range, size: int, block: int, numbers: Sequence[int]) -> Iterator[Cut]:
    """Yield the parts of a span of a block in which the same ones of some blocks exist."""
    ends = [exists(size, block, number) for number in numbers]
    edges = sorted({span.start, span.stop, *(end for end in ends if end in span)})
    for lo, hi in itertools.pairwise(edges):
        yield Cut(range(lo, hi), [end >= hi for end in ends])


class Cut(NamedTuple):
    """A part of a span, and which blocks exist in it."""

    span: range
    exist: list[bool]


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
        row = round_up(self.blocking.kc, line)
        return row + (line if row * size % ALIASED_BYTES == 0 else 0)

    @property
    def _factor_elements(self) -> int:
        """Elements of one factor of ``a``: the rows and steps of a pass."""
        return self.kept_rows * self.a_row

    @property
    def _kept_elements(self) -> int:
        """Elements of one of the kept sums of the innermost level."""
        return self.group * self.kept_rows * self.nr

    def _kept_blocks(self, level: int) -> int:
        """Return the blocks in one of the kept sums of a level; 0 is the outermost one."""
        return int(4 ** (self.levels - 1 - level))

    def workspaces(self) -> dict[str, Buffer]:
        """Return the left factors of each level and the kept sums, of each thread.

        The factor of the innermost level comes first.
        """
        factors = (self.threads, self._factor_units, self._factor_elements)
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

    def _add(self, tiles: TileList, each: Pass, following: Pass | None, *, first: bool) -> None:
        """Add the left factor of a product, then its tiles."""
        unused = [0] * (len(self._buffers()) - 2)
        for level in range(self.levels):
            inner = len(STEPS) ** (self.levels - 1 - level)
            if each.term % inner == 0:  # the factor of all products of the inner levels
                factors = STEPS[each.term // inner % len(STEPS)][0]
                for part_, target, source in self._factor(each, level, factors):
                    tiles.add(kernel(part_, self.isa), target, *unused, source)
        super()._add(tiles, each, following, first=first)

    def _factor(self, each: Pass, level: int, factors: Blocks) -> Iterator[tuple[Factor, int, int]]:
        """Yield the parts of a left factor, where they start, and where their blocks are in ``x``.

        On outer levels, a factor has a block for each block of the inner levels.
        """
        side = 2 ** (self.levels - 1 - level)
        for i, j in itertools.product(range(side), repeat=2):
            unit = self._factor_unit(level) + i * side + j
            first = (each.member * self._factor_units + unit) * self._factor_elements
            common = Factor(
                types=self.types,
                lanes=self.lanes,
                levels=self.levels,
                factors=factors,
                places=(),
                rows=len(each.rows),
                columns=self._steps(each),
                row=self.a_row,
                target_row=self.a_row,
                inner=level > 0,
                fused=self.isa.fused,
            )
            if level:
                outer = self._factor_unit(level - 1) - unit
                places = [
                    outer + (down * side + i) * 2 * side + across * side + j
                    for down, across in FOUR
                ]
                sizes = tuple(place * self._factor_elements for place in places)
                yield replace(common, places=sizes), first, 0
            else:
                yield from self._outer_factor(each, common, first, (i, j))

    def _outer_factor(
        self, each: Pass, common: Factor, first: int, block: tuple[int, int]
    ) -> Iterator[tuple[Factor, int, int]]:
        """Yield the parts of a block of a factor of the outermost level, of blocks of ``x``."""
        g, whole, half, (i, j) = self.g, self.whole, self.side // 2, block
        start = each.block * self.blocking.kc
        steps = range(start, start + self._steps(each))
        down_cuts = cuts(each.rows, whole.m, g.m, (i, half + i))
        across_cuts = cuts(steps, whole.k, g.k, (j, half + j))
        for rows, columns in itertools.product(down_cuts, across_cuts):
            exist = [rows.exist[down] and columns.exist[across] for down, across in FOUR]
            places = [half * (down * g.m * whole.k + across * g.k) for down, across in FOUR]
            row, column = rows.span.start, columns.span.start
            source = (each.z * whole.m + i * g.m + row) * whole.k + j * g.k + column
            target = first + (row - each.rows.start) * self.a_row + column - start
            some = replace(
                common,
                places=tuple(
                    place if exists_ else None for place, exists_ in zip(places, exist, strict=True)
                ),
                rows=len(rows.span),
                columns=len(columns.span),
                row=whole.k,
            )
            yield some, target, source

    @property
    def _factor_units(self) -> int:
        """Factors of blocks of all levels."""
        return sum(4**level for level in range(self.levels))

    def _factor_unit(self, level: int) -> int:
        """Return the first factor of a level; the innermost level is first."""
        return sum(4**inner for inner in range(self.levels - 1 - level))

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
        return (*names[:4], *ends, *[KEPT_SUMS] * (3 * self.levels), X)

    def _places(self, each: Pass, i: Array, columns: Array) -> tuple[Array, ...]:
        """Return where tiles start in ``a``, in ``c``, in what ends the sums, and in kept sums."""
        g, whole, term = self.g, self.whole, self.products[each.term]
        factor = each.member * self._factor_units * self._factor_elements
        a = factor + (i - each.rows.start) * self.a_row
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
        return a, c, *ends, *kept, 0 * c

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
        return sum(
            self._flops(each) for member in range(self.threads) for each in self._passes(member)
        )

    def _flops(self, each: Pass) -> int:
        term, steps = self.products[each.term], self._steps(each)
        columns = min(self.g.n, each.panels.stop * self.nr) - each.panels.start * self.nr
        again = each.block > 0 and term.ends  # the result of the block before is added
        products = len(each.rows) * columns * (2 * steps + term.additions + again)
        sums = 0
        for level in range(self.levels):
            inner = len(STEPS) ** (self.levels - 1 - level)
            if each.term % inner == 0:
                some = STEPS[each.term // inner % len(STEPS)][0]
                sums += 4 ** (self.levels - 1 - level) * (sum(map(abs, some)) - 1)
        return products + sums * len(each.rows) * steps
