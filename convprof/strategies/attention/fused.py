"""Block of queries by block of keys, with a softmax that is corrected as blocks are added.

Removes the limit of the score matrix, which is never stored as a whole. A block of scores, of some
queries and some keys, stays in the first-level cache until its exponentials and its weighted sums
of values are computed. When a later block raises a query's maximum, the sums so far are scaled to
the new maximum (Milakov & Gimelshein 2018; Rabe & Staats 2021; Dao et al. 2022). Scratch memory is
one block of scores per thread, for any number of tokens.

Scores are stored transposed, ``(keys, queries)``: each vector lane is one query. The queries of a
block are transposed once, keys and values are read in place, and no vector is summed across lanes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from convprof.codegen import isa as isas
from convprof.codegen.isa import register_vectors
from convprof.dtypes import ATTENTION_BYTES, COMMON, SHORT_FLOATS
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems import Attention
from convprof.problems.attention import CAUSAL
from convprof.strategies.attention import amx_blocking
from convprof.strategies.attention.amx_blocking import TileBlocking, product_of
from convprof.strategies.attention.amx_byte_tiles import ByteTileBlocks
from convprof.strategies.attention.amx_tiles import TileBlocks
from convprof.strategies.attention.blocks import AttentionBlocking, Blocks
from convprof.strategies.attention.byte_blocks import ByteBlocks
from convprof.strategies.attention.folding import folded
from convprof.strategies.attention.forms import form
from convprof.strategies.attention.lists import L1_SHARE, POWER_CYCLES, SPACE, TASKS_PER_THREAD
from convprof.strategies.memory import l1_data_bytes
from convprof.strategies.plan import Plan
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.dtypes import Types
    from convprof.strategies.attention.forms import Form
    from convprof.strategies.attention.lists import BlockLists
    from convprof.strategies.attention.placement import Placement
    from convprof.strategies.base import Setting

Blocking: TypeAlias = AttentionBlocking | TileBlocking
QUERIES = 64
"""Queries per block, where they fill whole vectors: all of them use each loaded key and value. With
32 or 128 queries, 1,024 tokens are 1 to 2 % slower."""
COPIED_QUERIES, COPIED_KEYS = 128, 168
"""The blocks where each block of queries copies its keys and values: more queries use a copy, and
the scores stay in the second-level cache. 12 heads of 64 in bf16: 197 and 577 tokens are 4 to 7 %
faster than with 64 queries and 84 keys."""
BYTE_QUERIES, BYTE_KEYS = 208, 208
"""The blocks of bytes, at most; a shape has equal blocks. 12 heads of 64: with 197, 577 and 1,024
tokens 3 to 7 % faster than with 128 queries and 168 keys."""
FEWEST_KEYS = 32
ACROSS = 4
"""Vectors of queries in a register tile of scores, with 32 registers: rows of keys come from outer
caches, vectors of queries from the first-level cache."""
EFFICIENCY = 0.8
"""Share of two multiply-adds a cycle that the products reach."""
COPY_CYCLES = 3
"""Copying a vector of a key or of a value: a third of the time of few queries in bf16 and f16."""


def choose(
    p: Attention,
    isa: Isa,
    types: Types,
    threads: int,
    *,
    queries_times: float = 1.0,
    keys_times: int = 1,
) -> AttentionBlocking:
    """Choose the blocking from the shape: the scores of a block stay in the first-level cache.

    ``queries_times``, ``keys_times``: other numbers than the usual ones, as a multiple.
    """
    how, lanes = form(types, isa, p.dim), isa.lanes(types.accumulator.bytes)
    vectors = min(max(1, int(queries_times * _queries(how)) // lanes), ceil_div(p.tokens, lanes))
    if threads > 1:  # at least one block for every thread
        every = p.items * ceil_div(p.tokens, lanes)
        vectors = min(vectors, max(1, every // (TASKS_PER_THREAD * threads)))
    if how.of_bytes:
        vectors = even_block(ceil_div(p.tokens, lanes), vectors)
    most = ACROSS if isa.registers >= 32 else register_vectors(vectors, isa)  # noqa: PLR2004
    across = min(vectors, most)
    tall = how.of_keys.tile_rows(across, isa)
    row_bytes = vectors * lanes * types.accumulator.bytes
    keys = max(tall, _keys(how, row_bytes) // tall * tall) * keys_times
    if p.mask == CAUSAL:
        keys = _divisor(vectors * lanes, keys)
    elif how.of_bytes:
        keys = round_up(even_block(p.keys, keys), tall)
    return AttentionBlocking(vectors, keys, across, register_vectors(ceil_div(p.dim, lanes), isa))


def _queries(how: Form) -> int:
    """Return the usual number of queries in a block."""
    if how.of_bytes:
        return BYTE_QUERIES
    return COPIED_QUERIES if how.copies else QUERIES


def _keys(how: Form, row_bytes: int) -> int:
    """Return the usual number of keys in a block, whose scores have rows of some bytes."""
    if how.of_bytes:
        return BYTE_KEYS
    if how.copies:
        return COPIED_KEYS
    return max(int(L1_SHARE * l1_data_bytes()) // row_bytes, FEWEST_KEYS)


def _divisor(width: int, most: int) -> int:
    """Return the largest divisor of ``width`` that is at most ``most``."""
    return next(width // n for n in range(1, width + 1) if width % n == 0 and width // n <= most)


def blockings(p: Attention, setting: Setting) -> list[Blocking]:
    """Return blockings to try, the model's choice first: in tile registers where the CPU has them.

    ``p`` is folded.
    """
    isa, types, threads = isas.find(setting.isa), setting.types, setting.threads
    product = product_of(setting)
    times = ((1.0, 1), (1.0, 2), (0.5, 1), (2.0, 1))
    in_tiles = [
        amx_blocking.choose(p, types, threads, product, queries_times=queries, keys_times=keys)
        for queries, keys in times
        if product
    ]
    in_vectors = [
        choose(p, isa, types, threads, queries_times=queries, keys_times=keys)
        for queries, keys in times
    ]
    return distinct([*in_tiles, *in_vectors])


def lists(
    p: Attention,
    setting: Setting,
    blocking: Blocking,
    placement: Placement | None = None,
    *,
    scale: float = 0.0,
) -> BlockLists:
    """Return the lists of tiles with one of ``blockings``; see ``BlockLists``."""
    if isinstance(blocking, TileBlocking):
        tiles = ByteTileBlocks if setting.types.requantises else TileBlocks
        return tiles(p, setting, blocking, placement, scale=scale)
    if setting.types.requantises:
        return ByteBlocks(p, setting, blocking, placement, scale=scale)
    return Blocks(p, setting, blocking, placement, scale=scale)


def fill(plan: Plan, blocks: BlockLists, threads: int) -> None:
    """Add the one stage and its scratch memory to a plan that has the operands."""
    plan.workspaces = blocks.workspaces(threads)
    plan.packed = blocks.constants()
    plan.lendable_workspaces = frozenset({SPACE})
    plan.steps = [blocks.stage(threads)]


class Fused(Tunable[Attention, Blocking]):
    """Attention without its matrix of scores."""

    name = "fused"
    kind = "attention"
    summary = "online softmax, block by block: no score matrix in memory"
    parallel = True
    generated = True
    dtypes = (*COMMON, *SHORT_FLOATS, *ATTENTION_BYTES)

    def blockings(self, p: Attention, setting: Setting) -> list[Blocking]:
        """Return blockings to try, the model's choice first."""
        return blockings(folded(p), setting)

    def cycles(self, problem: Attention, setting: Setting) -> float:
        """Estimate products, exponentials and copies; scores have whole vectors of queries."""
        isa, p = isas.find(setting.isa), folded(problem)
        first = blockings(p, setting)[0]
        product = product_of(setting)
        if product and isinstance(first, TileBlocking):
            return amx_blocking.cycles(p, setting.types, product, first)
        how, lanes = form(setting.types, isa, p.dim), isa.lanes(setting.types.accumulator.bytes)
        empty = round_up(p.tokens, lanes) / p.tokens
        products = p.flops * (1 + empty) / 2 / how.multiply.flops(lanes) / 2 / EFFICIENCY
        powers = p.exponentials * empty / lanes * POWER_CYCLES
        copies = ceil_div(p.tokens, first.queries * lanes) * 2 * ceil_div(p.dim, lanes)
        return products + powers + p.items * p.keys * copies * COPY_CYCLES * how.copies

    def plan_blocked(self, p: Attention, setting: Setting, blocking: Blocking) -> Plan:
        """Generate the kernels and the lists of tiles."""
        plan = Plan()
        fill(plan, lists(folded(p), setting, blocking), setting.threads)
        return plan
