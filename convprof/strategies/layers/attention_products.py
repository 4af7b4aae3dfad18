"""The products of two activations: attention's scores and weighted values, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.errors import RefusedError
from convprof.problems import Attention
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies.attention.placement import side_by_side
from convprof.strategies.gemm.panels import Matrices, Operands
from convprof.strategies.layers import batched_products
from convprof.strategies.layers.stages import activations, plan_of
from convprof.strategies.plan import X, Y

if TYPE_CHECKING:
    from convprof.problems import ops
    from convprof.problems.operation import Operation
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

PACKED = 3
"""Parts of a packed projection: queries, keys, values."""


def scores(op: ops.AttentionScores, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``AttentionScores``: keys transposed and scaled, queries in place."""
    (packed,) = problem.inputs
    g = op.problem(packed)
    p = Attention(batch=packed[0], heads=op.heads, tokens=g.m, dim=g.k)
    operands = Operands(
        _heads(X, p, PACKED),
        _heads(X, p, PACKED, part=1),
        Matrices.dense(Y, g.batch, g.m, g.n),
    )
    plan = plan_of(problem)
    batched_products.fill(plan, g, setting, operands, scale=p.dim**-0.5, transposed=True)
    return plan


def mix(op: ops.AttentionMix, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``AttentionMix``: values in place, all heads side by side."""
    weights, packed = problem.inputs
    g = op.problem(weights, packed)
    p = Attention(batch=packed[0], heads=op.heads, tokens=g.m, dim=g.n)
    first, values = activations(problem)
    operands = Operands(
        Matrices.dense(first, g.batch, g.m, g.k),
        _heads(values, p, PACKED, part=2),
        _heads(Y, p, 1),
    )
    plan = plan_of(problem)
    batched_products.fill(plan, g, setting, operands)
    return plan


def matmul(op: ops.MatMul, problem: Operation, setting: Setting) -> Plan:
    """Return the plan of ``MatMul``: dense operands, one product after the other.

    Raises RefusedError for images whose order in memory is not the order of their shape.
    """
    a, b = problem.inputs
    g = op.problem(a, b)
    if problem.laid_out and setting.layout != "nchw" and len(a) == IMAGE_AXES:
        raise RefusedError(f"{op.text}: the rows of an image are matrices in nchw only")
    first, second = activations(problem)
    operands = Operands(
        Matrices.dense(first, g.batch, g.m, g.k),
        Matrices.dense(second, g.batch, *b[-2:]),
        Matrices.dense(Y, g.batch, g.m, g.n),
    )
    plan = plan_of(problem)
    batched_products.fill(plan, g, setting, operands, scale=op.scale, transposed=op.transpose_b)
    return plan


def _heads(buffer: str, p: Attention, parts: int, part: int = 0) -> Matrices:
    """Return every head of every image, image by image, in one of the parts of (n, t, parts w)."""
    walk = side_by_side(p, parts)
    first = part * p.heads * p.dim
    starts = np.arange(p.batch)[:, None] * walk.group + np.arange(p.heads) * walk.item + first
    return Matrices(buffer, starts.ravel(), walk.step)
