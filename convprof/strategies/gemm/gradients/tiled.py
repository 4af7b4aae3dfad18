"""Both gradients by the blocked product of ``tiled``, which finds its rows through offsets.

A^T is read from A, down its columns; B^T, whose rows have to be contiguous, is made when the
weights are bound.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from convprof.problems import Backward, BackwardData, Gemm
from convprof.strategies.gemm.gradients.plans import (
    B_TURNED,
    as_product,
    b_turned,
    empty_plan,
    forward_of,
)
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import WEIGHTS, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan


class TiledData(Planned[Backward[Gemm]]):
    """dC B^T, cache and register tiles."""

    name = "tiled"
    kind = "gemm-backward-data"
    summary = "cache and register tiles, B transposed beforehand"
    parallel = True

    def plan(self, backward: Backward[Gemm], setting: Setting) -> Plan:
        """One stage over the tiles of the product."""
        g = as_product(backward)
        blocking = OffsetBlocking.choose(
            g.m, g.n, g.batch, threads=setting.threads, itemsize=setting.itemsize
        )
        plan = empty_plan(backward)
        second, turned = WEIGHTS, False
        if isinstance(backward, BackwardData):
            second = B_TURNED
            plan.packed[B_TURNED] = b_turned(forward_of(backward), setting)
        else:
            turned = True

        def offsets() -> Offsets:
            dense = Offsets.dense(g.m, g.n, g.k, g.batch)
            if not turned:
                return dense
            return dataclasses.replace(dense, a_row=np.arange(g.m), a_col=np.arange(g.k) * g.m)

        stage = Stage(
            "gemm",
            offset_gemm,
            blocking.tiles(g.m, g.n, g.batch),
            (X, second, Y),
            late_table((g.m, g.n, g.k, g.batch), blocking, offsets),
        )
        plan.steps = [stage]
        return plan


class TiledWeights(TiledData):
    """A^T dC, cache and register tiles."""

    kind = "gemm-backward-weights"
    summary = "cache and register tiles, A read down its columns"
