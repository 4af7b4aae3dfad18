"""Blocks of queries and keys in the tile registers of AMX, in panels of 32 queries.

    for a block of keys:          copied in rows of whole steps; their values transposed
        for a panel of queries:   its scores and its powers stay in the first-level cache
            scores (keys, 32)       = keys (keys, dim) times queries (dim, 32)
            powers (keys, 32)         the softmax of ``fused``, a lane for each query
            sums (dim, 32)         += values (dim, keys) times powers

Transposed queries and powers are pairs along the sums: what the tile instruction takes from the
right. Keys and transposed values come from the left, and may come from the second-level cache.
All operands are filled up with zeros to whole tile registers, so that a task configures once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen import isa as isas
from convprof.codegen.kernels.amx_panel import TilePanel, panel_cycles, whole_registers
from convprof.codegen.kernels.attention import PackMask, Softmax, Triangle
from convprof.codegen.kernels.attention_tiles import (
    FinishColumns,
    ScaleColumns,
    SpreadMask,
    TransposeValues,
)
from convprof.codegen.kernels.tile_registers import GROUPS, ROW_BYTES, SIDE, TILE_ROWS, tile_product
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_pairs import KEYS, MASK, RESULTS, SCRATCH, VALUES
from convprof.dtypes import of_one
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems.attention import CAUSAL, counted
from convprof.strategies.attention.lists import BlockLists, BlockSizes, Rows, Scratch
from convprof.strategies.memory import l1_data_bytes, l2_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.kernels.tile_registers import TileProduct
    from convprof.dtypes import Types
    from convprof.problems import Attention
    from convprof.strategies.attention.kinds import BlockKind, Columns
    from convprof.strategies.attention.placement import Placement
    from convprof.strategies.base import Setting

L1_SHARE = 2 / 3
"""Share of the first-level cache for the scores of a panel."""
L2_SHARE = 1 / 4
"""Share of the second-level cache for copied keys and values, and for queries and their sums."""
PANELS = 8
"""Panels of a block, at most: all of them use the same copies, and stay in L2."""
TASKS_PER_THREAD = 4
ALIASED_BYTES = 2048
"""Rows a multiple of 2 KiB apart share two sets of the first-level cache."""


@dataclass(frozen=True)
class TileBlocking(BlockSizes):
    """How queries and keys are cut: whole panels, and whole steps of the sums of values."""


class _Panel(NamedTuple):
    """A panel of a block's queries."""

    number: int
    first: int
    """Its first query, from the start of the block."""
    queries: int

    @property
    def columns(self) -> int:
        """Columns of its tile registers."""
        return round_up(self.queries, TILE_ROWS)

    @property
    def last(self) -> int:
        """The last query of its columns."""
        return self.first + self.columns - 1


