"""The definition: all scores, their softmax, the weighted sum of the values, one after the other.

The limit it shows: the score matrix, ``tokens x keys`` for every head, passes through memory
three times. For many tokens it is far larger than all the operands.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.dtypes import ATTENTION_BYTES, COMMON, SHORT_FLOATS
from convprof.problems import Attention
from convprof.problems.attention import CAUSAL
from convprof.strategies import sums
from convprof.strategies.attention import naive_bytes
from convprof.strategies.attention.placement import MASK, broadcast_strides
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage, X
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

SCORES = "scores"

# Kernels use nothing from outside of their bodies but math, which never changes.


def scores(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(item, i)`` of ``scores (item, tokens, keys) = q k^T / sqrt(dim)``."""
    q, k, row_scores = buffers[0], buffers[1], buffers[2]
    tokens, keys, dim, sharing, earlier = dims[0], dims[1], dims[2], dims[3], dims[4]
    for row in range(lo, hi):
        first = row // tokens // sharing * keys * dim
        for j in range(min(keys, row % tokens + earlier + 1)):
            row_scores[row * keys + j] = 0
            total = row_scores[row * keys + j]
            for t in range(dim):
                total += q[row * dim + t] * k[first + j * dim + t]
            row_scores[row * keys + j] = total / dim**0.5


def masked(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Add a mask to rows of scores; ``dims`` has its elements per item and per query."""
    row_scores, mask = buffers[0], buffers[1]
    tokens, keys, heads, per_item, per_query = dims[0], dims[1], dims[2], dims[3], dims[4]
    for row in range(lo, hi):
        first = row // tokens // heads * per_item + row % tokens * per_query
        for j in range(keys):
            row_scores[row * keys + j] += mask[first + j]


def softmax(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Turn rows of scores into weights that add up to 1; the largest is subtracted first."""
    weights = buffers[0]
    tokens, keys, earlier = dims[0], dims[1], dims[4]
    for row in range(lo, hi):
        seen = min(keys, row % tokens + earlier + 1)
        largest = weights[row * keys]
        for j in range(seen):
            largest = max(largest, weights[row * keys + j])
        total = largest - largest
        for j in range(seen):
            weight = math.exp(weights[row * keys + j] - largest)
            weights[row * keys + j] = weight
            total += weight
        for j in range(seen):
            weights[row * keys + j] /= total


def values(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(item, i)`` of ``y (item, tokens, dim)``: the weighted sums of the values."""
    weights, kv, y = buffers[0], buffers[1], buffers[2]  # y: sums, rounded afterwards if need be
    tokens, keys, dim, sharing, earlier = dims[0], dims[1], dims[2], dims[3], dims[4]
    for row in range(lo, hi):
        first = (dims[5] + row // tokens // sharing) * keys * dim
        for t in range(dim):
            y[row * dim + t] = 0
        for j in range(min(keys, row % tokens + earlier + 1)):
            weight = weights[row * keys + j]
            for t in range(dim):
                y[row * dim + t] += weight * kv[first + j * dim + t]


class Naive(Planned[Attention]):
    """Three loop nests and the whole matrix of scores."""

    name = "naive"
    kind = "attention"
    summary = "the definition: whole score matrix, softmax, weighted sum"
    parallel = True
    dtypes = (*COMMON, *SHORT_FLOATS, *ATTENTION_BYTES)

    def plan(self, p: Attention, setting: Setting) -> Plan:
        """Three stages over the rows of all heads, and one more for a mask that is an operand."""
        if setting.types.requantises:
            return naive_bytes.plan(p, setting)
        rows = p.items * p.tokens
        earlier = p.earlier if p.mask == CAUSAL else p.keys
        dims = p.tokens, p.keys, p.dim, p.sharing, earlier, p.batch * p.key_heads
        plan = Plan(workspaces={SCORES: Buffer((rows, p.keys), setting.types.accumulator)})
        plan.steps = [
            Stage("scores", scores, rows, (X, WEIGHTS, SCORES), dims),
            Stage("softmax", softmax, rows, (SCORES,), dims),
            Stage("values", values, rows, (SCORES, WEIGHTS, sums.buffer(setting.types)), dims),
        ]
        if p.mask_shape is not None:
            per_item, _, per_query, _ = broadcast_strides(p.mask_shape)
            places = p.tokens, p.keys, p.heads, per_item, per_query
            plan.steps.insert(1, Stage("mask", masked, rows, (SCORES, MASK), places))
        return sums.with_short_results(plan, p, setting)
