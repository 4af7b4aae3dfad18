"""The matrices of F(m, taps) in one dimension, from interpolation points, in exact fractions.

A filter ``g`` of ``taps`` numbers over ``n = m + taps - 1`` inputs ``d`` gives ``m`` sums

    y_i = sum_t g_t d_(i+t),    y = A^T [(G g) * (B^T d)]

with one product per point (Toom 1963; Cook 1966; Winograd 1980, "Arithmetic complexity of
computations"). The product of the polynomials of ``g`` and of ``x^i`` is interpolated at ``n``
points; the sums are the transposed product. A point is a quotient a/b, so that whole numbers stay
whole; the last point is infinity.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[Fraction | int, Fraction | int]
"""a and b of the point a/b."""
Rows = tuple[tuple[Fraction, ...], ...]


class CookToom(NamedTuple):
    """The exact matrices of F(m, taps)."""

    bt: Rows
    """(n, n): a row for each point, infinity last. Only infinity reads the last input."""
    g: Rows
    """(n, taps). Only infinity's row is without the first tap, if there are two taps or more."""
    at: Rows
    """(m, n)."""

    @property
    def factor(self) -> int:
        """The least number whose product with ``g`` is whole."""
        return math.lcm(*(number.denominator for row in self.g for number in row))


def cook_toom(m: int, taps: int, points: Sequence[Point]) -> CookToom:
    """Return the matrices for ``m + taps - 2`` finite points, and infinity."""
    _require(m, taps, points)
    every = [*points, (1, 0)]
    g = [_powers(point, taps, 1 / _distance(point, points)) for point in every]
    return CookToom(_products(points, every), tuple(g), _evaluations(every, m))


def narrower(m: int, taps: int, points: Sequence[Point], left_out: int) -> CookToom:
    """Return F(m - 1, taps) at the points but one, for the filters of F(m, taps).

    The rows of ``g`` are rows of the wide one, so the rows of ``bt`` are multiplied by what the
    point had divided the filters by.
    """
    wide = cook_toom(m, taps, points)
    a, b = points[left_out]
    fewer = [point for place, point in enumerate(points) if place != left_out]
    every = [*fewer, (1, 0)]
    bt = tuple(
        tuple(number * (c * b - a * d) for number in row)
        for (c, d), row in zip(every, _products(fewer, every), strict=True)
    )
    g = tuple(row for place, row in enumerate(wide.g) if place != left_out)
    return CookToom(bt, g, _evaluations(every, m - 1))


def steps(points: Sequence[Point], bt: Rows) -> tuple[Rows, ...]:
    """Return matrices that give ``bt`` one after the other: the last point's factor first.

    The others may be pairs p and -p, whose rows share sums. The last matrix is diagonal, and only
    there if the rows of ``bt`` are multiples of the products of factors.
    """
    *others, (a, b) = points
    size = len(bt)
    first = [
        tuple(Fraction(b * (j == i + 1) - a * (j == i)) for j in range(size))
        for i in range(size - 1)
    ]
    own = _products(points, [*points, (1, 0)])
    inner = [(*row, Fraction(0)) for row in _products(others, [*others, (1, 0)])]
    same = tuple(Fraction(j == size - 1) for j in range(size))
    both = (*first, own[-2]), (*inner[:-1], same, inner[-1])
    scales = [_scale(row, of) for row, of in zip(bt, own, strict=True)]
    if set(scales) == {1}:
        return both
    diagonal = (tuple(x * (i == j) for j in range(size)) for i, x in enumerate(scales))
    return (*both, tuple(diagonal))


def _scale(row: Sequence[Fraction], of: Sequence[Fraction]) -> Fraction:
    """Return the number that ``of`` is multiplied by to give ``row``."""
    return next(x / y for x, y in zip(row, of, strict=True) if y)


def _require(m: int, taps: int, points: Sequence[Point]) -> None:
    if len(points) != m + taps - 2:
        raise ValueError(f"F({m}, {taps}) has {m + taps - 2} finite points; got {len(points)}")


def _distance(point: Point, points: Sequence[Point]) -> Fraction:
    """Return the denominator of the interpolation at a point."""
    a, b = point
    others = [a * d - c * b for c, d in points if (c, d) != point]
    return Fraction(math.prod(others, start=Fraction(b or 1)))


def _powers(point: Point, count: int, scale: Fraction | int = 1) -> tuple[Fraction, ...]:
    """Return the value at a point of each ``x^i``, as a form of degree ``count - 1``."""
    a, b = point
    return tuple(Fraction(scale * a**i * b ** (count - 1 - i)) for i in range(count))


def _evaluations(every: Sequence[Point], m: int) -> Rows:
    return tuple(zip(*(_powers(point, m) for point in every), strict=True))


def _products(points: Sequence[Point], every: Sequence[Point]) -> Rows:
    """Return, for each point, the coefficients of the product of all other ``b x - a``."""
    rows = []
    for own in every:
        row = [Fraction(1)]
        for a, b in points:
            if (a, b) != own:
                shifted = [Fraction(0), *(b * number for number in row)]
                same = [*(a * number for number in row), Fraction(0)]
                row = [x - y for x, y in zip(shifted, same, strict=True)]
        rows.append(tuple(row + [Fraction(0)] * (len(every) - len(row))))
    return tuple(rows)