class TileBlocks(BlockLists):
    """The lists of tiles of one problem."""

    def __init__(
        self,
        p: Attention,
        setting: Setting,
        blocking: TileBlocking,
        placement: Placement | None = None,
        *,
        scale: float = 0.0,
    ) -> None:
        """See ``BlockLists``; ValueError for types without a tile instruction."""
        product = tile_product(setting.types, isas.find(setting.isa))
        if product is None:
            raise ValueError(f"no tile instruction multiplies {setting.types.name}")
        self.product = product
        self.group = product.k_group
        self.step = GROUPS * self.group
        super().__init__(p, setting, blocking, placement, scale=scale)

    def _place_parts(self) -> None:
        """Place all operands in scratch, panel by panel, filled up to whole tile registers."""
        total, source = self.types.accumulator, self.types.source
        scratch = Scratch(total)
        panels = ceil_div(self.width, SIDE)
        self.depth = round_up(self.p.dim, self.step)
        self.dims = round_up(self.p.dim, TILE_ROWS)
        keys = round_up(max(kind.most_keys for kind in self.kinds), self.step)
        self.numbers = scratch.rows(3 * panels, SIDE, total)
        self.packed = scratch.rows(panels * self.depth, SIDE, source)
        self.keys = scratch.rows(keys, self._apart(self.depth), source)
        self.values = scratch.rows(self.dims, self._apart(keys), source)
        self.scores = scratch.rows(keys, SIDE, total)
        first_power = self.scores.start * total.bytes // source.bytes  # in the same memory
        self.powers = Rows(SCRATCH, first_power, SIDE * self.group)
        self.sums = scratch.rows(panels * self.dims, SIDE, total)
        self.slot = scratch.pages()

    def _apart(self, elements: int) -> int:
        """Return the distance between rows of a length at which they do not collide in L1."""
        size = self.types.source.bytes
        return elements + (ROW_BYTES // size if elements * size % ALIASED_BYTES == 0 else 0)

    @staticmethod
    def _panels(kind: BlockKind) -> Iterator[_Panel]:
        for number, first in enumerate(range(0, kind.queries, SIDE)):
            yield _Panel(number, first, min(SIDE, kind.queries - first))

    def _begin(self, kind: BlockKind) -> None:
        """Configure the registers, transpose the queries; the first keys."""
        self._place(whole_registers(self.types, self.lanes), *[(SCRATCH, 0)] * 3)
        for panel in self._panels(kind):
            self._pack(panel)
        self._pair(kind, kind.begin, first=True)

    def _end(self, kind: BlockKind) -> None:
        """Divide by the sums of powers, transpose and round; release the registers."""
        row = self.placement.results.walk.step
        for panel in self._panels(kind):
            finish = FinishColumns(
                types=self.types, queries=panel.queries, dim=self.p.dim, c_row=row, **self.common
            )
            target = RESULTS, panel.first * row
            self._place(finish, self._sums_at(panel), self._numbers_at(panel), target)
        release = whole_registers(self.types, self.lanes).teardown
        self._place(release, *[(SCRATCH, 0)] * 3)

    def _pair(self, kind: BlockKind, columns: Columns, *, first: bool = False) -> None:
        """Copy a block of keys and values; then scores, powers and sums, panel by panel."""
        self._copy(columns.keys)
        for panel in self._panels(kind):
            seen = round_up(max(1, columns.of(panel.last)), self.step)
            keys = min(columns.keys, seen)
            self._scores(panel, columns, keys)
            self._powers(panel, keys, first=first)
            if not first:
                scale = ScaleColumns(
                    types=self.types, rows=self.dims, vectors=self._vectors(panel), **self.common
                )
                sums = self._sums_at(panel)
                self._place(scale, sums, self._numbers_at(panel), sums)
            values = TilePanel(
                types=self.types,
                product=self.product,
                rows=self.dims,
                columns=panel.columns,
                steps=ceil_div(keys, self.step),
                a_row=self.values.row,
                accumulate=not first,
                **self.common,
            )
            self._place(values, self.values.at(0), self.powers.at(0), self._sums_at(panel))

    # The parts of panels.

    def _vectors(self, panel: _Panel) -> int:
        return ceil_div(panel.columns, self.lanes)

    def _numbers_at(self, panel: _Panel) -> tuple[int, int]:
        return self.numbers.at(3 * SIDE * panel.number)

    def _packed_at(self, panel: _Panel) -> int:
        return self.packed.start + self.depth * SIDE * panel.number

    def _sums_at(self, panel: _Panel) -> tuple[int, int]:
        return self.sums.at(self.dims * SIDE * panel.number)

    # Copies.

    def _pack(self, panel: _Panel) -> None:
        """Transpose the queries of a panel; zeros fill its groups up to whole steps."""
        base, at = self.packed.base, self._packed_at(panel)
        queries = range(panel.first, panel.first + panel.queries)
        source = of_one(self.types.source)
        self._transpose_queries(queries, SIDE, source, self.group, (base, at))
        groups = ceil_div(self.p.dim, self.group)
        self._zeros(self.depth // self.group - groups, (base, at + groups * SIDE * self.group))

    def _zeros(self, groups: int, place: tuple[int, int]) -> None:
        """Write groups of zeros of a panel, if any."""
        source = self.types.source
        if groups:
            zeros = CopyPanel(
                types=of_one(source),
                lanes=self.isa.lanes(source.bytes),
                rows=0,
                columns=SIDE,
                width=SIDE,
                row=0,
                k_group=self.group,
                zero_groups=groups,
                fused=self.isa.fused,
            )
            self._place(zeros, place, place, place)

    def _copy(self, keys: int) -> None:
        """Copy the keys, with zeros to whole tile registers; transpose their values."""
        places, source = self.placement, self.types.source
        copy = CopyPanel(
            types=of_one(source),
            lanes=self.isa.lanes(source.bytes),
            rows=keys,
            columns=self.p.dim,
            width=self.keys.row,
            row=places.keys.walk.step,
            zero_groups=round_up(keys, TILE_ROWS) - keys,
            fused=self.isa.fused,
        )
        self._place(copy, (KEYS, 0), (KEYS, 0), self.keys.at(0))
        transpose = TransposeValues(
            types=self.types,
            keys=keys,
            dim=self.p.dim,
            a_row=places.values.walk.step,
            c_row=self.values.row,
            **self.common,
        )
        self._place(transpose, (VALUES, 0), (VALUES, 0), self.values.at(0))

    # Scores and powers.

    def _scores(self, panel: _Panel, columns: Columns, keys: int) -> None:
        """Scores of a panel: products of keys and queries, added to a mask if there is one."""
        rows = round_up(keys, TILE_ROWS)
        first = self._mask(panel, columns, keys)
        for part, accumulate in ((range(first), False), (range(first, rows), True)):
            if part:
                tile = TilePanel(
                    types=self.types,
                    product=self.product,
                    rows=len(part),
                    columns=panel.columns,
                    steps=self.depth // self.step,
                    a_row=self.keys.row,
                    accumulate=accumulate,
                    **self.common,
                )
                self._place(
                    tile,
                    self.keys.at(part.start * self.keys.row),
                    (self.packed.base, self._packed_at(panel)),
                    self.scores.at(part.start * SIDE),
                )

    def _mask(self, panel: _Panel, columns: Columns, keys: int) -> int:
        """Write what is added to scores in their place; return the first key that has it."""
        place = self.placement.mask
        if place is not None:
            self._operand_mask(panel, place.walk.step, keys)
            return 0
        every = columns.of(panel.first)
        if columns.diagonal is None or every >= keys:
            return round_up(keys, TILE_ROWS)
        first = every // SIDE * SIDE
        triangle = Triangle(
            types=of_one(self.types.accumulator),
            keys=keys - first,
            width=SIDE,
            diagonal=columns.diagonal + panel.first - first,
            **self.common,
        )
        self._place(triangle, *[self.scores.at(first * SIDE)] * 3)
        return first

    def _operand_mask(self, panel: _Panel, row: int, keys: int) -> None:
        """Write the rows of a mask, transposed, or one row for all queries."""
        types, scale = replace(self.types, result=self.types.accumulator), 1 / self.scale
        mask = (
            PackMask(
                types=types,
                queries=panel.queries,
                width=SIDE,
                dim=keys,
                row=row,
                scale=scale,
                **self.common,
            )
            if row
            else SpreadMask(
                types=types, keys=keys, vectors=self._vectors(panel), scale=scale, **self.common
            )
        )
        self._place(mask, (MASK, panel.first * row), (MASK, 0), self.scores.at(0))

    def _powers(self, panel: _Panel, keys: int, *, first: bool) -> None:
        """Powers of a panel's scores, and zeros after them to whole steps."""
        softmax = Softmax(
            types=replace(self.types, result=self.types.source),
            keys=keys,
            vectors=self._vectors(panel),
            width=SIDE,
            scale=math.log2(math.e) * self.scale,
            first=first,
            **self.common,
        )
        self._place(softmax, self.scores.at(0), self._numbers_at(panel), self.powers.at(0))
        groups = ceil_div(keys, self.group)
        filled = round_up(keys, self.step) // self.group
        self._zeros(filled - groups, self.powers.at(groups * SIDE * self.group))


# The choice of blocks, by counted cycles.


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


POWER_CYCLES = 8.5
"""A vector of powers: 15 operations, two in a cycle, and the search for the maximum."""
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
    sums = panel_cycles(dims, steps, accumulate=blocks > 1) + 2 * dims * (blocks > 1)
    powers = 2 * keys * POWER_CYCLES
    words = dims / lanes * steps * SQUARE_CYCLES
    copied = words + keys * depth * step * types.source.bytes / ROW_BYTES * LINE_CYCLES
    panels = p.tokens / SIDE
    ends = 2 * 2 * ceil_div(dims, step) * SQUARE_CYCLES
    rows = blocks * share * (panels * (scores + powers + sums) + copied * _blocks_of(p, blocking))
    return p.items * (rows + panels * ends)


def _blocks_of(p: Attention, blocking: TileBlocking) -> int:
    """Return the blocks of queries of a head."""
    return ceil_div(p.tokens, blocking.queries * TILE_ROWS)
