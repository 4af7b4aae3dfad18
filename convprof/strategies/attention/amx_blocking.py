"""The choice of blocks of attention in tile registers, by counted cycles; see ``amx_tiles``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.amx_panel import panel_cycles
from convprof.codegen.kernels.tile_registers import GROUPS, ROW_BYTES, SIDE, TILE_ROWS, tile_product
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems.attention import CAUSAL, OF_PAIRS, counted
from convprof.strategies.attention.lists import (
    L1_SHARE,
    POWER_CYCLES,
    TASKS_PER_THREAD,
    BlockSizes,
)
from convprof.strategies.memory import l1_data_bytes, l2_bytes

if TYPE_CHECKING:
    from convprof.codegen.kernels.tile_registers import TileProduct
    from convprof.dtypes import Types
    from convprof.problems import Attention
    from convprof.strategies.base import Setting

L2_SHARE = 1 / 4
"""Share of the second-level cache for copied keys and values, and for queries and their sums."""
PANELS = 8
"""Panels of a block, at most: all of them use the same copies, and stay in L2."""


@dataclass(frozen=True)
class TileBlocking(BlockSizes):
    """How queries and keys are cut: whole panels, and whole steps of the sums of values."""


def product_of(setting: Setting) -> TileProduct | None:
    """Return the instruction that multiplies queries and keys; None where vectors do."""
    return tile_product(setting.types, isas.find(setting.isa))


def choose(
    p: Attention,
    types: Types,
    threads: int,
    product: TileProduct,
    *,
    queries_times: float = 1.0,
    keys_times: int = 1,
) -> TileBlocking:
    """Choose the blocking from the shape: the scores of a panel stay in the first-level cache.

    ``queries_times``, ``keys_times``: other numbers than the usual ones, as a multiple.
    """
    step, size = GROUPS * product.k_group, types.source.bytes
    l1 = L1_SHARE * l1_data_bytes() / (SIDE * types.accumulator.bytes)
    l2 = L2_SHARE * l2_bytes() / p.dim
    most = max(step, int(min(keys_times * l1, l2 / (2 * size))) // step * step)
    panels = int(min(queries_times * PANELS, l2 / (size + types.accumulator.bytes) / SIDE))
    if threads > 1:  # at least one block for every thread
        every = p.items * ceil_div(p.tokens, SIDE)
        panels = min(panels, every // (TASKS_PER_THREAD * threads))
    panels = even_block(ceil_div(p.tokens, SIDE), max(1, panels))
    keys = round_up(even_block(p.keys, most), step)
    if p.mask == CAUSAL:  # whole blocks of keys make a block of queries
        keys = min(most, round_up(panels * SIDE, step))
        panels = max(1, panels * SIDE // keys) * keys // SIDE
    return TileBlocking(panels * SIDE // TILE_ROWS, keys)


SQUARE_CYCLES = 100
"""Transposing 16 vectors of words: 64 shuffles, one in a cycle, loads, conversions and stores."""
LINE_CYCLES = 2
"""Copying a line within the caches."""


def cycles(p: Attention, types: Types, product: TileProduct, blocking: TileBlocking) -> float:
    """Estimate the core cycles of all blocks."""
    step, lanes = GROUPS * product.k_group, TILE_ROWS
    depth, dims = ceil_div(p.dim, step), round_up(p.dim, TILE_ROWS)
    blocks = ceil_div(p.keys, blocking.keys)
    keys = ceil_div(p.keys, blocks)
    share = counted(p.tokens, p.keys, p.mask) / (p.tokens * p.keys)
    steps = ceil_div(keys, step)
    scores = panel_cycles(round_up(keys, TILE_ROWS), depth, accumulate=p.mask_shape is not None)
    scores += 2 * ceil_div(keys, lanes) * SQUARE_CYCLES * (p.mask == OF_PAIRS)  # transposed too
    joins = blocks > 1 or types.accumulator.is_exact  # whole numbers are always added to f32
    adds = blocks > 1 and not types.accumulator.is_exact
    sums = panel_cycles(dims, steps, accumulate=adds) + 2 * dims * joins
    powers = 2 * keys * POWER_CYCLES
    words = dims / lanes * steps * SQUARE_CYCLES
    copied = words + keys * depth * step * types.source.bytes / ROW_BYTES * LINE_CYCLES
    panels = round_up(p.tokens, TILE_ROWS) / SIDE
    ends = 2 * 2 * ceil_div(dims, step) * SQUARE_CYCLES
    rows = blocks * share * (panels * (scores + powers + sums) + copied * _blocks_of(p, blocking))
    return p.items * (rows + panels * ends)


def _blocks_of(p: Attention, blocking: TileBlocking) -> int:
    """Return the blocks of queries of a head."""
    return ceil_div(p.tokens, blocking.queries * TILE_ROWS)
