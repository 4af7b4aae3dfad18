"""The blocking of a batch of products whose matrices may be anywhere, with any row stride.

The register tiles and their order are ``gemm.blocked``: a block of ``b``, in panels as wide as a
tile, stays in L2 while the rows of ``a`` pass. If ``b`` is transposed or scaled, a stage before
packs it; otherwise the first tile of rows packs it during its product, or the stage before, where
products take groups of elements.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_vectors
from convprof.codegen.kernels.ways import multiply
from convprof.integers import ceil_div, even_block, round_up
from convprof.strategies import sums
from convprof.strategies.gemm.blocked import (
    AHEAD,
    IN_PLACE,
    PACKED,
    BlockedProducts,
    GemmBlocking,
)
from convprof.strategies.gemm.packed import (
    B_SHARE,
    CHAINS,
    KC_BYTES,
    block_bytes,
)
from convprof.strategies.layers.stages import KernelContext, Nest, rows_stage
from convprof.strategies.memory import l2_bytes, unaliased
from convprof.strategies.plan import Buffer, Y

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Role
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting
    from convprof.strategies.gemm.panels import Operands
    from convprof.strategies.plan import Plan, Stage

UNITS_PER_THREAD = 4
"""With fewer products the threads also share out the rows of each product."""


def choose(g: Gemm, setting: Setting, a_row: int, *, ahead: bool) -> GemmBlocking:
    """Choose the blocking from the shape and the row stride of ``a``."""
    isa = isas.find(setting.isa)
    types = setting.types
    lanes = isa.lanes(types.accumulator.bytes)
    vectors = register_vectors(ceil_div(g.n, lanes), isa)
    how = multiply(types, isa, rows=g.m)
    most = how.tile_rows(vectors, isa)
    most = min(most, CHAINS) if vectors == 1 else unaliased(most, a_row * types.source.bytes)
    rows = round_up(even_block(g.m, most), how.rows)
    kc = even_block(g.k, block_bytes(g, types, KC_BYTES) // types.source.bytes)
    nr = vectors * lanes
    room = int(B_SHARE * l2_bytes()) // (kc * types.weights.bytes) // nr
    nc = even_block(ceil_div(g.n, nr), max(1, room)) * nr
    pack = IN_PLACE if g.m <= rows else PACKED
    return GemmBlocking(rows, vectors, rows, kc, nc, AHEAD if ahead else pack)


def row_parts(g: Gemm, nc: int, threads: int) -> int:
    """Return the number of parts of a product's rows, so that every thread has work."""
    blocks = g.batch * ceil_div(g.n, nc)
    few = threads > 1 and blocks < UNITS_PER_THREAD * threads
    return ceil_div(UNITS_PER_THREAD * threads, blocks) if few else 1


def fill(
    plan: Plan,
    g: Gemm,
    setting: Setting,
    operands: Operands,
    *,
    scale: float = 1.0,
    transposed: bool = False,
) -> None:
    """Add the stages and their workspaces to a plan; ``b`` is (n, k) where it is transposed.

    Where ``b`` times ``scale`` would be rounded, the sums are scaled, and ``c`` must be dense.
    """
    if setting.types.source.has_fma or _only_shifts(scale):
        _fill(plan, g, setting, operands, scale=scale, transposed=transposed)
        return
    total = setting.types.accumulator
    wide = replace(setting, dtype=sums.summed(setting.types).name)
    to_sums = replace(operands, c=replace(operands.c, buffer=sums.SUMS))
    plan.workspaces[sums.SUMS] = Buffer((g.batch, g.m, g.n), total)
    _fill(plan, g, wide, to_sums, scale=1.0, transposed=transposed)
    plan.steps.append(_scale_stage(g, setting, scale))


def _scale_stage(g: Gemm, setting: Setting, scale: float) -> Stage:
    """Return the stage that rounds sums times a number."""
    nest = Nest((g.batch * g.m * g.n,), ((1,), (1,)))
    buffers, context = (sums.SUMS, Y), KernelContext(setting)
    roles: dict[str, Role] = {sums.SUMS: "accumulator"}
    constants = scale, 0.0
    return rows_stage("scale", "affine", nest, buffers, context, constants=constants, roles=roles)


def _only_shifts(scale: float) -> bool:
    """Whether a product with a number only changes the exponent."""
    return abs(math.frexp(scale)[0]) == 0.5  # noqa: PLR2004


def _fill(
    plan: Plan,
    g: Gemm,
    setting: Setting,
    operands: Operands,
    *,
    scale: float,
    transposed: bool,
) -> None:
    blocking = choose(g, setting, operands.a.row, ahead=transposed or scale != 1.0)
    parts = row_parts(g, blocking.nc, setting.threads)
    products = BlockedProducts(
        g,
        setting,
        blocking,
        operands,
        scale=scale,
        transposed=transposed,
        parts=parts,
        multiply=multiply(setting.types, isas.find(setting.isa), rows=g.m),
    )
    plan.workspaces.update(products.workspaces())
    plan.lendable_workspaces = frozenset(plan.workspaces)
    plan.steps += products.all()
