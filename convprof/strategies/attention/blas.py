"""The definition by NumPy and its BLAS: two products per head, and a softmax in between.

Removes the limit of slow loops. Every operation of the softmax still reads and writes the whole
score matrix of a head.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convprof.problems import Attention
from convprof.strategies.base import Role, Setting
from convprof.strategies.plan import WEIGHTS, Buffer, Call, Plan, X, Y
from convprof.strategies.planned import Planned

SCORES, ROWS = "scores", "rows"


class Blas(Planned[Attention]):
    """NumPy's BLAS and NumPy's exponential."""

    name = "blas"
    kind = "attention"
    summary = "head by head: NumPy's BLAS, and NumPy's softmax on one thread"
    parallel = True
    role = Role.BUNDLED

    def plan(self, p: Attention, setting: Setting) -> Plan:
        """One call for all heads, with scratch memory for the scores of one head."""
        total = setting.types.accumulator
        plan = Plan()
        plan.workspaces[SCORES] = Buffer((p.tokens, p.tokens), total)
        plan.workspaces[ROWS] = Buffer((p.tokens, 1), total)

        def attend(buffers: dict[str, np.ndarray[Any, Any]]) -> None:
            scores, row, y = buffers[SCORES], buffers[ROWS], buffers[Y]
            k, v = buffers[WEIGHTS]
            for head in np.ndindex(p.batch, p.heads):
                np.matmul(buffers[X][head], k[head].T, out=scores)
                scores *= scores.dtype.type(1 / math.sqrt(p.dim))
                np.max(scores, axis=1, keepdims=True, out=row)
                np.subtract(scores, row, out=scores)
                np.exp(scores, out=scores)
                np.sum(scores, axis=1, keepdims=True, out=row)
                np.matmul(scores, v[head], out=y[head])
                y[head] /= row  # one division per output instead of one per score

        plan.steps = [Call("attention", attend)]
        plan.blas_threads = setting.threads
        return plan
