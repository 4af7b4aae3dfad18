"""The matrices of F(m, taps) from points are exact, and steps give the same matrix."""

from __future__ import annotations

from fractions import Fraction

import pytest

from convprof.codegen.kernels.cook_toom import cook_toom, narrower, steps
from convprof.codegen.kernels.winograd_tables import ALGORITHMS, WHOLE_ALGORITHMS

HALF = Fraction(1, 2)
FLOATS = [(each, 1) for each in (0, 1, -1, 2, -2, HALF, -HALF)]
WHOLE = [(0, 1), (1, 1), (-1, 1), (2, 1), (-1, 2), (3, 1)]
EVERY = [
    (points[: m + taps - 2], m, taps)
    for points in (FLOATS, WHOLE)
    for m, taps in ((2, 2), (3, 2), (4, 2), (5, 2), (2, 3), (4, 3), (2, 4), (3, 4), (1, 4))
]


def correlation(matrices, m, taps):
    """Return the sum of products of each tap and input, for every output: 1 or 0."""
    bt, g, at = matrices.bt, matrices.g, matrices.at
    return [
        [
            [sum(at[i][k] * g[k][t] * bt[k][j] for k in range(len(g))) for j in range(m + taps - 1)]
            for t in range(taps)
        ]
        for i in range(m)
    ]


def expected(m, taps):
    return [[[int(j == i + t) for j in range(m + taps - 1)] for t in range(taps)] for i in range(m)]


@pytest.mark.parametrize(("points", "m", "taps"), EVERY)
def test_the_matrices_are_a_correlation_exactly(points, m, taps):
    wide = cook_toom(m, taps, points)
    assert correlation(wide, m, taps) == expected(m, taps)
    assert all((wide.factor * number).denominator == 1 for row in wide.g for number in row)
    assert not any(row[-1] for row in wide.bt[:-1]), "infinity alone reads the last input"


@pytest.mark.parametrize(("points", "m", "taps"), [each for each in EVERY if each[1] > 1])
def test_every_point_may_be_left_out_for_a_narrower_tile(points, m, taps):
    wide = cook_toom(m, taps, points)
    for left_out in range(len(points)):
        few = narrower(m, taps, points, left_out)
        assert correlation(few, m - 1, taps) == expected(m - 1, taps)
        assert few.g == tuple(row for k, row in enumerate(wide.g) if k != left_out)


@pytest.mark.parametrize(("points", "m", "taps"), EVERY)
def test_steps_give_the_same_matrix(points, m, taps):
    few = [narrower(m, taps, points, len(points) - 1)] if m > 1 else []
    for matrices, of in zip(
        [cook_toom(m, taps, points), *few], (points, points[:-1]), strict=False
    ):
        if not of:
            continue
        product = None
        for step in steps(of, matrices.bt):
            columns = list(zip(*(product or _identity(len(matrices.bt))), strict=True))
            product = [[sum(map(_times, row, column)) for column in columns] for row in step]
        assert tuple(map(tuple, product)) == matrices.bt


def _identity(size):
    return [[Fraction(i == j) for j in range(size)] for i in range(size)]


def _times(a, b):
    return a * b


def test_the_matrices_of_lavin_and_gray():
    """F(4x4, 3x3) of the paper, and the filters of bytes with -1/2 instead of -2."""
    assert ALGORITHMS[4].g == (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    )
    assert ALGORITHMS[4].bt[1] == (0, -4, -4, 1, 1, 0)
    assert ALGORITHMS[4].at[3] == (0, 1, -1, 8, -8, 1)
    whole = (15, 0, 0), (-5, -5, -5), (5, -5, 5), (1, 2, 4), (-4, 2, -1), (0, 0, 15)
    assert WHOLE_ALGORITHMS[4].g == whole


def test_a_wrong_number_of_points_is_refused():
    with pytest.raises(ValueError, match=r"F\(4, 3\) has 5 finite points; got 4"):
        cook_toom(4, 3, FLOATS[:4])
