"""The stages of attention of few queries in bytes; see ``problems.attention_bytes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.codegen.kernels.attention_byte_rows import (
    ByteRowDots,
    ByteSoftmaxRows,
    ByteWeightedRows,
)
from convprof.codegen.tile_list import TileList, kernel
from convprof.strategies.attention import byte_factors
from convprof.strategies.attention.byte_factors import FACTORS
from convprof.strategies.attention.forms import form
from convprof.strategies.attention.streams import SCORES, Streams
from convprof.strategies.plan import Buffer

if TYPE_CHECKING:
    from convprof.codegen.kernels.attention_rows import WeightedRows
    from convprof.codegen.kernels.base import Kernel
    from convprof.strategies.plan import Packed, Stage

ENDS = "ends"
"""What the weighted sums of each query are multiplied by."""


class ByteStreams(Streams):
    """The stages of one problem in bytes."""

    weighted: ClassVar[type[WeightedRows]] = ByteWeightedRows
    more: ClassVar[tuple[str, ...]] = (ENDS, FACTORS)

    def workspaces(self) -> dict[str, Buffer]:
        """Return a number for each query."""
        return {ENDS: Buffer((self.p.items, self.p.tokens), self.setting.types.scale)}

    def constants(self) -> dict[str, Packed]:
        """Return the words that kernels read, from the scales."""
        return byte_factors.packed(self.p.dim**-0.5, self.setting.types)

    def _dots(self, **sizes: Any) -> Kernel:
        how = form(self.setting.types, self.isa, self.p.dim)
        return ByteRowDots(multiply=how.of_keys, signed=how.of_signed_keys is not None, **sizes)

    def softmax(self) -> Stage:
        """Return the stage of the weights; a task is a head."""
        p, tiles = self.p, TileList()
        types = self.setting.types
        rows = ByteSoftmaxRows(types=types, rows=p.tokens, length=p.keys, **self.common)
        for item in range(p.items):
            tiles.task()
            tiles.add(kernel(rows, self.isa), item * p.tokens * p.keys, 0, self._ends(item)[0])
        return self._stage("softmax", tiles, (SCORES, FACTORS, ENDS))

    def _ends(self, item: int) -> tuple[int, ...]:
        return item * self.p.tokens, 0
