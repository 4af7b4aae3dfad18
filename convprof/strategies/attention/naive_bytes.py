"""The loop nests of ``naive`` for attention of bytes; see ``problems.attention_bytes``.

Scores are in units, as f32, in the place of the weights: whole numbers from 0 to 255.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.codegen.kernels import attention_bytes as words
from convprof.problems.attention import CAUSAL
from convprof.problems.attention_bytes import FAR, RESULT_ZERO
from convprof.strategies import sums
from convprof.strategies.attention import byte_factors
from convprof.strategies.attention.byte_factors import FACTORS
from convprof.strategies.attention.placement import MASK, broadcast_strides
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage, X, Y

if TYPE_CHECKING:
    from convprof.problems import Attention
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

SCORES = "scores"

# Kernels use nothing from outside of their bodies but math, which never changes.


def scores(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(item, i)`` of ``scores (item, tokens, keys) = q k^T``."""
    q, k, row_scores = buffers[0], buffers[1], buffers[2]
    tokens, keys, dim, sharing, earlier = dims[0], dims[1], dims[2], dims[3], dims[4]
    for row in range(lo, hi):
        first = row // tokens // sharing * keys * dim
        for j in range(min(keys, row % tokens + earlier + 1)):
            total = q[row * dim] * k[first + j * dim]
            for t in range(1, dim):
                total += q[row * dim + t] * k[first + j * dim + t]
            row_scores[row * keys + j] = 1.0 * total


def masked(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Add a mask in units to rows of scores; ``dims`` has its elements per item and per query."""
    row_scores, mask, factors = buffers[0], buffers[1], buffers[2]
    tokens, keys, heads, per_item, per_query = dims[0], dims[1], dims[2], dims[3], dims[4]
    far, factor = dims[5], factors[dims[6]]
    for row in range(lo, hi):
        first = row // tokens // heads * per_item + row % tokens * per_query
        for j in range(keys):
            units = min(max(mask[first + j] * factor, -far), far)
            row_scores[row * keys + j] += math.trunc(units)


def softmax(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Turn rows of scores into rounded weights over their sum."""
    weights, factors = buffers[0], buffers[1]
    tokens, keys, earlier, far, exponent = dims[0], dims[1], dims[4], dims[6], factors[dims[7]]
    for row in range(lo, hi):
        seen = min(keys, row % tokens + earlier + 1)
        largest = weights[row * keys]
        for j in range(seen):
            largest = max(largest, weights[row * keys + j])
        total = largest - largest
        for j in range(seen):
            below = weights[row * keys + j] - largest
            weight = math.floor(255 * math.exp(below * exponent * math.log(2.0)) + 0.5)
            weights[row * keys + j] = weight if below > -far / 2 else 0.0
            total += weights[row * keys + j]
        for j in range(seen):
            weights[row * keys + j] /= total


def values(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(item, i)`` of ``y (item, tokens, dim)``: weighted means, scaled."""
    weights, kv, y, factors = buffers[0], buffers[1], buffers[2], buffers[3]
    tokens, keys, dim, sharing, earlier = dims[0], dims[1], dims[2], dims[3], dims[4]
    scale = factors[dims[8]]
    for row in range(lo, hi):
        first = (dims[5] + row // tokens // sharing) * keys * dim
        for t in range(dim):
            y[row * dim + t] = 0
        for j in range(min(keys, row % tokens + earlier + 1)):
            weight = scale * weights[row * keys + j]
            for t in range(dim):
                y[row * dim + t] += weight * kv[first + j * dim + t]


def in_bytes(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Round rows of ``y`` to bytes, with a zero point."""
    y, c, factors, zero = buffers[0], buffers[1], buffers[2], buffers[3]
    dim, low, high = dims[0], factors[dims[1]], factors[dims[2]]
    for i in range(lo * dim, hi * dim):
        c[i] = round(min(max(y[i], low), high)) + zero[0]


def plan(p: Attention, setting: Setting) -> Plan:
    """Return the plan: one more stage for a mask that is an operand, and one for bytes."""
    types, rows = setting.types, p.items * p.tokens
    earlier = p.earlier if p.mask == CAUSAL else p.keys
    places = FAR, words.OF_SCORES, words.OF_RESULTS
    dims = p.tokens, p.keys, p.dim, p.sharing, earlier, p.batch * p.key_heads, *places
    y = sums.SUMS if types.result.is_exact else Y
    made = Plan(workspaces={SCORES: Buffer((rows, p.keys), types.scale)})
    made.packed = byte_factors.packed(p.dim**-0.5, types)
    made.steps = [
        Stage("scores", scores, rows, (X, WEIGHTS, SCORES), dims),
        Stage("softmax", softmax, rows, (SCORES, FACTORS), dims),
        Stage("values", values, rows, (SCORES, WEIGHTS, y, FACTORS), dims),
    ]
    if p.mask_shape is not None:
        per_item, _, per_query, _ = broadcast_strides(p.mask_shape)
        of_mask = p.tokens, p.keys, p.heads, per_item, per_query, FAR, words.OF_MASKS
        made.steps.insert(1, Stage("mask", masked, rows, (SCORES, MASK, FACTORS), of_mask))
    if types.result.is_exact:
        made.workspaces[sums.SUMS] = Buffer(p.shape, types.scale)
        ends = p.dim, words.LOW, words.HIGH
        last = Stage("round", in_bytes, rows, (y, Y, FACTORS, RESULT_ZERO), ends, work_fraction=0.0)
        made.steps.append(last)
    return made
