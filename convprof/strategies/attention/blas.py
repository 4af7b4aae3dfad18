"""The definition by NumPy and its BLAS: two products per head, and a softmax in between.

Removes the limit of slow loops. Every operation of the softmax still reads and writes the whole
score matrix of a head. With a causal mask, the scores of a block of queries end with the last of
its keys that count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Attention
from convprof.problems.attention import CAUSAL
from convprof.strategies.attention.placement import MASK
from convprof.strategies.base import Role, Setting
from convprof.strategies.plan import WEIGHTS, Buffer, Call, Plan, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]

SCORES, ROWS = "scores", "rows"
QUERIES = 64
"""Queries of a block with a causal mask: keys after the last of them are left out."""
AFTER = ~np.tri(QUERIES, dtype=bool)
"""(query, key) of a block: whether the key is after the query."""


class Blas(Planned[Attention]):
    """NumPy's BLAS and NumPy's exponential."""

    name = "blas"
    kind = "attention"
    summary = "head by head: NumPy's BLAS, and NumPy's softmax on one thread"
    parallel = True
    role = Role.BUNDLED

    def plan(self, p: Attention, setting: Setting) -> Plan:
        """One call for all heads, with scratch memory for the scores of one head or block."""
        total = setting.types.accumulator
        block = min(p.tokens, QUERIES) if p.mask == CAUSAL else p.tokens
        plan = Plan()
        plan.workspaces[SCORES] = Buffer((block, p.keys), total)
        plan.workspaces[ROWS] = Buffer((block, 1), total)

        plan.steps = [Call("attention", lambda buffers: _attend(p, buffers, block))]
        plan.blas_threads = setting.threads
        return plan


def _attend(p: Attention, buffers: Mapping[str, Array], block: int) -> None:
    """Compute all heads, ``block`` queries at a time."""
    keys, values = buffers[WEIGHTS]
    for item, head in np.ndindex(p.batch, p.heads):
        k, v = (each[item, head // p.sharing] for each in (keys, values))
        for first in range(0, p.tokens, block):
            rows = slice(first, min(first + block, p.tokens))
            count = rows.stop - first
            seen = rows.stop + p.earlier if p.mask == CAUSAL else p.keys
            scores, row = buffers[SCORES][:count, :seen], buffers[ROWS][:count]
            y = buffers[Y][item, head, rows]
            np.matmul(buffers[X][item, head, rows], k[:seen].T, out=scores)
            scores *= scores.dtype.type(1 / math.sqrt(p.dim))
            if p.mask == CAUSAL:
                np.copyto(scores[:, seen - count :], -np.inf, where=AFTER[:count, :count])
            elif p.mask_shape is not None:
                mask = buffers[MASK]
                scores += mask[item % len(mask), 0]
            np.max(scores, axis=1, keepdims=True, out=row)
            np.subtract(scores, row, out=scores)
            np.exp(scores, out=scores)
            np.sum(scores, axis=1, keepdims=True, out=row)
            np.matmul(scores, v[:seen], out=y)
            y /= row  # one division per output instead of one per score
