"""``prepacked`` with Strassen's algorithm: seven products of blocks instead of eight.

Removes the limit of every direct algorithm, ``m * n * k`` multiply-adds. The sums of blocks of
``b`` are computed once, when panels are packed. The sums of blocks of ``a`` take a stage before the
products; the sums of products stay in the caches. The price is rounding: errors are two to four
times as large as in a direct sum.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.strassen import ACCESSES, TERMS
from convprof.problems import Gemm
from convprof.strategies import epilogue
from convprof.strategies.gemm import prepacked
from convprof.strategies.gemm.prepacked import Prepacked
from convprof.strategies.gemm.prepacked_tiles import PANELS
from convprof.strategies.gemm.strassen_tiles import StrassenBlocking, StrassenStages, quarter
from convprof.strategies.memory import l2_bytes
from convprof.strategies.plan import Packed, Plan
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

KEPT_SHARE = 1 / 8
"""Of the second-level cache, for the two sums of a thread."""
FACTOR_CYCLES, KEPT_CYCLES, PANEL_CYCLES = 2.0, 1.0, 1.0
"""Core cycles per vector of a factor of ``a`` or of a kept sum that is read or written, and of a
panel that is read: seven products read three quarters more of them than one product."""
WORTH = 0.97
"""``auto`` considers the algorithm if it takes this part of the cycles of direct products, or less;
below, measured gains are less than noise."""


def choose(g: Gemm, setting: Setting) -> StrassenBlocking:
    """Choose the blocking of ``prepacked`` for one of the products, and the panels of a group."""
    isa, types, part = isas.find(setting.isa), setting.types, quarter(g)
    panel = prepacked.choose(part, isa, types, setting.threads)
    columns = panel.vectors * isa.lanes(types.accumulator.bytes)
    kept = 2 * min(panel.mc, part.m) * columns * types.accumulator.bytes
    return StrassenBlocking(**asdict(panel), group=max(1, int(KEPT_SHARE * l2_bytes()) // kept))


class Strassen(Tunable[Gemm, StrassenBlocking]):
    """One level of Strassen's algorithm on panels that ``bind`` makes."""

    name = "strassen"
    kind = "gemm"
    summary = "seven products of blocks instead of eight, b packed beforehand"
    parallel = True
    generated = True
    fuses = True

    def why_not(self, problem: Gemm, setting: Setting) -> str | None:
        """Refuse types in which sums of two elements are rounded, or do not fit."""
        reason = super().why_not(problem, setting)
        if reason is not None and setting.types.accumulator != setting.types.source:
            return f"{reason}: sums of two elements are longer"
        return reason

    def blockings(self, problem: Gemm, setting: Setting) -> list[StrassenBlocking]:
        """Return blockings to try, the model's choice first."""
        first = choose(problem, setting)
        groups = (first.group, 1, 2 * first.group)
        return distinct(replace(first, group=group) for group in groups)

    def cycles(self, problem: Gemm, setting: Setting) -> float:
        """Estimate the products, the factors of ``a``, the kept sums and the larger panels."""
        part, products = quarter(problem), len(TERMS)
        lanes = isas.find(setting.isa).lanes(setting.types.accumulator.bytes)
        factors = (4 + products) * part.m * part.k * FACTOR_CYCLES
        kept = ACCESSES * part.m * part.n * KEPT_CYCLES
        panels = (products - 4) * part.k * part.n * PANEL_CYCLES
        return (products * part.macs / 2 + part.batch * (factors + kept + panels)) / lanes

    def pays(self, problem: Gemm, setting: Setting) -> bool:
        """Whether fewer multiplications outweigh the additions."""
        direct = Prepacked().cycles(problem, setting)
        return self.cycles(problem, setting) <= WORTH * direct

    def plan_blocked(self, problem: Gemm, setting: Setting, blocking: StrassenBlocking) -> Plan:
        """Plan the sums of blocks, the packing and the products."""
        stages = StrassenStages(problem, setting, blocking)
        plan = Plan(workspaces=stages.workspaces())
        plan.lendable_workspaces = frozenset(plan.workspaces)
        plan.packed = {PANELS: Packed(stages.buffer, stages.pack_factors, into=True)}
        plan.steps = [*stages.all()]
        plan.executed_flops = stages.executed_flops() + epilogue.flops(problem)
        return plan
