"""The lists of tiles of fused attention: the work on a block of queries and a block of keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen.kernels.attention import (
    PackMask,
    ScaleRows,
    Softmax,
    Triangle,
)
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_pairs import KEYS, MASK, RESULTS, SCRATCH, VALUES
from convprof.dtypes import of_one
from convprof.integers import ceil_div, even_parts, round_up
from convprof.strategies.attention.forms import form
from convprof.strategies.attention.lists import BlockLists, BlockSizes, Rows, Scratch

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Kernel
    from convprof.problems import Attention
    from convprof.strategies.attention.kinds import BlockKind, Columns
    from convprof.strategies.attention.placement import Placement
    from convprof.strategies.base import Setting

SOFTMAX_ACROSS = 4
"""Vectors of queries per step of a softmax: their maxima and sums stay in registers."""


@dataclass(frozen=True)
class AttentionBlocking(BlockSizes):
    """How queries and keys are cut, also within a block."""

    across: int
    """Vectors of queries in a register tile of scores, at most."""
    wide: int
    """Vectors of dimensions in a register tile of results, at most."""


class Blocks(BlockLists):
    """The lists of register tiles of one problem."""

    def __init__(
        self,
        p: Attention,
        setting: Setting,
        blocking: AttentionBlocking,
        placement: Placement | None = None,
        *,
        scale: float = 0.0,
    ) -> None:
        """See ``BlockLists``."""
        self.blocking = blocking
        self.form = form(setting.types, isas.find(setting.isa), p.dim)
        super().__init__(p, setting, blocking, placement, scale=scale)

    def _place_parts(self) -> None:
        """Place the operands of a block: in scratch, or where the problem has them."""
        p, places = self.p, self.placement
        total, source = self.types.accumulator, self.form.types.source
        scratch = Scratch(total)
        keys = max(kind.most_keys for kind in self.kinds)
        self.numbers = scratch.rows(3, self.width, total)
        self.packed = scratch.rows(p.dim, self.width, source)
        self.scores = scratch.rows(keys, self.width, total)
        first_power = self.scores.start * total.bytes // source.bytes  # in the same memory
        self.powers = Rows(SCRATCH, first_power, self.width * self.form.pairs)
        self.keys = Rows(KEYS, 0, places.keys.walk.step)
        self.values = Rows(VALUES, 0, places.values.walk.step)
        self.results = self.target = Rows(RESULTS, 0, places.results.walk.step)
        if self.form.copies:
            groups = ceil_div(keys, self.form.pairs)
            self.keys = scratch.rows(keys, p.dim, source)
            self.values = scratch.rows(groups, self.filled * self.form.pairs, source)
            self.results = scratch.rows(self.width, self.filled, total)
        self.slot = scratch.pages()

    @property
    def filled(self) -> int:
        """Elements of a head, filled up to whole vectors of sums."""
        return round_up(self.p.dim, self.lanes)

    def _begin(self, kind: BlockKind) -> None:
        """Transpose the queries; the first keys."""
        queries, width = range(kind.queries), self._across(kind) * self.lanes
        self._transpose_queries(
            queries, width, self.form.copied, self.form.pairs, self.packed.at(0)
        )
        self._pair(kind, kind.begin, first=True)

    def _across(self, kind: BlockKind) -> int:
        """Return the vectors of a block's queries."""
        return ceil_div(kind.queries, self.lanes)

    def _pair(self, kind: BlockKind, columns: Columns, *, first: bool = False) -> None:
        """Scores, their powers, and the sums of values."""
        vectors, keys = self._across(kind), columns.keys
        width = vectors * self.lanes
        if self.form.copies:
            self._copy(keys)
        self._mask(kind.queries, width, columns)
        self._score_tiles(vectors, columns)
        self._powers(vectors, columns, first=first)
        if not first:
            self._scale(kind.queries, width, self.results)
        self._value_tiles(kind.queries, width, columns, accumulate=not first)

    @property
    def softmax_across(self) -> int:
        """Vectors of queries per step of a softmax, at most."""
        return SOFTMAX_ACROSS

    def _powers(self, vectors: int, columns: Columns, *, first: bool) -> None:
        """Write the powers of the scores of a block in their place."""
        beyond = self._value_rows() - 1  # queries of a tile of values that has two steps' powers
        for across in even_parts(vectors, self.softmax_across):
            at = across.start * self.lanes
            sizes: dict[str, Any] = {
                "keys": columns.computed(across.stop * self.lanes - 1 + beyond),
                "vectors": len(across),
                "width": vectors * self.lanes,
            }
            softmax = self._softmax(columns, sizes, first=first)
            powers = self.powers.at(at * self.form.pairs)
            self._place(softmax, self.scores.at(at), self.numbers.at(at), powers)

    def _softmax(self, columns: Columns, sizes: dict[str, Any], *, first: bool) -> Kernel:  # noqa: ARG002
        """Return the kernel of the powers of some keys and queries."""
        return Softmax(
            types=replace(self.form.types, result=self.form.types.source),
            scale=math.log2(math.e) * self.scale,
            first=first,
            **sizes,
            **self.common,
        )

    def _end(self, kind: BlockKind) -> None:
        self._scale(kind.queries, self._across(kind) * self.lanes, self.target, finish=True)

    def _mask(self, queries: int, width: int, columns: Columns) -> None:
        """Write what is added to the scores of a block in their place, if anything is."""
        place = self.placement.mask
        if place is not None:
            mask = PackMask(
                types=replace(self.types, result=self.types.accumulator),
                queries=queries,
                width=width,
                dim=columns.keys,
                row=place.walk.step,
                scale=1 / self.scale,
                **self.common,
            )
            self._place(mask, (MASK, 0), (MASK, 0), self.scores.at(0))
        elif columns.diagonal is not None:
            triangle = Triangle(
                types=of_one(self.types.accumulator),
                keys=columns.keys,
                width=width,
                diagonal=columns.diagonal,
                **self.common,
            )
            self._place(triangle, self.scores.at(0), self.scores.at(0), self.scores.at(0))

    def _copy(self, keys: int) -> None:
        """Copy keys and values to scratch; the values of a pair of keys become neighbours."""
        places, dim = self.placement, self.p.dim
        copies = (
            (KEYS, places.keys, self.keys, dim, 1),
            (VALUES, places.values, self.values, self.filled, self.form.pairs),
        )
        for base, source, target, width, group in copies:
            copy = CopyPanel(
                types=self.form.copied,
                rows=keys,
                columns=dim,
                width=width,
                row=source.walk.step,
                k_group=group,
                **self.common,
            )
            self._place(copy, (base, 0), (base, 0), target.at(0))

    def _scale(self, queries: int, width: int, target: Rows, *, finish: bool = False) -> None:
        scale = ScaleRows(
            types=self.types if finish else self.form.types,
            rows=queries,
            width=width,
            dim=self.p.dim,
            a_row=self.results.row,
            c_row=target.row,
            finish=finish,
            **self.common,
        )
        self._place(scale, self.results.at(0), self.numbers.at(0), target.at(0))

    def _score_tiles(self, vectors: int, columns: Columns) -> None:
        """Scores ``(keys, queries)`` from keys and transposed queries, added to what masks them."""
        width, group, row = vectors * self.lanes, self.form.pairs, self.keys.row
        parts = even_parts(vectors, self.blocking.across)
        how = self.form.of_keys
        tall = how.tile_rows(max(map(len, parts)), self.isa)
        masked = self.placement.mask is not None
        for rows in even_parts(columns.keys, tall):
            for across in parts:
                at = across.start * self.lanes
                if rows.start >= columns.of(across.stop * self.lanes - 1):
                    continue  # all of its keys are after its queries
                tile = Tile(
                    types=self.form.types,
                    multiply=how,
                    rows=tuple(i * row for i in range(len(rows))),
                    a_step=group,
                    segments=((0, 0),),
                    run=ceil_div(self.p.dim, group),
                    vectors=len(across),
                    b_row=width * group,
                    c_rows=tuple(i * width for i in range(len(rows))),
                    columns=len(across) * self.lanes,
                    accumulate=masked or rows.stop > columns.of(at),
                    **self.common,
                )
                self._place(
                    tile,
                    self.keys.at(rows.start * row),
                    self.packed.at(at * group),
                    self.scores.at(rows.start * width + at),
                )

    def _value_parts(self) -> list[range]:
        """Return the vectors of a head, in parts as wide as a tile of values."""
        return even_parts(ceil_div(self.p.dim, self.lanes), self.blocking.wide)

    def _value_rows(self) -> int:
        """Return the most queries of a tile of values."""
        return self.form.multiply.tile_rows(max(map(len, self._value_parts())), self.isa)

    def _value_tiles(self, queries: int, width: int, columns: Columns, *, accumulate: bool) -> None:
        """Results ``(queries, dim)`` from the transposed powers and the values."""
        dim, group, row = self.p.dim, self.form.pairs, self.results.row
        for across in self._value_parts():
            at = across.start * self.lanes
            for rows in even_parts(queries, self._value_rows()):
                tile = Tile(
                    types=self.form.types,
                    multiply=self.form.multiply,
                    rows=tuple(group * i for i in range(len(rows))),
                    a_step=width * group,
                    segments=((0, 0),),
                    run=ceil_div(columns.computed(rows.stop - 1), group),
                    vectors=len(across),
                    b_row=self.values.row,
                    c_rows=tuple(i * row for i in range(len(rows))),
                    columns=min(len(across) * self.lanes, dim - at),
                    padded=self.form.copies,
                    accumulate=accumulate,
                    **self.common,
                )
                self._place(
                    tile,
                    self.powers.at(rows.start * group),
                    self.values.at(at * group),
                    self.results.at(rows.start * row + at),
                )
