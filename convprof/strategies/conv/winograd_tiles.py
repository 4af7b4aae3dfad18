"""The tiles of Winograd's algorithm: whole ones, and narrower ones where whole ones would overlap.

A tile of F(4x4) that reaches over the edge computes outputs that do not exist. F(3x3) has the same
interpolation points but one, so it uses the same transformed filters: 14 outputs are 4 + 4 + 3 + 3.
F(6x6) has F(5x5).
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.codegen.kernels.winograd_matrices import Algorithm, Axes
    from convprof.problems import Conv2d


class WinogradTile(NamedTuple):
    """The place of a tile in the result, and its outputs."""

    image: int
    row: int
    column: int
    m: tuple[int, int]
    """Outputs down and across."""


def lengths(extent: int, algorithm: Algorithm) -> list[int]:
    """Return the outputs of each tile of a row or a column of the result, narrower ones last."""
    m = algorithm.m
    count = ceil_div(extent, m)
    narrow = min(count, count * m - extent) if algorithm.narrower else 0
    return [m] * (count - narrow) + [m - 1] * narrow


def elements(extent: int, algorithm: Algorithm) -> list[int]:
    """Return the transformed inputs of each tile of a row or a column of the result."""
    by_length = {each.m: each.elements for each in (algorithm, algorithm.narrower) if each}
    return [by_length[length] for length in lengths(extent, algorithm)]


def transformed(p: Conv2d, axes: Axes) -> int:
    """Return the elements of all transformed tiles of one channel."""
    down, across = axes
    return p.n * sum(elements(p.p, down)) * sum(elements(p.q, across))


def tiles_of(p: Conv2d, axes: Axes) -> list[WinogradTile]:
    """Return all tiles of a convolution, row by row."""
    each_axis = (lengths(*each) for each in zip((p.p, p.q), axes, strict=True))
    down, across = (
        list(zip(itertools.accumulate(each, initial=0), each, strict=False)) for each in each_axis
    )
    return [
        WinogradTile(image, i, j, (high, wide))
        for image, (i, high), (j, wide) in itertools.product(range(p.n), down, across)
    ]


@dataclass(frozen=True)
class BlockForm:
    """How many tiles of a block are whole or narrower: the tiles of a frequency are neighbours."""

    counts: tuple[int, ...]
    """Of each kind, in the order of ``ORDER``."""

    ORDER = ((True, False), (True, True), (False, True), (False, False))
    """Whether a tile is whole down, and across."""

    @classmethod
    def of(cls, tiles: Iterable[WinogradTile], m: int) -> BlockForm:
        """Count the tiles of each kind."""
        kinds = Counter(_whole(tile, m) for tile in tiles)
        return cls(tuple(kinds[kind] for kind in cls.ORDER))

    def rows(self, *, down: bool, across: bool) -> range:
        """Return the tiles that have a frequency.

        ``down``, ``across``: whether only tiles that are whole in this direction have it.
        """
        wide, whole, high, narrow = self.counts
        end = wide + whole + (0 if down else high) + (0 if down or across else narrow)
        return range(wide if across else 0, end)


def in_order(tiles: list[WinogradTile], m: int) -> list[WinogradTile]:
    """Return the tiles of a block in the order of ``BlockForm``."""
    return sorted(tiles, key=lambda tile: BlockForm.ORDER.index(_whole(tile, m)))


def _whole(tile: WinogradTile, m: int) -> tuple[bool, bool]:
    high, wide = tile.m
    return high == m, wide == m
