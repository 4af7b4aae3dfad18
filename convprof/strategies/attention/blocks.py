"""The lists of tiles of fused attention: the work on a block of queries and a block of keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen import tile_pairs as pairs
from convprof.codegen.isa import register_rows
from convprof.codegen.kernels.attention import PackQueries, ScaleRows, Softmax
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.tile_list import kernel
from convprof.codegen.tile_pairs import KEYS, RESULTS, ROWS, SCRATCH, VALUES, PairTiles, Strides
from convprof.dtypes import WORD
from convprof.integers import ceil_div, even_parts, round_up
from convprof.strategies.attention.placement import Placement
from convprof.strategies.memory import PAGE_BYTES
from convprof.strategies.plan import Buffer, Native, Stage, Y

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Kernel
    from convprof.problems import Attention
    from convprof.strategies.base import Setting

SPACE, CLAIMS = "blocks", "claims"
SOFTMAX_ACROSS = 4
"""Vectors of queries per step of a softmax: their maxima and sums stay in registers."""


@dataclass(frozen=True)
class AttentionBlocking:
    """How queries and keys are cut."""

    queries: int
    """Vectors of queries per block."""
    keys: int
    """Keys per block."""
    across: int
    """Vectors of queries in a register tile of scores, at most."""
    wide: int
    """Vectors of dimensions in a register tile of results, at most."""


class Blocks:
    """The lists of tiles of one problem."""

    def __init__(
        self,
        p: Attention,
        setting: Setting,
        blocking: AttentionBlocking,
        placement: Placement | None = None,
    ) -> None:
        """Without a ``placement``, the operands have the order that the problem defines."""
        self.p = p
        self.placement = placement or Placement.apart(p)
        self.query_row, self.key_row, self.result_row = (
            walk.step
            for walk in (self.placement.queries, self.placement.keys, self.placement.results)
        )
        self.blocking = blocking
        self.types = setting.types
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.width = blocking.queries * self.lanes
        self.blocks = ceil_div(p.tokens, blocking.keys)
        self.between = max(0, self.blocks - 2)  # the first and the last are in other lists
        self.wide = p.tokens // self.width
        self.packed = 3 * self.width  # after the numbers of each query
        self.scores = self.packed + p.dim * self.width
        keys = min(blocking.keys, p.tokens)
        self.slot = self._pages(self.scores + keys * self.width)
        self.tiles = PairTiles()
        self.common: dict[str, Any] = {
            "types": self.types,
            "lanes": self.lanes,
            "fused": self.isa.fused,
        }

    def stage(self, slots: int) -> Stage:
        """Return the stage; a task is a block of queries of one head."""
        p = self.p
        rest = p.tokens - self.wide * self.width
        self._block(self.width, self.blocking.queries)
        self._block(rest, ceil_div(rest, self.lanes))
        blocks = self.wide + (rest > 0)
        places = self.placement
        strides = Strides(
            blocks=blocks,
            wide=self.wide,
            steps=self.between,
            items=p.heads,
            rows=places.queries.by(self.width),
            columns=places.keys.by(self.blocking.keys),
            results=places.results.by(self.width),
            values=places.values,
            slots=slots,
            slot=self.slot,
        )
        table = self.tiles.table(strides, self.types)
        native = Native(pairs.runner_address(), self.tiles)
        tasks = p.items * blocks
        buffers = (*places.buffers, Y, SPACE, CLAIMS)
        return Stage("attention", native, tasks, buffers, table)

    def workspaces(self, slots: int) -> dict[str, Buffer]:
        """Return a block of scores and sums for each slot, and the table of claimed tasks."""
        return {
            SPACE: Buffer((slots, self.slot), self.types.accumulator),
            CLAIMS: Buffer((slots, pairs.CLAIM_BYTES // WORD.bytes), WORD),
        }

    def _pages(self, elements: int) -> int:
        page = PAGE_BYTES // self.types.accumulator.bytes
        return round_up(elements, page)

    def _block(self, queries: int, vectors: int) -> None:
        """Write the four lists of a block of queries; they are empty without queries."""
        for write in (self._begin, self._step, self._last, self._end):
            self.tiles.task()
            if queries:
                write(queries, vectors)

    def _begin(self, queries: int, vectors: int) -> None:
        """Transpose the queries, scaled so that powers of two are exponentials; the first keys."""
        pack = PackQueries(
            queries=queries,
            width=vectors * self.lanes,
            dim=self.p.dim,
            row=self.query_row,
            scale=math.log2(math.e) / math.sqrt(self.p.dim),
            **self.common,
        )
        self._place(pack, (ROWS, 0), (ROWS, 0), (SCRATCH, self.packed))
        self._pair(queries, vectors, min(self.blocking.keys, self.p.tokens), first=True)

    def _step(self, queries: int, vectors: int) -> None:
        if self.between:
            self._pair(queries, vectors, self.blocking.keys)

    def _last(self, queries: int, vectors: int) -> None:
        if self.blocks > 1:
            self._pair(queries, vectors, self.p.tokens - (self.blocks - 1) * self.blocking.keys)

    def _pair(self, queries: int, vectors: int, keys: int, *, first: bool = False) -> None:
        """Scores, their powers, and the sums of values."""
        self._score_tiles(vectors, keys)
        width = vectors * self.lanes
        for across in even_parts(vectors, SOFTMAX_ACROSS):
            at = across.start * self.lanes
            softmax = Softmax(
                keys=keys, vectors=len(across), width=width, first=first, **self.common
            )
            self._place(softmax, (SCRATCH, self.scores + at), (SCRATCH, at), (ROWS, 0))
        if not first:
            self._scale(queries, width)
        self._value_tiles(queries, width, keys, accumulate=not first)

    def _end(self, queries: int, vectors: int) -> None:
        self._scale(queries, vectors * self.lanes, finish=True)

    def _scale(self, queries: int, width: int, *, finish: bool = False) -> None:
        scale = ScaleRows(
            rows=queries,
            width=width,
            dim=self.p.dim,
            row=self.result_row,
            finish=finish,
            **self.common,
        )
        self._place(scale, (ROWS, 0), (SCRATCH, 0), (RESULTS, 0))

    def _score_tiles(self, vectors: int, keys: int) -> None:
        """Scores ``(keys, queries)`` from keys in place and transposed queries."""
        dim, width = self.p.dim, vectors * self.lanes
        parts = even_parts(vectors, self.blocking.across)
        tall = register_rows(max(map(len, parts)), self.isa)
        for rows in even_parts(keys, tall):
            for across in parts:
                tile = Tile(
                    rows=tuple(i * self.key_row for i in range(len(rows))),
                    segments=((0, 0),),
                    run=dim,
                    vectors=len(across),
                    b_row=width,
                    c_rows=tuple(i * width for i in range(len(rows))),
                    columns=len(across) * self.lanes,
                    **self.common,
                )
                at = across.start * self.lanes
                self._place(
                    tile,
                    (KEYS, self.placement.first_key + rows.start * self.key_row),
                    (SCRATCH, self.packed + at),
                    (SCRATCH, self.scores + rows.start * width + at),
                )

    def _value_tiles(self, queries: int, width: int, keys: int, *, accumulate: bool) -> None:
        """Results ``(queries, dim)`` from the transposed powers and the values, both in place."""
        dim = self.p.dim
        parts = even_parts(ceil_div(dim, self.lanes), self.blocking.wide)
        tall = register_rows(max(map(len, parts)), self.isa)
        for across in parts:
            at = across.start * self.lanes
            for rows in even_parts(queries, tall):
                tile = Tile(
                    rows=tuple(range(len(rows))),
                    a_step=width,
                    segments=((0, 0),),
                    run=keys,
                    vectors=len(across),
                    b_row=self.key_row,
                    c_rows=tuple(i * self.result_row for i in range(len(rows))),
                    columns=min(len(across) * self.lanes, dim - at),
                    padded=False,
                    accumulate=accumulate,
                    **self.common,
                )
                self._place(
                    tile,
                    (SCRATCH, self.scores + rows.start),
                    (VALUES, at),
                    (RESULTS, rows.start * self.result_row + at),
                )

    def _place(self, tile: Kernel, *places: tuple[int, int]) -> None:
        self.tiles.place(kernel(tile, self.isa), *places)
