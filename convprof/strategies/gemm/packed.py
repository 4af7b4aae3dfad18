"""Packed panels and register tiles of explicit vectors: the blocking of GotoBLAS and BLIS.

Removes the limit of ``tiled``: the sums stay in vector registers, in vectors as wide as the CPU has,
and a block of ``b``, copied into panels as wide as the register tile, is read as one stream from the
cache (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015). ``a`` is read in place.
"""  # noqa: E501

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_vectors
from convprof.codegen.kernels.multiply import FMA
from convprof.dtypes import PRODUCTS
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems import Gemm
from convprof.problems.epilogue import NO_EPILOGUE
from convprof.strategies import multiplying, requantised, sums, unfused_epilogue
from convprof.strategies.gemm import k_parts, longest_share, tile_stages
from convprof.strategies.gemm.blocked import (
    IN_PLACE,
    PACKED,
    STREAMED,
    BlockedProducts,
    GemmBlocking,
    PartedBlocking,
)
from convprof.strategies.gemm.panels import PANELS, Matrices, Operands, Packing, pack_stage
from convprof.strategies.gemm.tile_stages import TileBlocking, TileStages, tiles_pay
from convprof.strategies.memory import l2_bytes, unaliased
from convprof.strategies.plan import WEIGHTS, Buffer, Plan
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.multiply import Multiply
    from convprof.dtypes import Types
    from convprof.strategies.base import Setting

KC_BYTES = 4096
"""Bytes of a row of ``a`` per block of the reduction: fewer load and store the result more often
(2 KiB cost 1 to 2 % at 1024 and 2048, docs/decisions.md)."""
B_SHARE = 1 / 2
"""Of the second-level cache, for a block of ``b``: it stays there while all rows of ``a`` go by."""
MC_TILES = 2
"""Register tiles down a task; with 6 or 12 the rows of ``a`` do not stay near (-2 to -4 %)."""
FEW_ROWS, STREAMED_ROWS, STREAMED_ROWS_IN_GROUPS = 48, 128, 64
"""Up to here ``b`` is read in place, from L2 or from beyond: packing it would cost more than its
better order gains. Groups of rows are interleaved anew for each tile, so packing pays earlier."""
STRIP, LONE = 128, 512
"""Steps per block where few rows use a ``b`` in L2 in place: 128, so that a strip stays in L1 for
all rows; where one register tile has all rows, nothing is read twice: 512."""
LONE_STEPS, STREAMED_STEPS, BLOCK_ROWS = 8, 16, 32
"""Where ``b`` is streamed from beyond L2, a block has few rows of it, so that whole rows are read
nearly end to end: 8 steps for one row of sums, else 16; at least 32 rows of ``b`` for more rows of
sums than ``SHORT``, which are loaded and stored for each block."""
STREAM_SHARE = 1 / 4
"""Of the second-level cache, for the rows of ``b`` in use; the next rows and sums are there too."""
LONE_VECTORS = 8
"""Vectors across the tile of one row: as many sums keep the multiply-adds busy."""
SHORT, TALL = 6, 10
"""Rows up to which, and from which, a streamed tile is four vectors wide; between them tiles of two
vectors have all rows, or half of them."""
INTERLEAVED = 4
"""Rows of ``b`` in a group from which a tile that interleaves them has a row of sums less."""
NARROW = 2
"""Vectors across a tile that reads ``b`` in place, where registers are few."""
CHAINS = 8
"""Sums that keep the multiply-adds busy: a latency of four cycles, two a cycle. A tile one vector
wide has no more rows, each of them a stream of ``a``."""


