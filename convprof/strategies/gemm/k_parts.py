"""Sums in parts, one for each thread: for products with too few columns to share out.

    c = sum over parts p of  a[:, p] @ b[p, :]

A part is a product of a batch whose matrices are parts of ``a`` and ``b`` in place. Its results go
to a buffer of their own, and a last stage adds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import isa as isas
from convprof.integers import ceil_div
from convprof.problems import Gemm
from convprof.strategies import multiplying, sums
from convprof.strategies.gemm.blocked import BlockedProducts
from convprof.strategies.gemm.panels import Matrices, Operands
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.gemm.blocked import GemmBlocking
    from convprof.strategies.kernels import Buffers, Words

PARTS = "parts"
MOST_ROWS = 48
"""More rows are shared out among the threads."""
LEAST_STEPS = 512
"""Elements of a sum in a part, at least: fewer do not outweigh the stage that adds."""


def part_of(g: Gemm, setting: Setting) -> Gemm | None:
    """Return the batch of the parts of a product; None where its sums stay whole."""
    types, parts = setting.types, setting.threads
    isa = isas.find(setting.isa)
    across = ceil_div(g.n, isa.lanes(types.accumulator.bytes))
    if g.batch > 1 or g.epilogue or types.requantises or g.m > MOST_ROWS or across >= parts:
        return None
    length, rest = divmod(g.k, parts)
    if rest or length < LEAST_STEPS or length % multiplying.of_gemm(g, types, isa).k_group:
        return None
    return Gemm(m=g.m, n=g.n, k=length, batch=parts)


def added(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows of ``dims[0]`` results: the sums of ``dims[1]`` parts of ``dims[2]`` results."""
    parts, c = buffers[0], buffers[1]
    for i in range(lo * dims[0], hi * dims[0]):
        total = parts[i]
        for p in range(1, dims[1]):
            total += parts[p * dims[2] + i]
        c[i] = total


def plan(g: Gemm, part: Gemm, setting: Setting, blocking: GemmBlocking) -> Plan:
    """Return the plan of the parts, and of the stage that adds them."""
    types = setting.types
    starts = np.arange(part.batch) * part.k
    operands = Operands(
        Matrices(X, starts, g.k),
        Matrices(WEIGHTS, starts * g.n, g.n),
        Matrices.dense(PARTS, part.batch, g.m, g.n),
    )
    wide = replace(setting, dtype=sums.summed(types).name)
    how = multiplying.of_gemm(part, types, isas.find(setting.isa))
    products = BlockedProducts(part, wide, blocking, operands, parts=1, multiply=how)
    results = Buffer((part.batch, g.m, g.n), types.accumulator)
    whole = Plan(workspaces={PARTS: results, **products.workspaces()})
    whole.lendable_workspaces = frozenset(whole.workspaces)
    dims = (g.n, part.batch, g.m * g.n)
    adding = Stage("add", added, g.m, (PARTS, Y), dims, work_fraction=0.0)
    whole.steps = [*products.all(), adding]
    return whole
