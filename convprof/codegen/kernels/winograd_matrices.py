"""The matrices of F(m x m, 3 x 3), for floats and for whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.dtypes import DType

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Algorithm:
    """The three matrices of F(m x m, 3 x 3)."""

    m: int
    """Outputs across a tile."""
    bt: Matrix
    g: Matrix
    at: Matrix
    transform_cycles: float
    """Cycles of both transforms of a tile, of a vector of channels each, as measured."""
    factor: int = 1
    """Whole filters are multiplied by it in each dimension, so results are divided by it twice."""
    bt_steps: tuple[Matrix, ...] = ()
    """Matrices that give ``bt`` one after the other, if they need fewer operations."""
    narrower: Algorithm | None = None
    """F(m - 1) at the same points but one, so that it uses the same transformed filters."""
    left_out: int | None = None
    """The frequency of F(m + 1) that F(m), as the narrower one, does not have."""

    @property
    def size(self) -> int:
        """Inputs across a tile: m + 2."""
        return self.m + 2

    @property
    def places(self) -> tuple[int, ...]:
        """The frequencies of the filters, in one dimension, that the tile uses."""
        every = range(self.size + (self.left_out is not None))
        return tuple(place for place in every if place != self.left_out)

    @property
    def input_steps(self) -> tuple[Matrix, ...]:
        """The matrices of the input transform, in their order."""
        return self.bt_steps or (self.bt,)

    @property
    def input_additions(self) -> int:
        """Additions of the input transform of a vector of inputs."""
        return sum(map(_additions, self.input_steps))

    @property
    def output_additions(self) -> int:
        """Additions of the output transform of a vector of products."""
        return _additions(self.at)

    @property
    def quotient(self) -> tuple[int, int]:
        """The number to multiply with and the bits to shift to the right: divides by ``factor^2``.

        For multiples of ``factor^2`` that are known modulo 2^32. The odd part of the divisor has an
        inverse modulo 2^32. The power of two is shifted out, so quotients have fewer bits.
        """
        divisor = self.factor**2
        shift = (divisor & -divisor).bit_length() - 1
        return pow(divisor >> shift, -1, 1 << 32), shift


_FILTERS_4 = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_FILTERS_6 = (
    (-1, 0, 0),
    (-2 / 9, -2 / 9, -2 / 9),
    (-2 / 9, 2 / 9, -2 / 9),
    (1 / 90, 1 / 45, 2 / 45),
    (1 / 90, -1 / 45, 2 / 45),
    (32 / 45, 16 / 45, 8 / 45),
    (32 / 45, -16 / 45, 8 / 45),
    (0, 0, 1),
)
_WHOLE_FILTERS_4 = ((15, 0, 0), (-5, -5, -5), (5, -5, 5), (1, 2, 4), (-4, 2, -1), (0, 0, 15))
"""Of a row of filters to its transform; a narrower tile uses all rows but one."""

ALGORITHMS = {
    2: Algorithm(
        2,
        bt=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        g=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
        at=((1, 1, 1, 0), (0, 1, -1, -1)),
        transform_cycles=70,
    ),
    4: Algorithm(
        4,
        bt=(
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        g=_FILTERS_4,
        at=((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
        transform_cycles=200,
        narrower=Algorithm(
            3,
            bt=(
                (4, -2, -4, 2, 0),
                (0, -6, -3, 3, 0),
                (0, 2, -3, 1, 0),
                (0, -4, 0, 4, 0),
                (0, 2, -1, -2, 1),
            ),
            g=(*_FILTERS_4[:4], _FILTERS_4[5]),
            at=((1, 1, 1, 1, 0), (0, 1, -1, 2, 0), (0, 1, 1, 4, 1)),
            transform_cycles=130,
            left_out=4,
        ),
    ),
    6: Algorithm(
        6,
        bt=(
            (-1, 0, 21 / 4, 0, -21 / 4, 0, 1, 0),
            (0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0),
            (0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0),
            (0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0),
            (0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0),
            (0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0),
            (0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0),
            (0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1),
        ),
        g=_FILTERS_6,
        at=(
            (1, 1, 1, 1, 1, 1, 1, 0),
            (0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0),
            (0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0),
            (0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0),
            (0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0),
            (0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1),
        ),
        transform_cycles=500,
        narrower=Algorithm(
            5,
            bt=(
                (-1, 2, 5 / 4, -5 / 2, -1 / 4, 1 / 2, 0),
                (0, 3, -3, -27 / 4, 3 / 4, 3 / 2, 0),
                (0, 1, -3, 7 / 4, 3 / 4, -1 / 2, 0),
                (0, 5 / 2, -15 / 4, -5, 15 / 4, 5 / 2, 0),
                (0, 3 / 2, -15 / 4, 0, 15 / 4, -3 / 2, 0),
                (0, 4, 0, -5, 0, 1, 0),
                (0, -2, 4, 5 / 2, -5, -1 / 2, 1),
            ),
            g=(*_FILTERS_6[:6], _FILTERS_6[7]),
            at=(
                (1, 1, 1, 1, 1, 1, 0),
                (0, 1, -1, 2, -2, 1 / 2, 0),
                (0, 1, 1, 4, 4, 1 / 4, 0),
                (0, 1, -1, 8, -8, 1 / 8, 0),
                (0, 1, 1, 16, 16, 1 / 16, 1),
            ),
            transform_cycles=340,
            left_out=6,
            bt_steps=(
                (  # x - 1/2 at six places, and the row of 1/2
                    (-1 / 2, 1, 0, 0, 0, 0, 0),
                    (0, -1 / 2, 1, 0, 0, 0, 0),
                    (0, 0, -1 / 2, 1, 0, 0, 0),
                    (0, 0, 0, -1 / 2, 1, 0, 0),
                    (0, 0, 0, 0, -1 / 2, 1, 0),
                    (0, 0, 0, 0, 0, -1 / 2, 1),
                    (0, 4, 0, -5, 0, 1, 0),
                ),
                (  # the rows of F(4x4)
                    (4, 0, -5, 0, 1, 0, 0),
                    (0, -4, -4, 1, 1, 0, 0),
                    (0, 4, -4, -1, 1, 0, 0),
                    (0, -2, -1, 2, 1, 0, 0),
                    (0, 2, -1, -2, 1, 0, 0),
                    (0, 0, 0, 0, 0, 0, 1),
                    (0, 4, 0, -5, 0, 1, 0),
                ),
                (
                    (1 / 2, 0, 0, 0, 0, 0, 0),
                    (0, 3 / 2, 0, 0, 0, 0, 0),
                    (0, 0, -1 / 2, 0, 0, 0, 0),
                    (0, 0, 0, 5 / 2, 0, 0, 0),
                    (0, 0, 0, 0, -3 / 2, 0, 0),
                    (0, 0, 0, 0, 0, 1, 0),
                    (0, 0, 0, 0, 0, 0, 1),
                ),
            ),
        ),
    ),
}
"""For floats: Lavin & Gray 2016, section 4. The interpolation points are 0, 1, -1, then 2, -2, then
1/2, -1/2, and infinity. The error of F(6x6) is at most twice the error of F(4x4)."""

WHOLE_ALGORITHMS = {
    2: Algorithm(
        2,
        bt=ALGORITHMS[2].bt,
        g=((2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2)),
        at=ALGORITHMS[2].at,
        transform_cycles=50,
        factor=2,
    ),
    4: Algorithm(
        4,
        bt=(
            (2, 3, -4, -3, 2, 0),
            (0, -2, -5, -1, 2, 0),
            (0, 2, 1, -5, 2, 0),
            (0, -1, -2, 1, 2, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 2, 3, -4, -3, 2),
        ),
        g=_WHOLE_FILTERS_4,
        at=((1, 1, 1, 1, 8, 0), (0, 1, -1, 2, -4, 0), (0, 1, 1, 4, 2, 0), (0, 1, -1, 8, -1, 1)),
        transform_cycles=210,
        factor=30,
        narrower=Algorithm(
            3,
            bt=(
                (2, -1, -2, 1, 0),
                (0, -6, -3, 3, 0),
                (0, -2, 3, -1, 0),
                (0, -5, 0, 5, 0),
                (0, 4, -2, -4, 2),
            ),
            g=(*_WHOLE_FILTERS_4[:4], _WHOLE_FILTERS_4[5]),
            at=((1, 1, 1, 1, 0), (0, 1, -1, 2, 0), (0, 1, 1, 4, 1)),
            transform_cycles=140,
            factor=30,
            left_out=4,
        ),
        bt_steps=(
            (  # differences, and the four pixels in the middle
                (-1, -1, 1, 0, 0, 0),
                (0, -1, 0, 1, 0, 0),
                (0, 0, -1, 0, 1, 0),
                (0, 0, 0, -1, -1, 1),
                (0, 1, 0, 0, 0, 0),
                (0, 0, 1, 0, 0, 0),
                (0, 0, 0, 1, 0, 0),
                (0, 0, 0, 0, 1, 0),
            ),
            (  # (x - 2) (2 x + 1) at four places, and the rows of 2 and -1/2
                (2, 0, 0, 0, -1, 0, 0, 0),
                (0, 2, 0, 0, 0, -3, 0, 0),
                (0, 0, 2, 0, 0, 0, -3, 0),
                (0, 0, 0, 2, 0, 0, 0, -1),
                (0, 1, 2, 0, 0, 0, 0, 0),
                (0, -2, 1, 0, 0, 0, 0, 0),
            ),
            (
                (-1, 0, 1, 0, 0, 0),
                (0, 1, 1, 0, 0, 0),
                (0, -1, 1, 0, 0, 0),
                (0, 0, 0, 0, 1, 0),
                (0, 0, 0, 0, 0, 1),
                (0, -1, 0, 1, 0, 0),
            ),
        ),
    ),
}
"""In whole numbers, for bytes. ``g`` is the usual matrix times ``factor``.

