"""The stage that writes activations as digits of 8 bits, for ``codegen.kernels.digit_weights``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.codegen.kernels.digit_weights import DIGIT_TYPES, DIGITS, STARTS
from convprof.integers import ceil_div
from convprof.strategies.plan import Buffer, Stage, X

if TYPE_CHECKING:
    from convprof.problems import Gemm
    from convprof.problems.grouped_weights import GroupedWeights
    from convprof.strategies.kernels import Buffers, Words

DIGIT_BUFFER, START_BUFFER = "a_digits", "a_starts"
FOUR = 4
"""Elements whose digits of one place are neighbours."""


def written(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write the digits of some groups of activations, and the numbers ``STARTS`` of each group.

    A task is a group of a row: ``dims`` are k, the elements of a row in whole words, the elements
    of a group, and the groups of a row. The unit of a group is a power of 2, so that numbers of 22
    bits are exact. With an infinite number or a NaN in the group, the unit is NaN.
    """
    x, digits, starts = buffers[0], buffers[1], buffers[2]
    places, numbers, four = 3, 4, 4  # DIGITS, STARTS, FOUR; a kernel uses nothing from outside
    most = 127 * (256 * 256 + 256 + 1)  # the largest number of three digits from -128 to 127
    for task in range(lo, hi):
        row, group = task // dims[3], task % dims[3]
        first = group * dims[2]
        last = min(first + dims[2], dims[0])
        largest = 0.0
        finite = True
        for t in range(first, last):
            size = abs(float(x[row * dims[0] + t]))
            finite = finite and size < math.inf
            largest = max(largest, size)
        usable = finite and largest > 0.0
        factor = math.ldexp(0.5, math.frexp(most / largest)[1]) if usable else 1.0
        low, middle, high = 0, 0, 0
        end = dims[1] if group == dims[3] - 1 else first + dims[2]
        for t in range(first, end):
            number = 0
            if usable and t < last:
                number = math.floor(float(x[row * dims[0] + t]) * factor + 0.5)
            at = (row * dims[1] + t // four * four) * places + t % four
            d0 = ((number + 128) & 255) - 128
            number = (number - d0) >> 8
            d1 = ((number + 128) & 255) - 128
            d2 = (number - d1) >> 8
            digits[at], digits[at + four], digits[at + 2 * four] = d0, d1, d2
            low, middle, high = low + d0, middle + d1, high + d2
        start = task * numbers
        starts[start], starts[start + 1], starts[start + 2] = low, middle, high
        starts[start + places] = 1.0 / factor if finite else math.nan


def stage(g: Gemm, weights: GroupedWeights, depth: int) -> Stage:
    """Return the stage; rows have ``depth`` elements, in whole words of weights."""
    groups = ceil_div(g.k, weights.group)
    dims = (g.k, depth, weights.group, groups)
    buffers = (X, DIGIT_BUFFER, START_BUFFER)
    return Stage("digits", written, g.m * groups, buffers, dims, work_fraction=0.0)


def workspaces(g: Gemm, weights: GroupedWeights, depth: int) -> dict[str, Buffer]:
    """Return the buffers of the digits, and of the sums and the unit of each group."""
    groups = ceil_div(g.k, weights.group)
    return {
        DIGIT_BUFFER: Buffer((g.m, depth // FOUR, DIGITS, FOUR), DIGIT_TYPES.source),
        START_BUFFER: Buffer((g.m, groups, STARTS), DIGIT_TYPES.result),
    }
