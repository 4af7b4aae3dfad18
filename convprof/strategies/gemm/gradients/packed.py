"""Both gradients by ``packed``: a product of two matrices, one of which is turned over first.

B^T is made when the weights are bound, A^T in every call, in one pass through vector registers.
Read in place, down its columns, every step of a sum would be in another page, and rows a multiple
of 4 KiB apart share one set of the first-level cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.problems import BackwardData
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
from convprof.strategies.plan_runner import StagedPrepared
from convprof.strategies.transposition import count_tables, turn_stage
from convprof.strategies.tuning.tunable import Tunable, Variant

if TYPE_CHECKING:
    from convprof.problems import Backward, Problem
    from convprof.strategies.base import Prepared, Setting

FORWARD = Packed()
A_TURNED = "a_turned"


class PackedData(Tunable):
    """dC B^T on generated register tiles."""

    name: ClassVar[str] = "packed"
    kind: ClassVar[str] = "gemm-backward-data"
    summary: ClassVar[str] = "packed panels and register tiles, B turned over beforehand"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True

    def variants(self, problem: Problem, setting: Setting) -> list[Variant]:
        """Return blockings to try, the model's choice first."""
        return FORWARD.variants(as_product(problem), setting)

    def cycles(self, problem: Problem, setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle."""
        return FORWARD.cycles(as_product(problem), setting)

    def prepare_variant(self, problem: Problem, setting: Setting, variant: Variant) -> Prepared:
        """Generate the kernels, the lists of tiles and the packing stages."""
        backward: Backward = problem  # type: ignore[assignment]  # why_not refused other kinds
        g, plan = forward_of(problem), empty_plan(backward)
        if isinstance(backward, BackwardData):
            product = as_product(problem)
            operands = Operands.dense(product, b=B_TURNED)
            stages = BlockedProducts(product, setting, GemmBlocking(**variant), operands)
            plan.packed[B_TURNED] = b_turned(g, setting)
            plan.steps = [*stages.all()]
        else:
            product = as_product(problem)
            operands = Operands.dense(product, a=A_TURNED)
            stages = BlockedProducts(product, setting, GemmBlocking(**variant), operands)
            turn = turn_stage("turn a", X, A_TURNED, (g.batch, g.m, g.k), setting)
            plan.workspaces = {A_TURNED: (g.batch, g.k, g.m)}
            plan.steps = [turn, *stages.all()]
        plan.workspaces = {**plan.workspaces, **stages.workspaces()}
        count_tables(plan)
        return StagedPrepared(self.name, problem, setting, plan)


class PackedWeights(PackedData):
    """A^T dC on generated register tiles."""

    kind: ClassVar[str] = "gemm-backward-weights"
    summary: ClassVar[str] = "packed panels and register tiles, A turned over in each call"
