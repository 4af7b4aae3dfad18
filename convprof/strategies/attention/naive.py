"""The definition: all scores, their softmax, the weighted sum of the values, one after the other.

The limit it shows: the score matrix, ``tokens x tokens`` for every head, passes through memory
three times. For many tokens it is far larger than all the operands.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.dtypes import COMMON, SHORT_FLOATS
from convprof.problems import Attention
from convprof.strategies import sums
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage, X
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

SCORES = "scores"

# Kernels use nothing from outside of their bodies but math, which never changes.


def scores(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(item, i)`` of ``scores (item, tokens, tokens) = q k^T / sqrt(dim)``."""
    q, k, row_scores = buffers[0], buffers[1], buffers[2]
    tokens, dim = dims[0], dims[1]
    for row in range(lo, hi):
        first = row // tokens * tokens * dim
        for j in range(tokens):
            row_scores[row * tokens + j] = 0
            total = row_scores[row * tokens + j]
            for t in range(dim):
                total += q[row * dim + t] * k[first + j * dim + t]
            row_scores[row * tokens + j] = total / dim**0.5


def softmax(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Turn rows of scores into weights that add up to 1; the largest is subtracted first."""
    weights = buffers[0]
    tokens = dims[0]
    for row in range(lo, hi):
        largest = weights[row * tokens]
        for j in range(tokens):
            largest = max(largest, weights[row * tokens + j])
        total = largest - largest
        for j in range(tokens):
            weight = math.exp(weights[row * tokens + j] - largest)
            weights[row * tokens + j] = weight
            total += weight
        for j in range(tokens):
            weights[row * tokens + j] /= total


def values(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute rows ``(item, i)`` of ``y (item, tokens, dim)``: the weighted sums of the values."""
    weights, kv, y = buffers[0], buffers[1], buffers[2]  # y: sums, rounded afterwards if need be
    tokens, dim, items = dims[0], dims[1], dims[2]
    for row in range(lo, hi):
        first = (items + row // tokens) * tokens * dim
        for t in range(dim):
            y[row * dim + t] = 0
        for j in range(tokens):
            weight = weights[row * tokens + j]
            for t in range(dim):
                y[row * dim + t] += weight * kv[first + j * dim + t]


class Naive(Planned[Attention]):
    """Three loop nests and the whole matrix of scores."""

    name = "naive"
    kind = "attention"
    summary = "the definition: whole score matrix, softmax, weighted sum"
    parallel = True
    dtypes = (*COMMON, *SHORT_FLOATS)

    def plan(self, p: Attention, setting: Setting) -> Plan:
        """Three stages over the rows of all heads."""
        rows, dims = p.items * p.tokens, (p.tokens, p.dim, p.items)
        plan = Plan(workspaces={SCORES: Buffer((rows, p.tokens), setting.types.accumulator)})
        plan.steps = [
            Stage("scores", scores, rows, (X, WEIGHTS, SCORES), dims),
            Stage("softmax", softmax, rows, (SCORES,), dims),
            Stage("values", values, rows, (SCORES, WEIGHTS, sums.buffer(setting.types)), dims),
        ]
        return sums.with_short_results(plan, p, setting)
