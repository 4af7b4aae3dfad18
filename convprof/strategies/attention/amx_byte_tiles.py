"""Attention of bytes in the tile registers of AMX; see ``amx_tiles``, ``problems.attention_bytes``.

Keys and queries are multiplied as they are, both signed. Weights are unsigned, and values from the
left are signed. The sums of a block of keys are whole numbers, which are added to f32 sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.codegen.kernels import attention_bytes as kernels
from convprof.codegen.kernels.amx_panel import TilePanel
from convprof.codegen.kernels.attention import Triangle
from convprof.codegen.kernels.attention_byte_tiles import FinishBytes, JoinColumns
from convprof.codegen.kernels.attention_bytes import ByteSoftmax, MaskUnits, SpreadFactors
from convprof.codegen.kernels.tile_registers import SIDE, tile_product
from convprof.codegen.tile_pairs import FACTORS, MASK
from convprof.dtypes import find, of_one
from convprof.integers import ceil_div
from convprof.strategies.attention.amx_tiles import TileBlocks
from convprof.strategies.attention.byte_blocks import AFTER, OfBytes

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Kernel
    from convprof.strategies.attention.amx_tiles import Panel
    from convprof.strategies.attention.kinds import BlockKind, Columns
    from convprof.strategies.attention.lists import Scratch


class ByteTileBlocks(OfBytes, TileBlocks):
    """The lists of tiles of one problem in bytes."""

    number_rows = kernels.NUMBERS + ceil_div(kernels.WORDS, SIDE)
    finish = FinishBytes

    def _place_sums(self, scratch: Scratch, panels: int) -> None:
        super()._place_sums(scratch, panels)
        self.whole = scratch.rows(self.dims, SIDE, self.types.accumulator)
        """The sums of a block of keys and a panel, in whole numbers."""

    def _begin(self, kind: BlockKind) -> None:
        """Write the factors of each panel; then as ``TileBlocks``."""
        spread = SpreadFactors(types=of_one(self.types.scale), width=SIDE, **self.common)
        for panel in self._panels(kind):
            self._place(spread, (FACTORS, 0), (FACTORS, 0), self._numbers_at(panel))
        super()._begin(kind)

    def _triangle(self, keys: int, diagonal: int) -> Kernel:
        return Triangle(
            types=of_one(self.types.scale),
            keys=keys,
            width=SIDE,
            diagonal=diagonal,
            low=AFTER,
            **self.common,
        )

    def _operand_mask(self, panel: Panel, row: int, keys: int) -> None:
        mask = MaskUnits(
            types=of_one(self.types.scale),
            queries=panel.queries,
            width=SIDE,
            dim=keys,
            row=row,
            **self.common,
        )
        self._place(mask, (MASK, panel.first * row), (FACTORS, 0), self.scores.at(0))

    def _softmax(self, panel: Panel, columns: Columns, keys: int, *, first: bool) -> Kernel:
        return ByteSoftmax(
            types=replace(self.types, source=find("u8"), result=self.types.accumulator),
            keys=keys,
            vectors=self._vectors(panel),
            width=SIDE,
            first=first,
            masked=self.placement.mask is not None or columns.diagonal is not None,
            **self.common,
        )

    def _sum_values(self, panel: Panel, keys: int, *, first: bool) -> None:
        """Write the sums of a block of keys, in whole numbers, and add them to earlier sums."""
        types = replace(self.types, weights=find("u8"))
        product = tile_product(types, self.isa)
        assert product is not None  # noqa: S101  # a CPU that multiplies bytes in tiles has all signs
        values = TilePanel(
            types=types,
            product=product,
            rows=self.dims,
            columns=panel.columns,
            steps=ceil_div(keys, self.step),
            a_row=self.values.row,
            **self.common,
        )
        self._place(values, self.values.at(0), self.powers.at(0), self.whole.at(0))
        join = JoinColumns(
            types=self.types,
            rows=self.dims,
            vectors=self._vectors(panel),
            first=first,
            **self.common,
        )
        self._place(join, self.whole.at(0), self._numbers_at(panel), self._sums_at(panel))
