"""The definition, ``c[i, j] = sum over t of a[i, t] * b[t, j]``, loops i, j, t.

The limit it shows: ``b`` is read along its columns, with a new cache line for every multiply-add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.dtypes import GROUPED, PRODUCTS
from convprof.problems import Gemm
from convprof.strategies import sums
from convprof.strategies.gemm.dequantised import weights_buffer, with_dequantised
from convprof.strategies.plan import Plan, Stage, X
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words


def naive(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(batch, i)`` of ``c (batch, m, n) = a (batch, m, k) b (batch, k, n)``."""
    a, b, c = buffers[0], buffers[1], buffers[2]
    m, n, k = dims[0], dims[1], dims[2]
    for row in range(lo, hi):
        first = row // m * k * n
        for j in range(n):
            c[row * n + j] = 0
            total = c[row * n + j]
            for t in range(k):
                total += a[row * k + t] * b[first + t * n + j]
            c[row * n + j] = total


class Naive(Planned[Gemm]):
    """The definition, loop by loop."""

    name = "naive"
    kind = "gemm"
    summary = "the three loops i, j, k of the definition"
    dtypes = PRODUCTS
    grouped = GROUPED
    kernel: ClassVar[Callable[..., None]] = staticmethod(naive)

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        """One stage over the rows."""
        c = sums.buffer(setting.types)
        stage = Stage(
            "loops", self.kernel, g.batch * g.m, (X, weights_buffer(g), c), (g.m, g.n, g.k)
        )
        return sums.with_rounding(with_dequantised(Plan(steps=[stage]), g), g, setting)
