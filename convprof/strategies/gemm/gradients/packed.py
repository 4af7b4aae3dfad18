"""Both gradients by ``packed``: a product of two matrices, one of which is transposed first.

``bind`` makes B^T; each call makes A^T, in one pass through vector registers. If A were read in
place, along its columns, every step of a sum would be in another page, and rows with a stride of a
multiple of 4 KiB would share one set of the first-level cache.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from convprof.problems import Backward, Gemm
from convprof.strategies.gemm.blocked import BlockedProducts, GemmBlocking
from convprof.strategies.gemm.gradients.plans import (
    B_TRANSPOSED,
    b_transposed,
    data_product,
    weights_product,
)
from convprof.strategies.gemm.packed import Packed
from convprof.strategies.gemm.panels import Operands
from convprof.strategies.plan import Buffer, Plan, X
from convprof.strategies.transposition import transpose_stage
from convprof.strategies.tuning.tunable import Tunable

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

FORWARD = Packed()
A_TRANSPOSED = "a_transposed"


class _PackedGradient(Tunable[Backward[Gemm], GemmBlocking]):
    """A gradient as a product on generated register tiles."""

    name = "packed"
    parallel = True
    generated = True

    @abstractmethod
    def product(self, g: Gemm) -> Gemm:
        """Return the product that is the gradient of ``g`` with a transposed operand."""

    def blockings(self, problem: Backward[Gemm], setting: Setting) -> list[GemmBlocking]:
        """Return blockings to try, the model's choice first."""
        return FORWARD.vector_blockings(self.product(problem.forward), setting)

    def cycles(self, problem: Backward[Gemm], setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle."""
        return FORWARD.cycles(self.product(problem.forward), setting)


class PackedData(_PackedGradient):
    """dC B^T on generated register tiles."""

    kind = "gemm-backward-data"
    summary = "packed panels and register tiles, B transposed beforehand"

    def product(self, g: Gemm) -> Gemm:
        """Return dC times the transposed B."""
        return data_product(g)

    def plan_blocked(
        self, backward: Backward[Gemm], setting: Setting, blocking: GemmBlocking
    ) -> Plan:
        """Transpose B when it is bound, then multiply."""
        g = backward.forward
        product = self.product(g)
        operands = Operands.dense(product, b=B_TRANSPOSED)
        stages = BlockedProducts(product, setting, blocking, operands)
        plan = Plan(workspaces=stages.workspaces(), steps=[*stages.all()])
        plan.packed[B_TRANSPOSED] = b_transposed(g, setting)
        return plan


class PackedWeights(_PackedGradient):
    """A^T dC on generated register tiles."""

    kind = "gemm-backward-weights"
    summary = "packed panels and register tiles, A transposed in each call"

    def product(self, g: Gemm) -> Gemm:
        """Return the transposed A times dC."""
        return weights_product(g)

    def plan_blocked(
        self, backward: Backward[Gemm], setting: Setting, blocking: GemmBlocking
    ) -> Plan:
        """Transpose A, then multiply."""
        g = backward.forward
        product = self.product(g)
        operands = Operands.dense(product, a=A_TRANSPOSED)
        stages = BlockedProducts(product, setting, blocking, operands)
        transpose = transpose_stage(
            "turn a", X, A_TRANSPOSED, Buffer((g.batch, g.m, g.k), setting.types.source), setting
        )
        plan = Plan(steps=[transpose, *stages.all()])
        plan.workspaces[A_TRANSPOSED] = Buffer((g.batch, g.k, g.m), setting.types.source)
        plan.workspaces |= stages.workspaces()
        return plan
