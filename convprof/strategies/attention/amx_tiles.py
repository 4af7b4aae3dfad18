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
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.kernels.amx_panel import TilePanel, whole_registers
from convprof.codegen.kernels.attention import PackMask, Softmax, Triangle
from convprof.codegen.kernels.attention_tiles import (
    FinishColumns,
    ScaleColumns,
    TransposeValues,
)
from convprof.codegen.kernels.tile_registers import (
    ALIASED_BYTES,
    GROUPS,
    ROW_BYTES,
    SIDE,
    TILE_ROWS,
)
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_pairs import KEYS, MASK, RESULTS, SCRATCH, VALUES
from convprof.dtypes import of_one
from convprof.integers import ceil_div, round_up
from convprof.strategies.attention.amx_blocking import product_of
from convprof.strategies.attention.lists import BlockLists, Rows, Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.kernels.base import Kernel
    from convprof.problems import Attention
    from convprof.strategies.attention.amx_blocking import TileBlocking
    from convprof.strategies.attention.kinds import BlockKind, Columns
    from convprof.strategies.attention.placement import Placement
    from convprof.strategies.base import Setting


class Panel(NamedTuple):
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

    number_rows = 3
    """Rows of numbers of a panel: the maximum, sum and factor of each query."""
    finish: type[FinishColumns] = FinishColumns
    """The kernel that writes the results of a panel."""

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
        product = product_of(setting)
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
        self.numbers = scratch.rows(self.number_rows * panels, SIDE, total)
        self.packed = scratch.rows(panels * self.depth, SIDE, source)
        self.keys = scratch.rows(keys, self._apart(self.depth), source)
        self.values = scratch.rows(self.dims, self._apart(keys), source)
        self.scores = scratch.rows(keys, SIDE, total)
        first_power = self.scores.start * total.bytes // source.bytes  # in the same memory
        self.powers = Rows(SCRATCH, first_power, SIDE * self.group)
        self._place_sums(scratch, panels)
        self.slot = scratch.pages()

    def _place_sums(self, scratch: Scratch, panels: int) -> None:
        """Place the sums of values of all panels."""
        self.sums = scratch.rows(panels * self.dims, SIDE, self.types.accumulator)

    def _apart(self, elements: int) -> int:
        """Return the distance between rows of a length at which they do not collide in L1."""
        size = self.types.source.bytes
        return elements + (ROW_BYTES // size if elements * size % ALIASED_BYTES == 0 else 0)

    @staticmethod
    def _panels(kind: BlockKind) -> Iterator[Panel]:
        for number, first in enumerate(range(0, kind.queries, SIDE)):
            yield Panel(number, first, min(SIDE, kind.queries - first))

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
            finish = self.finish(
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
            self._powers(panel, columns, keys, first=first)
            self._sum_values(panel, keys, first=first)

    def _sum_values(self, panel: Panel, keys: int, *, first: bool) -> None:
        """Correct the sums of earlier keys, and add the products of values and powers."""
        sums = self._sums_at(panel)
        if not first:
            scale = ScaleColumns(
                types=self.types, rows=self.dims, vectors=self._vectors(panel), **self.common
            )
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
        self._place(values, self.values.at(0), self.powers.at(0), sums)

    # The parts of panels.

    def _vectors(self, panel: Panel) -> int:
        return ceil_div(panel.columns, self.lanes)

    def _numbers_at(self, panel: Panel) -> tuple[int, int]:
        return self.numbers.at(self.number_rows * SIDE * panel.number)

    def _packed_at(self, panel: Panel) -> int:
        return self.packed.start + self.depth * SIDE * panel.number

    def _sums_at(self, panel: Panel) -> tuple[int, int]:
        return self.sums.at(self.dims * SIDE * panel.number)

    # Copies.

    def _pack(self, panel: Panel) -> None:
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

    def _scores(self, panel: Panel, columns: Columns, keys: int) -> None:
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

    def _mask(self, panel: Panel, columns: Columns, keys: int) -> int:
        """Write what is added to scores in their place; return the first key that has it."""
        place = self.placement.mask
        if place is not None:
            self._operand_mask(panel, place.walk.step, keys)
            return 0
        every = columns.of(panel.first)
        if columns.diagonal is None or every >= keys:
            return round_up(keys, TILE_ROWS)
        first = every // SIDE * SIDE
        triangle = self._triangle(keys - first, columns.diagonal + panel.first - first)
        self._place(triangle, *[self.scores.at(first * SIDE)] * 3)
        return first

    def _triangle(self, keys: int, diagonal: int) -> Kernel:
        """Return the kernel that writes what is added to diagonal keys."""
        types = of_one(self.types.accumulator)
        return Triangle(types=types, keys=keys, width=SIDE, diagonal=diagonal, **self.common)

    def _operand_mask(self, panel: Panel, row: int, keys: int) -> None:
        """Write the rows of a mask, transposed."""
        mask = PackMask(
            types=replace(self.types, result=self.types.accumulator),
            queries=panel.queries,
            width=SIDE,
            dim=keys,
            row=row,
            scale=1 / self.scale,
            **self.common,
        )
        self._place(mask, (MASK, panel.first * row), (MASK, 0), self.scores.at(0))

    def _powers(self, panel: Panel, columns: Columns, keys: int, *, first: bool) -> None:
        """Powers of a panel's scores, and zeros after them to whole steps."""
        softmax = self._softmax(panel, columns, keys, first=first)
        self._place(softmax, self.scores.at(0), self._numbers_at(panel), self.powers.at(0))
        groups = ceil_div(keys, self.group)
        filled = round_up(keys, self.step) // self.group
        self._zeros(filled - groups, self.powers.at(groups * SIDE * self.group))

    def _softmax(self, panel: Panel, columns: Columns, keys: int, *, first: bool) -> Kernel:  # noqa: ARG002
        """Return the kernel of the powers of a panel's scores."""
        return Softmax(
            types=replace(self.types, result=self.types.source),
            keys=keys,
            vectors=self._vectors(panel),
            width=SIDE,
            scale=math.log2(math.e) * self.scale,
            first=first,
            **self.common,
        )