The points of F(4x4) are 0, 1, -1, 2, -1/2 and infinity. Transformed bytes are at most 98 * 256 =
25,088, transformed filters 15^2 * 128 = 28,800: both fit 16 bits. All sums are modulo 2^32; results
are ``factor^2 = 2^2 * 225`` times too large, so they are exact below 2^29. (With -2 instead of -1/2
the factor would be 24^2 = 2^6 * 9, and results exact below 2^25 only.)
"""
WHOLE_BITS = 30
"""Bits of a result, with its sign, that ``WHOLE_ALGORITHMS`` compute: 32 less the two of 2^2."""


def algorithms(dtype: DType) -> dict[int, Algorithm]:
    """Return F(m x m, 3 x 3) by m, for transforms that compute in a type."""
    return WHOLE_ALGORITHMS if dtype.is_exact else ALGORITHMS


def algorithm(m: int, dtype: DType) -> Algorithm:
    """Return F(m x m, 3 x 3), of one of the tables or the narrower one of F(m + 1)."""
    table = algorithms(dtype)
    tabled = table.get(m) or table[m + 1].narrower
    if tabled is None:
        raise ValueError(f"no F({m}x{m}, 3x3)")
    return tabled


def _additions(matrix: Matrix) -> int:
    """Return the additions of a product of the matrix and a vector."""
    return sum(sum(x != 0 for x in row) - 1 for row in matrix)
