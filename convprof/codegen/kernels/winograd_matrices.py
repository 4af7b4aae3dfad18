"""The matrices of F(m x m, 3 x 3)."""

from __future__ import annotations

from dataclasses import dataclass

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Algorithm:
    """The three matrices of F(m x m, 3 x 3)."""

    m: int
    """Outputs across a tile."""
    bt: Matrix
    g: Matrix
    at: Matrix
    factor: int = 1
    """Whole filters are multiplied by it in each dimension, so results are divided by it twice."""
    bt_steps: tuple[Matrix, ...] = ()
    """Matrices whose product is ``bt``, the first step last, if they need fewer operations."""

    @property
    def size(self) -> int:
        """Inputs across a tile: m + 2."""
        return self.m + 2


ALGORITHMS = {
    2: Algorithm(
        2,
        bt=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        g=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
        at=((1, 1, 1, 0), (0, 1, -1, -1)),
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
        g=(
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        at=((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    ),
}
"""Lavin & Gray 2016, section 4; the interpolation points are 0, 1, -1 (, 2, -2) and infinity."""

WHOLE_ALGORITHMS = {
    2: Algorithm(
        2,
        bt=ALGORITHMS[2].bt,
        g=((2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2)),
        at=ALGORITHMS[2].at,
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
        g=((15, 0, 0), (-5, -5, -5), (5, -5, 5), (1, 2, 4), (-4, 2, -1), (0, 0, 15)),
        at=((1, 1, 1, 1, 8, 0), (0, 1, -1, 2, -4, 0), (0, 1, 1, 4, 2, 0), (0, 1, -1, 8, -1, 1)),
        factor=30,
        bt_steps=(
            (
                (-1, 0, 1, 0, 0, 0),
                (0, 1, 1, 0, 0, 0),
                (0, -1, 1, 0, 0, 0),
                (0, 0, 0, 0, 1, 0),
                (0, 0, 0, 0, 0, 1),
                (0, -1, 0, 1, 0, 0),
            ),
            (
                (2, 0, 0, 0, -3, 0, 0, 0),
                (0, 2, 0, 0, 0, -3, 0, 0),
                (0, 0, 2, 0, 0, 0, -3, 0),
                (0, 0, 0, 2, 0, 0, 0, -3),
                (0, 1, 2, 0, 0, 0, 0, 0),
                (0, -2, 1, 0, 0, 0, 0, 0),
            ),
            (
                (-1, 0, 1, 0, 0, 0),
                (0, -1, 0, 1, 0, 0),
                (0, 0, -1, 0, 1, 0),
                (0, 0, 0, -1, 0, 1),
                (0, 1, 0, 0, 0, 0),
                (0, 0, 1, 0, 0, 0),
                (0, 0, 0, 1, 0, 0),
                (0, 0, 0, 0, 1, 0),
            ),
        ),
    ),
}
"""The same in whole numbers: for bytes. The points of F(4x4) are 0, 1, -1, 2, -1/2 and infinity.

``g`` is the usual matrix times ``factor``: 2, or 30. With -2 as the fifth point the factor would be
24, and results times 24^2 = 2^6 * 9 would fit fewer sums in 32 bits than results times
30^2 = 2^2 * 225.
"""
