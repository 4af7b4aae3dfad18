"""The lists of tiles of fused attention of bytes; see ``problems.attention_bytes``.

What differs from ``blocks``: scores are whole numbers, weights are rounded to u8 in groups of four
keys, and the sums of a block of keys are whole numbers, which are added to f32 sums of earlier
blocks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels import attention_bytes as kernels
from convprof.codegen.kernels.attention import Triangle
from convprof.codegen.kernels.attention_bytes import (
    ByteSoftmax,
    JoinRows,
    MaskUnits,
    SpreadFactors,
)
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_pairs import FACTORS, KEYS, MASK, RESULTS, VALUES
from convprof.dtypes import of_one
from convprof.integers import ceil_div, round_up
from convprof.problems.attention_bytes import FAR
from convprof.strategies.attention import byte_factors
from convprof.strategies.attention.blocks import Blocks
from convprof.strategies.attention.lists import BlockLists, Rows, Scratch

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Kernel
    from convprof.dtypes import DType
    from convprof.strategies.attention.kinds import BlockKind, Columns
    from convprof.strategies.attention.placement import Place
    from convprof.strategies.plan import Packed

MANY_REGISTERS, ACROSS_OF_FEW = 32, 2
SIGN = 128
"""The bit of a byte that makes u8 of s8, 128 more."""
AFTER = float(np.int32(-FAR).view(np.float32))
"""The f32 with the bits of what a causal mask adds."""


class OfBytes(BlockLists):
    """What only the lists of tiles in bytes have."""

    @property
    def mask_type(self) -> DType:
        """A mask is f32."""
        return self.types.scale

    @property
    def factors(self) -> str:
        """The buffer of the words that kernels read."""
        return byte_factors.FACTORS

    def constants(self) -> dict[str, Packed]:
        """Return the words that kernels read, from the scales."""
        return byte_factors.packed(self.scale, self.types)


class ByteBlocks(OfBytes, Blocks):
    """The lists of tiles of one problem in bytes."""

    def _place_parts(self) -> None:
        """Place the operands of a block in scratch."""
        p, total, group = self.p, self.types.accumulator, self.form.pairs
        scratch, byte = Scratch(total), self.types.source
        keys, depth = max(kind.most_keys for kind in self.kinds), round_up(p.dim, group)
        rows = kernels.NUMBERS + ceil_div(kernels.WORDS, self.width)
        self.numbers = scratch.rows(rows, self.width, total)
        self.packed = scratch.rows(depth, self.width, byte)
        self.scores = scratch.rows(keys, self.width, total)
        first_weight = self.scores.start * total.bytes  # in the same memory
        self.powers = Rows(self.scores.base, first_weight, self.width * group)
        self.keys = scratch.rows(keys, depth, byte)
        self.values = scratch.rows(ceil_div(keys, group), self.filled * group, byte)
        self.results = scratch.rows(self.width, self.filled, total)
        self.so_far = scratch.rows(self.width, self.filled, total)
        self.target = Rows(RESULTS, 0, self.placement.results.walk.step)
        self.slot = scratch.pages()

    @property
    def softmax_across(self) -> int:
        """Fewer with few registers: besides maxima and sums there are ten constants."""
        return super().softmax_across if self.isa.registers >= MANY_REGISTERS else ACROSS_OF_FEW

    def _begin(self, kind: BlockKind) -> None:
        """Write the factors, the queries, and the first keys."""
        width = self._across(kind) * self.lanes
        spread = SpreadFactors(types=of_one(self.types.scale), width=width, **self.common)
        self._place(spread, (FACTORS, 0), (FACTORS, 0), self.numbers.at(0))
        queries, types = range(kind.queries), replace(self.types, result=self.types.source)
        self._transpose_queries(queries, width, types, self.form.pairs, self.packed.at(0))
        self._pair(kind, kind.begin, first=True, last=not kind.last.keys)

    def _last(self, kind: BlockKind) -> None:
        if kind.last.keys:
            self._pair(kind, kind.last, last=True)

    def _end(self, kind: BlockKind) -> None:
        """Write nothing: the results are written with the sums of the last keys."""

    def _pair(
        self, kind: BlockKind, columns: Columns, *, first: bool = False, last: bool = False
    ) -> None:
        """Scores, their weights, the sums of values, and the sums with earlier keys."""
        vectors = self._across(kind)
        width = vectors * self.lanes
        self._copy(columns.keys)
        self._mask(kind.queries, width, columns)
        self._score_tiles(vectors, columns)
        self._powers(vectors, columns, first=first)
        self._value_tiles(kind.queries, width, columns, accumulate=False)
        join = JoinRows(
            types=self.types,
            rows=kind.queries,
            width=width,
            dim=self.p.dim,
            row=self.results.row,
            c_row=self.target.row,
            apart=self.so_far.start - self.results.start,
            first=first,
            finish=last,
            **self.common,
        )
        self._place(join, self.results.at(0), self.numbers.at(0), self.target.at(0))

    def _softmax(self, columns: Columns, sizes: dict[str, Any], *, first: bool) -> Kernel:
        masked = self.placement.mask is not None or columns.diagonal is not None
        settings = {**sizes, **self.common}
        return ByteSoftmax(types=self.form.types, first=first, masked=masked, **settings)

    def _mask(self, queries: int, width: int, columns: Columns) -> None:
        """Write what is added to the scores of a block in their place, if anything is."""
        place, f32 = self.placement.mask, of_one(self.types.scale)
        sizes: dict[str, Any] = {"width": width, **self.common}
        if place is not None:
            row = place.walk.step
            mask = MaskUnits(types=f32, queries=queries, dim=columns.keys, row=row, **sizes)
            self._place(mask, (MASK, 0), (FACTORS, 0), self.scores.at(0))
        elif columns.diagonal is not None:
            after = {"diagonal": columns.diagonal, "low": AFTER, **sizes}
            triangle = Triangle(types=f32, keys=columns.keys, **after)
            self._place(triangle, self.scores.at(0), self.scores.at(0), self.scores.at(0))

    def _copy(self, keys: int) -> None:
        """Copy keys and values to scratch: whole groups of a key, and groups of four keys."""
        places, group = self.placement, self.form.pairs
        flip = 0 if self.form.of_signed_keys else SIGN
        copies: tuple[tuple[int, Place, Rows, dict[str, Any]], ...] = (
            (KEYS, places.keys, self.keys, {"width": self.keys.row, "flip": flip}),
            (VALUES, places.values, self.values, {"width": self.filled, "k_group": group}),
        )
        for base, source, target, form in copies:
            copy = CopyPanel(
                types=of_one(self.types.source),
                lanes=_whole_vectors(form["width"], self.isa.lanes(1)),
                rows=keys,
                columns=self.p.dim,
                row=source.walk.step,
                **form,
            )
            self._place(copy, (base, 0), (base, 0), target.at(0))


def _whole_vectors(elements: int, most: int) -> int:
    """Return the lanes of bytes: the largest power of two that divides a row, up to a vector."""
    return min(most, elements & -elements)
