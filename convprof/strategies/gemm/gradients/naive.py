"""The definitions of both gradients, three loops each.

The limit they show: in A^T dC both operands are read along their columns, with a new cache line for
every multiply-add; in dC B^T neither is, but each addition waits for the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems import BackwardData, BackwardWeights, Gemm
from convprof.strategies.plan import WEIGHTS, Plan, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words


def naive_data(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(batch, i)`` of ``da (batch, m, k) = dc (batch, m, n) b^T``."""
    dc, b, da = buffers[0], buffers[1], buffers[2]
    m, n, k = dims[0], dims[1], dims[2]
    for row in range(lo, hi):
        first = row // m * k * n
        for t in range(k):
            da[row * k + t] = 0
            total = da[row * k + t]
            for j in range(n):
                total += dc[row * n + j] * b[first + t * n + j]
            da[row * k + t] = total


def naive_weights(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(batch, t)`` of ``db (batch, k, n) = a^T dc (batch, m, n)``."""
    a, dc, db = buffers[0], buffers[1], buffers[2]
    m, n, k = dims[0], dims[1], dims[2]
    for row in range(lo, hi):
        z = row // k
        t = row % k
        for j in range(n):
            db[row * n + j] = 0
            total = db[row * n + j]
            for i in range(m):
                total += a[(z * m + i) * k + t] * dc[(z * m + i) * n + j]
            db[row * n + j] = total


class NaiveData(Planned[BackwardData[Gemm]]):
    """dC B^T by its definition."""

    name = "naive"
    kind = "gemm-backward-data"
    summary = "the three loops of dC B^T"

    def plan(self, backward: BackwardData[Gemm], setting: Setting) -> Plan:  # noqa: ARG002
        """One stage over the rows."""
        g = backward.forward
        plan = Plan()
        dims = (g.m, g.n, g.k)
        plan.steps = [Stage("loops", naive_data, g.batch * g.m, (X, WEIGHTS, Y), dims)]
        return plan


class NaiveWeights(Planned[BackwardWeights[Gemm]]):
    """A^T dC by its definition."""

    name = "naive"
    kind = "gemm-backward-weights"
    summary = "the three loops of A^T dC"

    def plan(self, backward: BackwardWeights[Gemm], setting: Setting) -> Plan:  # noqa: ARG002
        """One stage over the rows."""
        g = backward.forward
        plan = Plan()
        dims = (g.m, g.n, g.k)
        plan.steps = [Stage("loops", naive_weights, g.batch * g.k, (X, WEIGHTS, Y), dims)]
        return plan
