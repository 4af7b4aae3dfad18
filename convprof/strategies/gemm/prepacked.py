"""``packed`` with the panels of ``b`` packed beforehand, as inference does with weights.

Removes from each call the reading of ``b`` across its rows and the writing of panels. ``b`` then
comes from beyond the caches nearest to the core, as a stream: every panel is read once for a whole
block of ``a``, and fetched while the tiles of the panel before it run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_vectors
from convprof.codegen.kernels.cycles import tile_cycles
from convprof.codegen.kernels.tile_form import UNROLL
from convprof.dtypes import GROUPED, PRODUCTS
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems import Gemm
from convprof.strategies import multiplying, requantised
from convprof.strategies.gemm import grouped_tiles, k_parts, packed, tile_stages
from convprof.strategies.gemm.blocked import GemmBlocking, PartedBlocking
from convprof.strategies.gemm.grouped_tiles import GroupedBlocking
from convprof.strategies.gemm.packed import B_SHARE, CHAINS, block_bytes
from convprof.strategies.gemm.panels import PANELS
from convprof.strategies.gemm.prepacked_tiles import FEW_ROWS, PanelBlocking, PanelStages
from convprof.strategies.gemm.tile_stages import TileBlocking, TileStages, tiles_pay
from convprof.strategies.memory import l2_bytes, unaliased
from convprof.strategies.plan import Packed, Plan
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.multiply import Multiply
    from convprof.dtypes import Types
    from convprof.strategies.base import Setting

KC_BYTES = 5 << 10
"""Bytes of a row of ``a`` per block of the reduction, at most."""
FEW_KC_BYTES = 2 << 10
"""The same where few register tiles share a panel."""
FEW_TILES = 3
LEAST_SUMS = 24
"""Vectors of sums in a register tile, at least, where a panel is wide: 9 x 48 needs fewer elements
of ``a`` a step than 14 x 32 (1 to 5 %)."""
FEW_ROWS_VECTORS = (4, 2, 1)
"""Vectors across a panel for up to ``FEW_ROWS`` rows, the most whose sums have registers. With one
row and two vectors a product waits for the product before: bf16 is read from L3 at 0.8 of the rate
of four vectors. Eight vectors gain less than 1 % from L3, and lose as much from main memory."""
A_SHARE = 0.3
"""Of the second-level cache, for the block of ``a``; two panels and lines of the result are there
as well."""


def choose(
    g: Gemm, isa: Isa, types: Types, threads: int = 1, vectors: int | None = None
) -> PanelBlocking:
    """Choose the blocking from the shape; ``vectors`` across a panel if they are given."""
    across, how = (
        ceil_div(g.n, isa.lanes(types.accumulator.bytes)),
        multiplying.of_gemm(g, types, isa),
    )
    wide = min(across, vectors or _vectors(g.m, across, isa, how))
    if not vectors and g.m < threads * how.tile_rows(wide, isa):
        wide = _shared(g, how, across, wide, threads)  # too few rows to share out
    rows = unaliased(min(g.m, how.tile_rows(wide, isa)), g.k * types.source.bytes)
    if across == 1:
        rows = min(rows, CHAINS)
    tiles = ceil_div(g.m, rows)
    if tiles == 1 or (across <= wide and g.k * g.n * types.weights.bytes <= B_SHARE * l2_bytes()):
        return PanelBlocking(rows, wide, g.m, g.k)  # nothing to gain from parting the sums
    most = block_bytes(g, types, FEW_KC_BYTES if tiles <= FEW_TILES else KC_BYTES)
    kc = steps(g.k, most // types.source.bytes)
    return PanelBlocking(rows, wide, _fitting(g.m, kc * types.source.bytes, rows), kc)


def _vectors(m: int, across: int, isa: Isa, how: Multiply) -> int:
    """Return the vectors across a panel, so that few equal panels make ``across``."""
    if m <= FEW_ROWS:
        return next(wide for wide in FEW_ROWS_VECTORS if how.tile_rows(wide, isa) >= m)
    wide = how.panel_vectors
    if wide * how.tile_rows(wide, isa) < LEAST_SUMS:
        return register_vectors(across, isa)
    return even_block(across, wide)


def _shared(g: Gemm, how: Multiply, across: int, most: int, threads: int) -> int:
    """Return the vectors across a panel, at most ``most``, that keep the busiest thread least busy.

    The panels of all products of the batch are shared out. Among equal times, the threads read
    as few panels as possible.
    """
    groups = ceil_div(g.k, how.k_group)

    def busiest(wide: int) -> tuple[float, int]:
        panels = ceil_div(g.batch * ceil_div(across, wide), threads)
        return panels * tile_cycles(how.operations(g.m, wide), groups), panels * wide

    return min(range(most, 0, -1), key=busiest)


def steps(k: int, most: int) -> int:
    """Return the steps of a block: equal parts of ``k``, in whole turns of the inner loop."""
    return min(k, round_up(even_block(k, most), UNROLL))


def _fitting(m: int, row_bytes: int, rows: int) -> int:
    """Return the rows of a block of ``a`` that stays in L2, at least two register tiles high."""
    return even_block(m, max(2 * rows, int(A_SHARE * l2_bytes()) // row_bytes))


Blocking: TypeAlias = PanelBlocking | TileBlocking | GroupedBlocking | GemmBlocking
"""A ``GemmBlocking`` is one in parts."""


class Prepacked(Tunable[Gemm, Blocking]):
    """Register tiles on panels that ``bind`` makes."""

    name = "prepacked"
    kind = "gemm"
    summary = "b packed beforehand: what inference does with weights"
    parallel = True
    generated = True
    fuses = True
    dtypes = PRODUCTS
    grouped = GROUPED

    def blockings(self, g: Gemm, setting: Setting) -> list[Blocking]:
        """Return blockings to try, the model's choice first: in tile registers where they pay."""
        if g.grouped_weights:
            return [*grouped_tiles.blockings(g, g.grouped_weights, setting)]
        product, divided = tiles_pay(g, setting), packed.for_idle_threads(g, setting)
        if divided and divided.parts > 1:
            return [divided]
        tiles = tile_stages.blockings(g, setting.types, product) if product else ()
        return [*tiles, *_vector_blockings(g, setting)]

    def cycles(self, problem: Gemm, setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle, or the steps in tile registers."""
        product = tiles_pay(problem, setting)
        if product:
            return tile_stages.cycles(problem.macs, product)
        return problem.macs / isas.find(setting.isa).lanes(setting.types.accumulator.bytes) / 2

    def plan_blocked(self, g: Gemm, setting: Setting, blocking: Blocking) -> Plan:
        """Generate the kernels and the lists of tiles, and plan the packing."""
        return PLANS[type(blocking)](g, setting, blocking)


def _plan_vectors(g: Gemm, setting: Setting, blocking: PanelBlocking) -> Plan:
    """Return the plan in vector registers."""
    how = multiplying.of_gemm(g, setting.types, isas.find(setting.isa))
    return _plan_panels(g, setting, PanelStages(g, setting, blocking, how))


def _plan_tiles(g: Gemm, setting: Setting, blocking: TileBlocking) -> Plan:
    """Return the plan in tile registers."""
    return _plan_panels(g, setting, TileStages(g, setting, blocking))


def _plan_panels(g: Gemm, setting: Setting, stages: PanelStages | TileStages) -> Plan:
    """Return the plan of stages that read panels."""
    plan = Plan(workspaces=stages.workspaces())
    panels = {PANELS: Packed(stages.buffer, stages.pack)}
    plan.packed = panels | requantised.packed(g, setting.types)
    plan.steps = [*stages.all()]
    return plan


PLANS: dict[type, Callable[[Gemm, Setting, Any], Plan]] = {
    GroupedBlocking: grouped_tiles.plan,
    PanelBlocking: _plan_vectors,
    PartedBlocking: k_parts.plan,
    TileBlocking: _plan_tiles,
}
"""What makes the plan of each kind of blocking."""


def _vector_blockings(g: Gemm, setting: Setting) -> list[PanelBlocking]:
    """Return blockings in vector registers, the model's choice first."""
    isa, types = isas.find(setting.isa), setting.types
    first = choose(g, isa, types, setting.threads)
    candidates = [first]
    if first.rows < g.m:
        candidates.append(choose(g, isa, types, vectors=2))
        most = block_bytes(g, types, ceil_div(first.kc, 2) * types.source.bytes)
        kc = steps(g.k, most // types.source.bytes)
        candidates.append(
            replace(first, kc=kc, mc=_fitting(g.m, kc * types.source.bytes, first.rows))
        )
        candidates.append(
            replace(first, mc=even_block(g.m, max(2 * first.rows, ceil_div(first.mc, 2))))
        )
        candidates.append(replace(first, mc=g.m))
    # With 16 registers three vectors by four rows leave none for a mask.
    candidates += [choose(g, isa, types, vectors=vectors) for vectors in (1, 2, 4)]
    return distinct(candidates)
