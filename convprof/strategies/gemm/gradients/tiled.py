"""Both gradients by the blocked product of ``tiled``, which finds its rows through offsets.

A^T is read from A, along its columns. ``bind`` makes B^T, whose rows must be contiguous.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from convprof.problems import BackwardData, BackwardWeights, Gemm
from convprof.strategies.gemm.gradients.plans import (
    B_TRANSPOSED,
    b_transposed,
    data_product,
    weights_product,
)
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, late_table, offset_gemm
from convprof.strategies.plan import WEIGHTS, Plan, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import DType
    from convprof.strategies.base import Setting


class TiledData(Planned[BackwardData[Gemm]]):
    """dC B^T, cache and register tiles."""

    name = "tiled"
    kind = "gemm-backward-data"
    summary = "cache and register tiles, B transposed beforehand"
    parallel = True

    def plan(self, backward: BackwardData[Gemm], setting: Setting) -> Plan:
        """Transpose B when it is bound; one stage over the tiles of the product."""
        g = data_product(backward.forward)
        stage = _stage(
            g,
            setting,
            (B_TRANSPOSED, setting.types.weights),
            lambda: Offsets.dense(g.m, g.n, g.k, g.batch),
        )
        packed = {B_TRANSPOSED: b_transposed(backward.forward, setting)}
        return Plan(packed=packed, steps=[stage])


class TiledWeights(Planned[BackwardWeights[Gemm]]):
    """A^T dC, cache and register tiles."""

    name = "tiled"
    kind = "gemm-backward-weights"
    summary = "cache and register tiles, A read along its columns"
    parallel = True

    def plan(self, backward: BackwardWeights[Gemm], setting: Setting) -> Plan:
        """One stage over the tiles of the product."""
        g = weights_product(backward.forward)

        def offsets() -> Offsets:
            dense = Offsets.dense(g.m, g.n, g.k, g.batch)
            return dataclasses.replace(dense, a_row=np.arange(g.m), a_col=np.arange(g.k) * g.m)

        return Plan(steps=[_stage(g, setting, (WEIGHTS, setting.types.result), offsets)])


def _stage(
    g: Gemm, setting: Setting, second: tuple[str, DType], offsets: Callable[[], Offsets]
) -> Stage:
    """Return the stage that multiplies X and a ``second`` buffer, which has its own type."""
    b, dtype = second
    blocking = OffsetBlocking.choose(g.m, g.n, g.batch, threads=setting.threads, b=dtype)
    return Stage(
        "gemm",
        offset_gemm,
        blocking.tiles(g.m, g.n, g.batch),
        (X, b, Y),
        late_table((g.m, g.n, g.k, g.batch), blocking, offsets),
    )
