"""The code of a register tile in f16: blocks of products in f16, the sums of blocks in f32.

A vector of f16 has as many lanes as two vectors of sums. At the end of a block its halves are
converted, and added to the sums.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from convprof.codegen.kernels.half import half_writer
from convprof.codegen.kernels.tile_code import Code, Place
from convprof.integers import even_parts

if TYPE_CHECKING:
    from convprof.codegen.kernels.tile_form import TileForm
    from convprof.codegen.writer import Writer


class HalfCode(Code):
    """The text of one kernel."""

    def __init__(self, tile: TileForm, w: Writer) -> None:
        super().__init__(tile, w)
        across = tile.multiply.across
        self.columns = [
            (first, half_writer(w, min(across, tile.vectors - first)))
            for first in range(0, tile.vectors, across)
        ]
        """The first vector of sums, and the writer, of each vector of f16 across the tile."""

    def _steps(self, sums: list[str], count: int, a: Place, b: Place) -> list[str]:
        """Write ``count`` steps, in equal blocks; return the sums."""
        for block in even_parts(count, self.tile.multiply.turn):
            if a.is_fixed:
                sums, a = self._fenced(sums, a)
            totals: dict[tuple[int, int], str] = {}
            for u in block:
                self._step(totals, (u, count), a, b)
            sums = self._added(sums, totals)
        return sums

    def _step(
        self, totals: dict[tuple[int, int], str], at: tuple[int, int], a: Place, b: Place
    ) -> None:
        """Write the products of step ``at[0]`` of ``at[1]``, added to sums in f16.

        The first ones of a block are the sums.
        """
        tile, (u, count) = self.tile, at
        if a.is_fixed:
            self.w.fence()
        across = self._halves_of_b(b, u)
        for i, row in enumerate(tile.rows):
            start = a.offset + row + u * tile.a_step
            for (first, w), vector in zip(self.columns, across, strict=True):
                element = w.broadcast(w.at(a.pointer, start))
                key = (i, first)
                if key in totals:
                    totals[key] = w.fma(element, vector, totals[key])
                else:
                    totals[key] = w.add(f"fmul {w.vector} {element}, {vector}")
        self._fetch_fourth(u, count)

    def _halves_of_b(self, b: Place, u: int) -> list[str]:
        """Return the vectors of f16 of the ``u``-th step of ``b``. Prefetch as the tile says."""
        tile, start = self.tile, (b.offset + u) * self.tile.b_row
        vectors = []
        for first, w in self.columns:
            column = first * tile.lanes
            mask = None if tile.padded else w.mask(tile.columns - column)
            vectors.append(w.load(w.at(b.pointer, start + column), mask))
        if tile.fetch_rows:
            self._fetch(b.pointer, start + tile.fetch_rows * tile.b_row, level=1)
        return vectors

    def _added(self, sums: list[str], totals: dict[tuple[int, int], str]) -> list[str]:
        """Write the sums in f32 plus the sums of a block."""
        tile, w, sums = self.tile, self.w, list(sums)
        lanes = tile.lanes
        for i, (first, short) in itertools.product(range(len(tile.rows)), self.columns):
            total = totals[i, first]
            for part in range(short.lanes // lanes):
                picks = ", ".join(f"i32 {part * lanes + lane}" for lane in range(lanes))
                half = w.add(
                    f"shufflevector {short.vector} {total}, {short.vector} poison, "
                    f"<{lanes} x i32> <{picks}>"
                )
                wide = w.add(f"fpext <{lanes} x half> {half} to {w.vector}")
                k = i * tile.vectors + first + part
                sums[k] = w.plus(sums[k], wide)
        return sums