def choose(g: Gemm, isa: Isa, types: Types, threads: int) -> GemmBlocking:
    """Choose the blocking from the shape."""
    lanes, how = isa.lanes(types.accumulator.bytes), multiplying.of_gemm(g, types, isa)
    across = ceil_div(g.n, lanes)
    if _reads_in_place(g, types, how, isa):
        beyond = g.k * g.n * types.weights.bytes > l2_bytes()
        return (_streamed if beyond else _few_rows)(g, isa, types, threads)
    vectors = register_vectors(across, isa)
    most = how.tile_rows(vectors, isa)
    most = min(most, CHAINS) if across == 1 else unaliased(most, g.k * types.source.bytes)
    rows = round_up(even_block(g.m, most), how.rows)
    kc, nc = fitted(g, vectors * lanes, block_bytes(g, types, KC_BYTES), types, threads)
    if across <= vectors and g.k * g.n * types.weights.bytes <= B_SHARE * l2_bytes():
        kc = g.k  # one panel: nothing to gain from parting the sums
    return GemmBlocking(rows, vectors, rows * MC_TILES, kc, nc, PACKED)


def _reads_in_place(g: Gemm, types: Types, how: Multiply, isa: Isa) -> bool:
    """Return whether ``b`` has too few uses to be packed; the last group must be whole."""
    if how.rows > 1:
        most = how.tile_rows(NARROW, isa)  # one tile: eight rows of b are interleaved only once
    elif g.k * g.n * types.weights.bytes <= l2_bytes():
        most = FEW_ROWS
    else:
        most = STREAMED_ROWS if how.k_group == 1 else STREAMED_ROWS_IN_GROUPS
    return g.m <= most and g.k % how.k_group == 0


def block_bytes(g: Gemm, types: Types, most: int) -> int:
    """Return the bytes of a row of ``a`` in a block: ``most``, or all where sums cannot be parted.

    A part of a sum that is stored in a shorter type would be rounded.
    """
    return most if types.result == types.accumulator else g.k * types.source.bytes


def _few_rows(g: Gemm, isa: Isa, types: Types, threads: int) -> GemmBlocking:
    """Return the blocking for a ``b`` in L2 that is used by a few register tiles only."""
    lanes, how = isa.lanes(types.accumulator.bytes), multiplying.of_gemm(g, types, isa)
    vectors = min(ceil_div(g.n, lanes), _widest(how, isa))
    rows = _in_place_rows(g, how, vectors, isa)
    kc = even_block(g.k, LONE if g.m <= rows else STRIP)
    nr = vectors * lanes
    nc = _shared(g, ceil_div(g.n, nr), ceil_div(g.n, nr), threads) * nr
    return GemmBlocking(rows, vectors, round_up(g.m, rows), kc, nc, IN_PLACE)


def _widest(how: Multiply, isa: Isa) -> int:
    """Return the vectors across a tile that reads ``b`` in place, where few rows use them."""
    return 2 * NARROW if isa.registers >= 32 and how.rows == 1 else NARROW  # noqa: PLR2004


def _in_place_rows(g: Gemm, how: Multiply, vectors: int, isa: Isa) -> int:
    """Return the rows of a tile that reads ``b`` in place.

    To interleave four rows of ``b`` takes the registers of a row of sums, which would be spilled.
    """
    most = how.tile_rows(vectors, isa)
    if how.k_group >= INTERLEAVED:
        most = max(how.rows, most - how.rows)
    return round_up(even_block(g.m, most), how.rows)


