"""A product cut into tiles: sizes, counts, and which elements a tile marks on a scaled picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div, round_up

if TYPE_CHECKING:
    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Marks = np.ndarray[Any, np.dtype[np.uint8]]

REST, CACHE, REGISTER = 0, 1, 2
"""What a cell of a picture belongs to; a cell that several belong to shows the highest."""


@dataclass(frozen=True)
class Axis:
    """One axis of a picture: ``length`` elements from ``start``, ``each`` of them per cell."""

    start: int
    length: int
    each: int
    extent: int

    @property
    def cells(self) -> int:
        """Cells along the axis."""
        return ceil_div(self.length, self.each)

    def mark(self, positions: Integers) -> Integers:
        """Return the distinct cells of these elements."""
        inside = positions[(positions >= self.start) & (positions < self.start + self.length)]
        return np.unique((inside - self.start) // self.each)


@dataclass(frozen=True, eq=False)
class Picture:
    """A, B and C with the marks ``REST``, ``CACHE`` and ``REGISTER``, a number per cell."""

    m: Axis
    n: Axis
    k: Axis
    a: Marks
    """(m cells, k cells)."""
    b: Marks
    """(k cells, n cells)."""
    c: Marks
    """(m cells, n cells)."""


@dataclass(frozen=True, eq=False)
class Images:
    """The register tile that is shown, in the images of a convolution."""

    output: tuple[int, int]
    """Rows and columns of the output."""
    input: tuple[int, int]
    pixels: Integers
    """Output pixels of the tile, (count, 2)."""
    read: Integers
    """Input pixels that these read, (count, 2)."""


@dataclass(frozen=True, eq=False)
class Tiling:
    """A (m, k) @ B (k, n) and one tile of it. Elements throughout."""

    strategy: str
    """Whose choice this is."""
    words: tuple[str, str, str]
    """What a row of C, a column of C and a step of the reduction are."""
    m: int
    n: int
    k: int
    mr: int
    nr: int
    vectors: int
    """Vectors across a register tile."""
    mc: int
    nc: int
    kc: int
    block: tuple[int, int, int]
    """First row, column and step of the cache tile that is shown."""
    tile_rows: Integers
    """Rows of C in the register tile that is shown; neighbours, or pixels below one another."""
    tile_column: int
    """Its first column."""
    macs: int
    register_loads: int
    """Elements of A and B that all register tiles load."""
    a_elements: int
    """Distinct elements of A: for a convolution elements of the input."""
    a_block: tuple[int, int]
    """What a cache tile needs of A: rows by steps; for a convolution input pixels by channels."""
    a_tile: tuple[int, int]
    """What the shown register tile needs of A, likewise."""
    a_reads: int
    """Elements of A from beyond the cache, over all cache tiles."""
    b_reads: int
    """Elements of B likewise, if all of B does not fit."""
    one_of: tuple[tuple[int, str], ...] = ()
    """What the page shows one of, where there are several: ``(3, "products")``."""
    images: Images | None = None
    """Only of a convolution."""
    depthwise: bool = False
    """One filter per channel: an element of A serves one output of its channel only."""

    @property
    def k_blocks(self) -> int:
        """How often C is gone through."""
        return ceil_div(self.k, self.kc)

    def fetched(self, *, b_fits: bool) -> int:
        """Return the elements of A and B from beyond the cache."""
        return self.a_reads + (self.k * self.n if b_fits else self.b_reads)

    def picture(self, rows: int, columns: int, steps: int) -> Picture:
        """Return the three matrices scaled to at most that many cells down, across and along K."""
        i, j, t = self.block_slices()
        m = _axis(self.m, i.start, self.mc, rows, self.mr)
        n = _axis(self.n, j.start, self.nc, columns, self.nr)
        k = _axis(self.k, t.start, self.kc, steps, 1)
        along = np.arange(t.start, t.stop)
        tall, wide, deep = (
            [axis.mark(np.arange(block.start, block.stop)), axis.mark(of_tile)]
            for axis, block, of_tile in (
                (m, i, self.tile_rows),
                (n, j, self._tile_columns()),
                (k, t, along),
            )
        )
        return Picture(
            m, n, k,
            a=_marked(m, k, tall, deep),
            b=_marked(k, n, deep, wide),
            c=_marked(m, n, tall, wide),
        )  # fmt: skip

    def block_slices(self) -> tuple[slice, slice, slice]:
        """Return rows, columns and steps of the cache tile."""
        i, j, t = self.block
        return (
            slice(i, min(i + self.mc, self.m)),
            slice(j, min(j + self.nc, self.n)),
            slice(t, min(t + self.kc, self.k)),
        )

    def tile_slices(self) -> tuple[slice, slice, slice] | None:
        """Return rows, columns and steps of the register tile; None if its rows are no slice."""
        first, last = int(self.tile_rows[0]), int(self.tile_rows[-1])
        if last - first != len(self.tile_rows) - 1:
            return None
        columns = self._tile_columns()
        return (
            slice(first, last + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
            self.block_slices()[2],
        )

    def _tile_columns(self) -> Integers:
        return np.arange(self.tile_column, min(self.tile_column + self.nr, self.n))


def _axis(extent: int, start: int, block: int, most: int, tile: int) -> Axis:
    """Return the window around a block, in cells that cut the tile evenly where that is possible.

    Twice the block is shown where there is as much, so that one sees where it ends.
    """
    length = min(extent, 2 * block)
    each = ceil_div(length, most)
    if each > tile:
        each = round_up(each, tile)
    else:
        each = next(d for d in range(each, tile + 1) if tile % d == 0)
    return Axis(max(0, min(start, extent - length)), length, each, extent)


def _marked(down: Axis, across: Axis, rows: list[Integers], columns: list[Integers]) -> Marks:
    marks = np.full((down.cells, across.cells), REST, np.uint8)
    for mark, i, j in zip((CACHE, REGISTER), rows, columns, strict=True):
        marks[np.ix_(i, j)] = mark
    return marks
