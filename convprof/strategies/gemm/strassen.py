"""``prepacked`` with Strassen's algorithm: 7 products of blocks instead of 8, or 49 instead of 64.

Removes the limit of every direct algorithm, ``m * n * k`` multiply-adds. The sums of blocks of
``b`` are computed once, when panels are packed. The sums of blocks of ``a`` and the sums of
products are computed between the products, and stay in the caches. The price is rounding: errors
are two to eight times as large as in a direct sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.strassen import KEPT, factor_accesses, terms
from convprof.integers import ceil_div, even_block
from convprof.problems import Gemm
from convprof.strategies import epilogue, memory
from convprof.strategies.gemm import prepacked
from convprof.strategies.gemm.panels import PANELS
from convprof.strategies.gemm.prepacked import Prepacked
from convprof.strategies.gemm.strassen_sums import Levels
from convprof.strategies.gemm.strassen_tiles import StrassenBlocking, StrassenStages, part
from convprof.strategies.plan import Packed, Plan
from convprof.strategies.tuning.tunable import Tunable

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

LEVELS = (1, 2)
KEPT_SHARE = 1 / 4
"""Of the second-level cache, for the kept sums of a thread."""
GROUP = 8
"""Panels in a group, at most: the left factors are summed once for all of them."""
KC_BYTES = 2 << 10
"""Bytes of a row of a left factor, at most."""
SUM_CYCLES, PANEL_CYCLES = 1.5, 0.4
"""Core cycles per vector that is read or written for sums, and of a panel: all products read more
panels than one product."""
BYTES_PER_CYCLE = 6
"""Of panels, from the last-level cache; few rows use each panel."""
WORTH = 0.97
"""``auto`` considers the algorithm if it takes this part of the cycles of direct products, or less;
below, measured gains are less than noise."""
LAYERS = 256
"""Layers of a large network: in a chain, the panels of this many layers of a size must fit into
memory. Panels have up to three times the bytes of the weights."""


def choose(g: Gemm, setting: Setting, levels: int) -> StrassenBlocking:
    """Choose the blocking of ``prepacked`` for one of the products, and the panels of a group."""
    isa, types, block = isas.find(setting.isa), setting.types, part(g, levels)
    panel = prepacked.choose(block, isa, types, setting.threads)
    size = types.accumulator.bytes
    nr = panel.vectors * isa.lanes(size)
    kept = KEPT * Levels(levels).all
    room = int(KEPT_SHARE * memory.l2_bytes()) // (kept * nr * size)  # rows times panels
    group = min(GROUP, ceil_div(block.n, nr))
    mc = even_block(block.m, min(panel.mc, max(2 * panel.rows, room // group)))
    kc = prepacked.steps(block.k, KC_BYTES // size)
    group = max(1, min(group, room // mc))
    return StrassenBlocking(panel.rows, panel.vectors, mc, kc, levels, group)


def estimate(g: Gemm, setting: Setting, levels: int) -> float:
    """Estimate the cycles of products, left factors, kept sums and the larger panels."""
    block, products, blocking = part(g, levels), terms(levels), choose(g, setting, levels)
    size = setting.types.accumulator.bytes
    lanes = isas.find(setting.isa).lanes(size)
    across = blocking.group * blocking.vectors * lanes
    factors = factor_accesses(levels) * ceil_div(block.n, across) * block.m * block.k
    kept = sum(term.accesses for term in products) * block.m * block.n
    count = len(products)
    more = (count - (1 << 2 * levels)) * block.k * block.n
    sums = (factors + kept) * SUM_CYCLES + more * PANEL_CYCLES
    work = (count * block.m * block.n * block.k / 2 + sums) / lanes
    return g.batch * max(work, count * block.k * block.n * size / BYTES_PER_CYCLE)


class Strassen(Tunable[Gemm, StrassenBlocking]):
    """One or two levels of Strassen's algorithm on panels that ``bind`` makes."""

    name = "strassen"
    kind = "gemm"
    summary = "7 products of blocks instead of 8, or 49 instead of 64; b packed beforehand"
    parallel = True
    generated = True
    fuses = True

    def _lacks(self, problem: Gemm, setting: Setting) -> str | None:
        """Return why the strategy does not take the element types, or None."""
        reason = super()._lacks(problem, setting)
        if setting.dtype not in self.dtypes:
            return f"{reason}: sums of two elements need more bits"
        return reason

    def blockings(self, problem: Gemm, setting: Setting) -> list[StrassenBlocking]:
        """Return a blocking for each number of levels, the model's choice first.

        No others: a plan of a network packs the weights for each of them, and panels are large.
        """
        return [choose(problem, setting, levels) for levels in _order(problem, setting)]

    def cycles(self, problem: Gemm, setting: Setting) -> float:
        """Estimate the levels with the fewest cycles."""
        return min(estimate(problem, setting, levels) for levels in LEVELS)

    def pays(self, problem: Gemm, setting: Setting) -> bool:
        """Whether fewer multiplications outweigh the additions, and memory has room."""
        levels, *_ = _order(problem, setting)
        direct = Prepacked().cycles(problem, setting)
        if estimate(problem, setting, levels) > WORTH * direct:
            return False
        block, layers = part(problem, levels), 1 if setting.alone else LAYERS
        panels = len(terms(levels)) * block.batch * block.k * block.n * setting.types.weights.bytes
        return memory.has(layers * panels + problem.bytes_min(setting.types))

    def plan_blocked(self, problem: Gemm, setting: Setting, blocking: StrassenBlocking) -> Plan:
        """Plan the sums of blocks, the packing and the products."""
        stages = StrassenStages(problem, setting, blocking)
        plan = Plan(workspaces=stages.workspaces())
        plan.lendable_workspaces = frozenset(plan.workspaces)
        plan.packed = {PANELS: Packed(stages.buffer, stages.pack_factors, into=True)}
        plan.unread_bytes = stages.unread_bytes()
        plan.steps = [*stages.all()]
        plan.executed_flops = stages.executed_flops() + epilogue.flops(problem)
        return plan


def _order(problem: Gemm, setting: Setting) -> list[int]:
    """Return the numbers of levels, the fewest cycles first."""
    return sorted(LEVELS, key=lambda levels: estimate(problem, setting, levels))
