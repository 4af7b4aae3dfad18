"""The same three loops as i, t, j: the innermost walks along rows of ``b`` and ``c``.

Removes the limit of ``naive``: every byte of a loaded cache line is used, and the loop vectorises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.strategies.gemm.naive import Naive

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.kernels import Buffers, Words


def reordered(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(batch, i)`` of ``c (batch, m, n) = a (batch, m, k) b (batch, k, n)``."""
    a, b, c = buffers[0], buffers[1], buffers[2]
    m, n, k = dims[0], dims[1], dims[2]
    for row in range(lo, hi):
        first = row // m * k * n
        out = row * n
        for j in range(n):
            c[out + j] = 0
        for t in range(k):
            factor = a[row * k + t]
            start = first + t * n
            for j in range(n):
                c[out + j] = c[out + j] + factor * b[start + j]


class Reordered(Naive):
    """The definition in memory order."""

    name = "reordered"
    summary = "the same loops as i, k, j, so that the innermost vectorises"
    kernel: ClassVar[Callable[..., None]] = staticmethod(reordered)
