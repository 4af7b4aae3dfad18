"""The stages of attention of few queries: scores, softmax, values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.codegen import isa as isas
from convprof.codegen.kernels.attention_rows import KEYS_TOGETHER, RowDots, WeightedRows
from convprof.codegen.kernels.normalisation import SoftmaxRows
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import of_one
from convprof.integers import ceil_div, even_parts
from convprof.strategies.attention.placement import Placement
from convprof.strategies.plan import Native, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.base import Kernel
    from convprof.problems import Attention
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Buffer, Packed

SCORES = "scores"
SPARE, SPARE_OF_SCORES = 6, 14
"""Registers for what is not a sum, so that none is spilled: keys and queries are loaded ahead."""


class Streams:
    """The stages of one problem."""

    weighted: ClassVar[type[WeightedRows]] = WeightedRows
    more: ClassVar[tuple[str, ...]] = ()
    """The buffers of the values' stage after values, weights and results."""

    def __init__(self, p: Attention, setting: Setting) -> None:
        self.p, self.setting = p, setting
        self.places = Placement.apart(p)
        self.isa: Isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(setting.types.accumulator.bytes)
        self.common: dict[str, Any] = {"lanes": self.lanes, "fused": self.isa.fused}

    def scores(self, keys: int) -> Stage:
        """Return the stage of the scores; a task has some keys of one head."""
        p, places, tiles = self.p, self.places, TileList()
        queries = even_parts(
            p.tokens, max(1, (self.isa.registers - SPARE_OF_SCORES) // KEYS_TOGETHER)
        )
        for item, image, head in self._heads():
            for part in even_parts(p.keys, keys):
                tiles.task()
                for rows in queries:
                    dots = self._dots(
                        keys=len(part),
                        queries=len(rows),
                        dim=p.dim,
                        a_row=places.keys.walk.step,
                        b_row=places.queries.walk.step,
                        c_row=p.keys,
                        types=self.setting.types,
                        **self.common,
                    )
                    tiles.add(
                        kernel(dots, self.isa),
                        places.keys.at(image, head, part.start),
                        places.queries.at(image, head, rows.start),
                        (item * p.tokens + rows.start) * p.keys + part.start,
                    )
        return self._stage("scores", tiles, (places.keys.buffer, places.queries.buffer, SCORES))

    def _dots(self, **sizes: Any) -> Kernel:
        """Return the kernel of the scores of some keys."""
        return RowDots(scale=self.p.dim**-0.5, **sizes)

    def workspaces(self) -> dict[str, Buffer]:
        """Return the memory that the stages need besides the scores: none."""
        return {}

    def constants(self) -> dict[str, Packed]:
        """Return what is prepared of constant operands: nothing."""
        return {}

    def softmax(self) -> Stage:
        """Return the stage of the softmax; a task is a head."""
        p, tiles = self.p, TileList()
        rows = SoftmaxRows(
            types=of_one(self.setting.types.accumulator),
            rows=p.tokens,
            length=p.keys,
            **self.common,
        )
        for item in range(p.items):
            at = item * p.tokens * p.keys
            tiles.task()
            tiles.add(kernel(rows, self.isa), at, at)
        return self._stage("softmax", tiles, (SCORES, SCORES))

    def values(self) -> Stage:
        """Return the stage of the weighted sums; a task has some elements of one head."""
        p, places, tiles = self.p, self.places, TileList()
        most = max(1, (self.isa.registers - SPARE) // p.tokens)
        vectors = ceil_div(p.dim, self.lanes)
        few = ceil_div(vectors * p.items, 4 * self.setting.threads)
        parts = even_parts(vectors, min(most, few) if self.setting.threads > 1 else most)
        for item, image, head in self._heads():
            for part in parts:
                first = part.start * self.lanes
                sums = self.weighted(
                    keys=p.keys,
                    queries=p.tokens,
                    columns=min(len(part) * self.lanes, p.dim - first),
                    a_row=places.values.walk.step,
                    b_row=p.keys,
                    c_row=places.results.walk.step,
                    types=self.setting.types,
                    **self.common,
                )
                tiles.task()
                tiles.add(
                    kernel(sums, self.isa),
                    places.values.at(image, head, 0) + first,
                    item * p.tokens * p.keys,
                    places.results.at(image, head, 0) + first,
                    *self._ends(item),
                )
        buffers = places.values.buffer, SCORES, places.results.buffer
        return self._stage("values", tiles, (*buffers, *self.more))

    def _ends(self, item: int) -> tuple[int, ...]:  # noqa: ARG002
        """Return where a head begins in the buffers ``more``."""
        return ()

    def _heads(self) -> Iterator[tuple[int, int, int]]:
        """Yield the number, the image and the head of every item."""
        for item in range(self.p.items):
            yield (item, *divmod(item, self.p.heads))

    def _stage(self, phase: str, tiles: TileList, buffers: tuple[str, ...]) -> Stage:
        native = Native(runner_address(len(buffers)), tiles)
        return Stage(phase, native, len(tiles.starts), buffers, tiles.dims())
