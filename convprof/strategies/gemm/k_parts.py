"""Sums in parts: for products with too few rows and columns to share out.

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
from convprof.strategies import multiplying, sums, unfused_epilogue
from convprof.strategies.balance import FEW_THREADS
from convprof.strategies.gemm.blocked import BlockedProducts
from convprof.strategies.gemm.longest_share import part
from convprof.strategies.gemm.panels import Matrices, Operands
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting
    from convprof.strategies.gemm.blocked import PartedBlocking
    from convprof.strategies.kernels import Buffers, Words

PARTS = "parts"
MOST_ROWS = 48
"""More rows are shared out among the threads."""
LEAST_STEPS = 512
"""Elements of a sum in a part, at least: fewer do not outweigh the stage that adds."""


def of_few_columns(g: Gemm, setting: Setting) -> int | None:
    """Return one part for each of two threads, if a product has no columns to share out."""
    types, parts = setting.types, setting.threads
    isa = isas.find(setting.isa)
    across = ceil_div(g.n, isa.lanes(types.accumulator.bytes))
    if g.batch > 1 or g.epilogue or types.requantises or g.m > MOST_ROWS or across >= parts:
        return None
    length, rest = divmod(g.k, parts)
    if rest or length < LEAST_STEPS or length % multiplying.of_gemm(g, types, isa).k_group:
        return None
    return parts if parts <= FEW_THREADS else None


def added(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows of ``dims[0]`` results: the sums of ``dims[1]`` parts of ``dims[2]`` results."""
    parts, c = buffers[0], buffers[1]
    for i in range(lo * dims[0], hi * dims[0]):
        total = parts[i]
        for p in range(1, dims[1]):
            total += parts[p * dims[2] + i]
        c[i] = total


def plan(g: Gemm, setting: Setting, blocking: PartedBlocking) -> Plan:
    """Return the plan of the parts, of the stage that adds them, and of the epilogue."""
    types, one = setting.types, part(g, blocking.parts)
    starts = np.arange(one.batch) * one.k
    operands = Operands(
        Matrices(X, starts, g.k),
        Matrices(WEIGHTS, starts * g.n, g.n),
        Matrices.dense(PARTS, one.batch, g.m, g.n),
    )
    wide = replace(setting, dtype=sums.summed(types).name)
    how = multiplying.of_gemm(one, types, isas.find(setting.isa))
    row_parts = 1 if setting.threads <= FEW_THREADS else None
    products = BlockedProducts(one, wide, blocking, operands, parts=row_parts, multiply=how)
    results = Buffer((one.batch, g.m, g.n), types.accumulator)
    whole = Plan(workspaces={PARTS: results, **products.workspaces()})
    whole.lendable_workspaces = frozenset(whole.workspaces)
    dims = (g.n, one.batch, g.m * g.n)
    adding = Stage("add", added, g.m, (PARTS, Y), dims, work_fraction=0.0)
    whole.steps = [*products.all(), adding]
    if g.epilogue:
        whole.steps.append(unfused_epilogue.stage(g, g.epilogue, setting))
        whole.passes += 1
    return whole
