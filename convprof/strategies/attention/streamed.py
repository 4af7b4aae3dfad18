"""Few queries against many keys: keys and values pass once, as in token-by-token decoding.

Removes the limit of empty lanes. ``fused`` has a query in each lane of its scores; a decoder has
one query for each head, or a few that share a head of keys. Here vectors are along the elements of
a head, and the limit is the memory that keys and values come from. The scores of few queries are
small next to the keys, so that they are stored, and a softmax takes them row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.attention_rows import KEYS_TOGETHER, RowDots, WeightedRows
from convprof.codegen.kernels.normalisation import SoftmaxRows
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import COMMON, SHORT_FLOATS, of_one
from convprof.integers import ceil_div, even_parts
from convprof.problems import Attention
from convprof.problems.attention import NO_MASK
from convprof.strategies.attention.folding import folded
from convprof.strategies.attention.placement import Placement
from convprof.strategies.plan import Buffer, Native, Plan, Stage
from convprof.strategies.tuning.tunable import Tunable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from convprof.codegen.isa import Isa
    from convprof.strategies.base import Setting

SCORES = "scores"
MOST_QUERIES = 8
"""Queries that share keys, at most: with 16, ``fused`` takes fewer multiply-adds."""
MOST_DIM = 512
"""Elements of a head, at most: the code of a kernel grows with them."""
FOLDING = 4
"""Instructions per score that fold the lanes of a sum."""
EFFICIENCY = 0.8
"""Reached share of two multiply-adds a cycle, with keys in cache."""
SPARE, SPARE_OF_SCORES = 6, 14
"""Registers for what is not a sum, so that none is spilled: keys and queries are loaded ahead."""


@dataclass(frozen=True)
class StreamedBlocking:
    """How keys are cut."""

    keys: int
    """Keys of a task of the scores."""


class Streamed(Tunable[Attention, StreamedBlocking]):
    """Attention of few queries."""

    name = "streamed"
    kind = "attention"
    summary = "few queries: keys and values pass once, vectors along the elements of a head"
    parallel = True
    generated = True
    dtypes = (*COMMON, *SHORT_FLOATS)

    def why_not(self, problem: Attention, setting: Setting) -> str | None:
        """Refuse many queries, long heads, and masks."""
        reason = super().why_not(problem, setting)
        if reason is not None:
            return reason
        p = folded(problem)
        if p.mask != NO_MASK:
            return f"{self.name} computes attention without a mask, not {p.mask}"
        if p.tokens > MOST_QUERIES:
            few = f"up to {MOST_QUERIES} queries of a head of keys"
            return f"{self.name} is for {few}, not {p.tokens}"
        if p.dim > MOST_DIM:
            return f"{self.name} has up to {MOST_DIM} elements in a head, not {p.dim}"
        return None

    def blockings(self, problem: Attention, setting: Setting) -> list[StreamedBlocking]:
        """Return blockings to try, the usual one first."""
        del problem, setting
        return [StreamedBlocking(64), StreamedBlocking(256)]

    def cycles(self, problem: Attention, setting: Setting) -> float:
        """Estimate both products, and the conversions of short keys and values."""
        p, lanes = folded(problem), isas.find(setting.isa).lanes(setting.types.accumulator.bytes)
        vectors = ceil_div(p.dim, lanes)
        widened = setting.types.source != setting.types.accumulator
        per_key = p.tokens * (2 * vectors + FOLDING) + 4 * vectors * widened
        return p.items * p.keys * per_key / 2 / EFFICIENCY

    def plan_blocked(self, p: Attention, setting: Setting, blocking: StreamedBlocking) -> Plan:
        """Return three stages: scores, softmax, values."""
        p = folded(p)
        total = setting.types.accumulator
        plan = Plan(workspaces={SCORES: Buffer((p.items, p.tokens, p.keys), total)})
        plan.lendable_workspaces = frozenset({SCORES})
        streams = _Streams(p, setting)
        plan.steps = [streams.scores(blocking.keys), streams.softmax(), streams.values()]
        return plan


class _Streams:
    """The stages of one problem."""

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
                    dots = RowDots(
                        types=self.setting.types,
                        keys=len(part),
                        queries=len(rows),
                        dim=p.dim,
                        a_row=places.keys.walk.step,
                        b_row=places.queries.walk.step,
                        c_row=p.keys,
                        scale=p.dim**-0.5,
                        **self.common,
                    )
                    tiles.add(
                        kernel(dots, self.isa),
                        places.keys.at(image, head, part.start),
                        places.queries.at(image, head, rows.start),
                        (item * p.tokens + rows.start) * p.keys + part.start,
                    )
        return self._stage("scores", tiles, (places.keys.buffer, places.queries.buffer, SCORES))

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
                sums = WeightedRows(
                    types=self.setting.types,
                    keys=p.keys,
                    queries=p.tokens,
                    columns=min(len(part) * self.lanes, p.dim - first),
                    a_row=places.values.walk.step,
                    b_row=p.keys,
                    c_row=places.results.walk.step,
                    **self.common,
                )
                tiles.task()
                tiles.add(
                    kernel(sums, self.isa),
                    places.values.at(image, head, 0) + first,
                    item * p.tokens * p.keys,
                    places.results.at(image, head, 0) + first,
                )
        return self._stage("values", tiles, (places.values.buffer, SCORES, places.results.buffer))

    def _heads(self) -> Iterator[tuple[int, int, int]]:
        """Yield the number, the image and the head of every item."""
        for item in range(self.p.items):
            yield (item, *divmod(item, self.p.heads))

    def _stage(self, phase: str, tiles: TileList, buffers: tuple[str, ...]) -> Stage:
        native = Native(runner_address(len(buffers)), tiles)
        return Stage(phase, native, len(tiles.starts), buffers, tiles.dims())
