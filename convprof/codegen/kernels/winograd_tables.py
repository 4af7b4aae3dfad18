"""The algorithms F(m, taps) that there are, for floats and for whole numbers.

Whole numbers, for bytes: ``g`` is the usual matrix times ``factor``. Transformed bytes are at most
98 * 256 = 25,088, transformed filters 15^2 * 128 = 28,800 (F(4, 3) in both dimensions; filters of
F(2, 4) too): both fit 16 bits. All sums are modulo 2^32. Results are at most 2^2 * 225 times too
large, so they are exact below 2^29. (With the point -2 instead of -1/2 the factor of F(4, 3) would
be 24^2 = 2^6 * 9, and results exact below 2^25 only. F(3, 4) would have filters of 20^2 * 128.)
"""

from __future__ import annotations

import functools
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from convprof.codegen.kernels.cook_toom import CookToom, Point, Rows, cook_toom, narrower, steps
from convprof.codegen.kernels.winograd_matrices import Algorithm, Axes, Matrix
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType

_HALF = Fraction(1, 2)
_POINTS: tuple[Point, ...] = tuple((each, 1) for each in (0, 1, -1, 2, -2, _HALF, -_HALF))
"""Lavin & Gray 2016, section 4. The error of F(6x6, 3x3) is at most twice as large as the error of
F(4x4, 3x3)."""
_WHOLE_POINTS: tuple[Point, ...] = ((0, 1), (1, 1), (-1, 1), (2, 1), (-1, 2))
WHOLE_BITS = 30
"""Bits of a result, with its sign, that whole numbers give: 32 less the two of 2^2."""

_BT_2: Matrix = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_AT_2: Matrix = ((1, 1, 1, 0), (0, 1, -1, -1))
"""F(2, 3), with the signs of Lavin & Gray."""
_WHOLE_STEPS_4: tuple[Matrix, ...] = (
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
)
"""``bt`` of F(4, 3) in whole numbers."""


def _generated(m: int, taps: int, *, exact: bool) -> Algorithm:
    """Return F(m, taps), with F(m - 1, taps) at all points but the last finite one."""
    points = (_WHOLE_POINTS if exact else _POINTS)[: m + taps - 2]
    wide, left_out = cook_toom(m, taps, points), len(points) - 1
    factor = wide.factor if exact else 1
    few = narrower(m, taps, points, left_out)
    narrow = _algorithm(m - 1, few, points[:-1], factor)
    whole = _algorithm(m, wide, points, factor)
    return replace(whole, narrower=replace(narrow, left_out=left_out))


def _algorithm(m: int, exact: CookToom, points: Sequence[Point], factor: int) -> Algorithm:
    """Return the algorithm with numbers instead of fractions, in steps if these are cheaper."""
    g = tuple(tuple(number * factor for number in row) for row in exact.g)
    in_steps = steps(points, exact.bt) if points else (exact.bt,)
    cheaper = sum(map(_cost, in_steps)) < _cost(exact.bt)
    bt_steps = tuple(map(_plain, in_steps)) if cheaper else ()
    bt, filters, at = map(_plain, (exact.bt, g, exact.at))
    return Algorithm(m, bt, filters, at, factor=factor, bt_steps=bt_steps)


def _cost(matrix: Rows) -> int:
    """Return the operations of a product with a vector: a row without 1 and -1 has one more."""
    rows = ([abs(number) for number in row if number] for row in matrix)
    return sum(len(each) - (1 in each) for each in rows)


def _plain(matrix: Rows) -> Matrix:
    return tuple(
        tuple(int(each) if each.denominator == 1 else float(each) for each in row) for row in matrix
    )


def _one_tap(m: int) -> Algorithm:
    """Return F(m, 1): outputs are inputs times the tap."""

    def of(m: int) -> Algorithm:
        same = tuple(tuple(int(i == j) for j in range(m)) for i in range(m))
        return Algorithm(m, same, ((1,),) * m, same)

    return replace(of(m), narrower=replace(of(m - 1), left_out=m - 1))


def _of_three_taps() -> dict[int, Algorithm]:
    g = (1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)
    four, six = (_generated(m, 3, exact=False) for m in (4, 6))
    return {
        2: Algorithm(2, _BT_2, g, _AT_2, transform_cycles=70),
        4: replace(four, transform_cycles=200),
        6: replace(six, transform_cycles=500),
    }


def _of_three_whole_taps() -> dict[int, Algorithm]:
    g = (2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2)
    four = _generated(4, 3, exact=True)
    return {
        2: Algorithm(2, _BT_2, g, _AT_2, factor=2, transform_cycles=50),
        4: replace(four, bt_steps=_WHOLE_STEPS_4, transform_cycles=210),
    }


ALGORITHMS = _of_three_taps()
"""F(m, 3) for floats, by m."""
WHOLE_ALGORITHMS = _of_three_whole_taps()
"""F(m, 3) for bytes, by m."""
_SIZES = {2: (2, 3, 4, 5, 6), 4: (2, 4)}
"""m by taps."""
_WHOLE_SIZES = {2: (2, 3, 4), 4: (2,)}
MOST_TAPS = 4


@functools.cache
def algorithms(dtype: DType, r: int = 3, stride: int = 1) -> dict[int, Algorithm]:
    """Return the algorithms for filters of ``r`` taps, by m, that compute in a type.

    ValueError for more than ``MOST_TAPS`` taps of a phase.
    """
    taps, exact = ceil_div(r, stride), dtype.is_exact
    if taps > MOST_TAPS:
        raise ValueError(f"no F(m, {taps})")
    if taps == 3:  # noqa: PLR2004
        table = WHOLE_ALGORITHMS if exact else ALGORITHMS
    elif taps == 1:
        table = {m: _one_tap(m) for m in range(2, 7)}
    else:
        sizes = (_WHOLE_SIZES if exact else _SIZES)[taps]
        table = {m: _generated(m, taps, exact=exact) for m in sizes}
    return {m: _of_phases(each, r, stride) for m, each in table.items()}


def _of_phases(algorithm: Algorithm, r: int, stride: int) -> Algorithm:
    """Return the algorithm for a filter at a stride."""
    narrow = algorithm.narrower and _of_phases(algorithm.narrower, r, stride)
    return replace(algorithm, r=r, stride=stride, narrower=narrow)


def algorithm(
    m: int, dtype: DType, r: int = 3, stride: int = 1, whole: int | None = None
) -> Algorithm:
    """Return F(m, taps): of the table, or the narrower one of F(m + 1).

    ``whole``: the outputs of the algorithm of the table, m or m + 1. None: m, if the table has it.
    """
    table = algorithms(dtype, r, stride)
    tabled = table[whole or (m if m in table else m + 1)]
    found = tabled if tabled.m == m else tabled.narrower
    if found is None or found.m != m:
        raise ValueError(f"no F({m}, {ceil_div(r, stride)}) with the points of F({tabled.m})")
    return found


def axes(dtype: DType, filters: tuple[int, int], stride: tuple[int, int]) -> dict[int, Axes]:
    """Return the algorithms down and across that two-dimensional filters have, by m."""
    down, across = (algorithms(dtype, *each) for each in zip(filters, stride, strict=True))
    return {m: (down[m], across[m]) for m in down if m in across}