def _streamed(g: Gemm, isa: Isa, types: Types, threads: int) -> GemmBlocking:
    """Return the blocking for a ``b`` from beyond L2: every thread streams its own columns."""
    lanes, how = isa.lanes(types.accumulator.bytes), multiplying.of_gemm(g, types, isa)
    wide = NARROW if SHORT < g.m <= TALL else _widest(how, isa)
    if g.m == 1:
        wide = LONE_VECTORS // how.parts
    vectors = min(wide, max(1, ceil_div(g.n, lanes) // threads))
    rows = _in_place_rows(g, how, vectors, isa)
    kc = how.k_group * (LONE_STEPS if g.m == 1 else STREAMED_STEPS)
    if g.m > SHORT:
        kc = max(kc, BLOCK_ROWS)
    nr = vectors * lanes
    most = int(STREAM_SHARE * l2_bytes()) // (kc * types.weights.bytes) // nr
    nc = _shared(g, ceil_div(g.n, nr), max(1, most), threads) * nr
    return GemmBlocking(rows, vectors, round_up(g.m, rows), min(kc, g.k), nc, STREAMED)


def fitted(g: Gemm, nr: int, row_bytes: int, types: Types, threads: int) -> tuple[int, int]:
    """Return steps and columns per block, so that ``b`` stays in L2.

    A row of ``a`` in a block has ``row_bytes`` at most.
    """
    steps = even_block(g.k, row_bytes // types.source.bytes)
    most = max(1, int(B_SHARE * l2_bytes()) // (steps * types.weights.bytes) // nr)
    return steps, _shared(g, ceil_div(g.n, nr), most, threads) * nr


def _shared(g: Gemm, panels: int, most: int, threads: int) -> int:
    """Return the panels per block, at most ``most``, that keep the busiest thread least busy."""
    fewest = ceil_div(panels, most)
    sizes = [ceil_div(panels, count) for count in range(fewest, fewest + 2 * threads)]
    return min(sizes, key=lambda size: ceil_div(g.batch * ceil_div(panels, size), threads) * size)


def for_idle_threads(g: Gemm, setting: Setting) -> GemmBlocking | None:
    """Return the blocking if the usual one leaves threads without work; else None."""
    isa, types, threads = isas.find(setting.isa), setting.types, setting.threads
    parts = k_parts.of_few_columns(g, setting)
    if parts is not None:
        own = choose(longest_share.part(g, parts), isa, types, threads)
        return PartedBlocking(**asdict(own), parts=parts)
    return longest_share.quicker(g, setting, choose(g, isa, types, threads))


class Packed(Tunable[Gemm, GemmBlocking | TileBlocking]):
    """GotoBLAS blocking on generated register tiles."""

    name = "packed"
    kind = "gemm"
    summary = "packed panels and register tiles of explicit vectors"
    parallel = True
    generated = True
    fuses = True
    dtypes = PRODUCTS

    def blockings(self, g: Gemm, setting: Setting) -> list[GemmBlocking | TileBlocking]:
        """Return blockings to try, the model's choice first: in tile registers where they pay."""
        product, divided = tiles_pay(g, setting), for_idle_threads(g, setting)
        tiles = tile_stages.blockings(g, setting.types, product) if product else ()
        vectors = self.vector_blockings(g, setting)
        return [*tiles, *([divided] if divided else []), *vectors]

    def vector_blockings(self, g: Gemm, setting: Setting) -> list[GemmBlocking]:
        """Return blockings in vector registers for whole sums, the model's choice first."""
        isa = isas.find(setting.isa)
        types, threads = setting.types, setting.threads
        lanes = isa.lanes(types.accumulator.bytes)
        first, how = choose(g, isa, types, threads), multiplying.of_gemm(g, types, isa)
        nr = first.vectors * lanes
        candidates = [first]
        if first.pack_b == PACKED:
            for most in (KC_BYTES // 2, KC_BYTES // 4):
                kc, nc = fitted(g, nr, block_bytes(g, types, most), types, threads)
                candidates.append(replace(first, kc=kc, nc=nc))
            if how == FMA:
                candidates.append(replace(first, pack_b=IN_PLACE))
        else:
            kc, nc = fitted(g, nr, block_bytes(g, types, KC_BYTES), types, threads)
            candidates.append(replace(first, kc=kc, nc=nc, pack_b=PACKED))
            candidates += [replace(first, kc=min(first.kc * times, g.k)) for times in (2, 4)]
        # With 16 registers three vectors by four rows leave none for a mask.
        for vectors in (2, 3, 4, 1) if isa.registers >= 32 else (2, 4, 1):  # noqa: PLR2004
            rows = round_up(even_block(g.m, how.tile_rows(vectors, isa)), how.rows)
            mc = ceil_div(first.mc, first.rows) * rows
            nc = round_up(first.nc, vectors * lanes)
            candidates.append(replace(first, vectors=vectors, rows=rows, mc=mc, nc=nc))
        return distinct(candidates)

    def cycles(self, g: Gemm, setting: Setting) -> float:
        """Estimate two vector multiply-adds a cycle, and one for a vector of ``b`` to pack.

        Rows that are read in place take as long as rows that are packed (``prepacked``, which reads
        panels, takes 0.6 to 0.95 of the time); groups of rows are interleaved for each tile.
        """
        isa, types = isas.find(setting.isa), setting.types
        lanes, product = isa.lanes(types.accumulator.bytes), tiles_pay(g, setting)
        if product:
            return tile_stages.cycles(g.macs, product) + g.batch * g.k * g.n / lanes
        how, times = multiplying.of_gemm(g, types, isa), 1
        if how.k_group > 1 and _reads_in_place(g, types, how, isa):
            times = ceil_div(g.m, how.tile_rows(NARROW, isa))
        return (g.macs / 2 + times * g.batch * g.k * g.n) / lanes

    def blocks(self, g: Gemm, blocking: GemmBlocking | TileBlocking) -> int:
        """Return the blocks of ``b`` in all products, each as often as there are blocks of rows."""
        return blocking.blocks(g)

    def plan_blocked(
        self, g: Gemm, setting: Setting, blocking: GemmBlocking | TileBlocking
    ) -> Plan:
        """Generate the kernels, the lists of tiles and the packing stages."""
        return PLANS[type(blocking)](g, setting, blocking)


def _plan_vectors(g: Gemm, setting: Setting, blocking: GemmBlocking) -> Plan:
    """Return the plan in vector registers."""
    types = setting.types
    if blocking.in_place and blocking.kc < g.k and types.result != types.accumulator:
        return _plan_rounded_last(g, setting, blocking)
    plan = _plan_products(g, setting, blocking, Operands.dense(g))
    plan.packed = requantised.packed(g, types)
    return plan


def _plan_products(g: Gemm, setting: Setting, blocking: GemmBlocking, operands: Operands) -> Plan:
    """Return the plan of the products alone."""
    how = multiplying.of_gemm(g, setting.types, isas.find(setting.isa))
    products = BlockedProducts(g, setting, blocking, operands, multiply=how)
    plan = Plan(workspaces=products.workspaces())
    plan.lendable_workspaces = frozenset(plan.workspaces)
    plan.steps = [*products.all()]
    return plan


def _plan_rounded_last(g: Gemm, setting: Setting, blocking: GemmBlocking) -> Plan:
    """Return the plan whose sums are stored and loaded for each block before they are rounded."""
    bare, types = g.with_epilogue(NO_EPILOGUE), setting.types
    wide = replace(setting, dtype=sums.summed(types).name)
    dense = Operands.dense(g)
    operands = replace(dense, c=Matrices.dense(sums.SUMS, g.batch, g.m, g.n))
    plan = _plan_products(bare, wide, blocking, operands)
    if g.epilogue and not types.requantises:
        plan.steps.append(unfused_epilogue.stage(g, g.epilogue, setting, sums.SUMS))
        plan.passes += 1
    return sums.with_rounding(plan, g, setting)


def _plan_tiles(g: Gemm, setting: Setting, blocking: TileBlocking) -> Plan:
    """Return the plan in tile registers: all of ``b`` is packed first."""
    stages = TileStages(g, setting, blocking, narrow=True)
    shape = (g.batch, stages.count, stages.layout.elements)
    panels = {PANELS: Buffer(shape, setting.types.weights)}
    plan = Plan(workspaces=panels | stages.workspaces())
    plan.lendable_workspaces = frozenset(plan.workspaces)
    b = Matrices.dense(WEIGHTS, g.batch, g.k, g.n)
    plan.steps = [pack_stage(g, b, stages.layout, setting, Packing()), *stages.all()]
    plan.packed = requantised.packed(g, setting.types)
    return plan


PLANS: dict[type, Callable[[Gemm, Setting, Any], Plan]] = {
    GemmBlocking: _plan_vectors,
    PartedBlocking: k_parts.plan,
    TileBlocking: _plan_tiles,
}
"""What makes the plan of each kind of blocking."""
