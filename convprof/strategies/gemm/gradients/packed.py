"""Both gradients by ``packed``: a product of two matrices, one of which is transposed first.

B^T is made when the weights are bound, A^T in every call, in one pass through vector registers.
Read in place, down its columns, every step of a sum would be in another page, and rows a multiple
of 4 KiB apart share one set of the first-level cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems import Backward, BackwardData, Gemm
from convprof.strategies.gemm.blocked import BlockedProducts, GemmBlocking
from convprof.strategies.gemm.gradients.plans import (
    B_TURNED,
    as_product,
    b_turned,
    empty_plan,
    forward_of,
)
from convprof.strategies.gemm.packed import Packed
from convprof.strategies.gemm.panels import Operands
from convprof.strategies.plan import X
from convprof.strategies.transposition import turn_stage
from convprof.strategies.tuning.tunable import Tunable

if TYPE_CHECKING:
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Plan

FORWARD = Packed()
A_TURNED = "a_turned"


class PackedData(Tunable[Backward[Gemm], GemmBlocking]):
    """dC B^T on generated register tiles."""

    name = "packed"
    kind = "gemm-backward-data"
    summary = "packed panels and register tiles, B transposed beforehand"
    parallel = True
    generated = True

    def blockings(self, problem: Backward[Gemm], setting: Setting) -> list[GemmBlocking]:
        """Return blockings to try, the model's choice first."""
        return FORWARD.blockings(as_product(problem), setting)

    def cycles(self, problem: Backward[Gemm], setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle."""
        return FORWARD.cycles(as_product(problem), setting)

    def plan_blocked(
        self, backward: Backward[Gemm], setting: Setting, blocking: GemmBlocking
    ) -> Plan:
        """Generate the kernels, the lists of tiles and the packing stages."""
        g, plan = forward_of(backward), empty_plan(backward)
        if isinstance(backward, BackwardData):
            product = as_product(backward)
            operands = Operands.dense(product, b=B_TURNED)
            stages = BlockedProducts(product, setting, blocking, operands)
            plan.packed[B_TURNED] = b_turned(g, setting)
            plan.steps = [*stages.all()]
        else:
            product = as_product(backward)
            operands = Operands.dense(product, a=A_TURNED)
            stages = BlockedProducts(product, setting, blocking, operands)
            turn = turn_stage("turn a", X, A_TURNED, (g.batch, g.m, g.k), setting)
            plan.workspaces = {A_TURNED: (g.batch, g.k, g.m)}
            plan.steps = [turn, *stages.all()]
        plan.workspaces = {**plan.workspaces, **stages.workspaces()}
        return plan


class PackedWeights(PackedData):
    """A^T dC on generated register tiles."""

    kind = "gemm-backward-weights"
    summary = "packed panels and register tiles, A transposed in each call"
