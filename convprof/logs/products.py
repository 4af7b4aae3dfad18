"""The matrix product that two shapes of a log mean."""

from __future__ import annotations

import math

from convprof.problems.gemm import Gemm

_MATRIX = 2
"""The last two dimensions; the dimensions before them are the batch."""


def product(a: list[int], b: list[int]) -> Gemm | None:
    """Return the product of tensors whose last two dimensions are matrices.

    A matrix B that is the same for the whole batch makes one product with more rows: that is exact,
    because the rows of A follow one another in memory. Other broadcasts are another problem.
    """
    if len(a) < _MATRIX or len(b) < _MATRIX or a[-1] != b[-2]:
        return None
    batch, shared = math.prod(a[:-2]), math.prod(b[:-2])
    if shared == 1:
        return Gemm(m=batch * a[-2], k=a[-1], n=b[-1])
    return Gemm(batch=batch, m=a[-2], k=a[-1], n=b[-1]) if a[:-2] == b[:-2] else None
