"""Explicit vectors as wide as the CPU has; four rows by two vectors stay in registers for a block.

Removes the limit of ``tiled``: a sum is loaded and stored once per block of the reduction, not
once every four steps, and the vectors are not left to the compiler's choice. ``b`` is read in
place, in blocks that fit L1; multiply and add are two instructions, with one step per iteration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.codegen import isa as isas
from convprof.codegen.kernels.tile_form import UNROLL
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems import Gemm
from convprof.strategies.gemm.blocked import IN_PLACE, BlockedProducts, GemmBlocking
from convprof.strategies.memory import l1_data_bytes
from convprof.strategies.plan import Plan
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.strategies.base import Setting

ROWS, VECTORS = 4, 2
"""The tile: the four rows of ``tiled``, and just enough sums for two multiply-adds a cycle of four
cycles each. The tile fits sixteen registers."""
B_SHARE = 1 / 2
"""Share of the first-level cache for a block of ``b`` as wide as the register tile."""


class Vectorized(Planned[Gemm]):
    """Register tiles of explicit vectors, one thread, multiply and add apart."""

    name = "vectorized"
    kind = "gemm"
    summary = "sums in explicit vectors, 4 rows by 2; multiply and add apart"
    generated = True
    fuses = True
    fused: ClassVar[bool] = False
    unroll: ClassVar[int] = 1
    """The largest unroll factor of the inner loop; 0: chosen by the number of vectors."""

    def tile(self, g: Gemm, isa: Isa, lanes: int) -> tuple[int, int]:  # noqa: ARG002
        """Return the most rows and vectors of the register tile."""
        return min(ROWS, g.m), min(VECTORS, ceil_div(g.n, lanes))

    def plan(self, g: Gemm, setting: Setting) -> Plan:
        """Generate the kernels and the list of tiles; all rows pass a block of ``b`` in L1."""
        isa = isas.find(setting.isa)
        types = setting.types
        lanes = isa.lanes(types.accumulator.bytes)
        rows, vectors = self.tile(g, isa, lanes)
        steps = int(B_SHARE * l1_data_bytes()) // (vectors * lanes * types.weights.bytes)
        kc = round_up(even_block(g.k, max(1, steps)), UNROLL)
        blocking = GemmBlocking(rows, vectors, g.m, kc, g.n, IN_PLACE, self.unroll)
        products = BlockedProducts(g, setting, blocking, fused=self.fused)
        plan = Plan()
        plan.steps = [*products.all()]
        return plan
