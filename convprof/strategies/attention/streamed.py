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
from convprof.dtypes import ATTENTION_BYTES, COMMON, SHORT_FLOATS
from convprof.integers import ceil_div
from convprof.problems import Attention
from convprof.problems.attention import NO_MASK
from convprof.strategies.attention.byte_streams import ByteStreams
from convprof.strategies.attention.folding import folded
from convprof.strategies.attention.streams import SCORES, Streams
from convprof.strategies.plan import Buffer, Plan
from convprof.strategies.tuning.tunable import Tunable

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

MOST_QUERIES = 8
"""Queries that share keys, at most: with 16, ``fused`` takes fewer multiply-adds."""
MOST_DIM = 512
"""Elements of a head, at most: the code of a kernel grows with them."""
FOLDING = 4
"""Instructions per score that fold the lanes of a sum."""
EFFICIENCY = 0.8
"""Reached share of two multiply-adds a cycle, with keys in cache."""


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
    dtypes = (*COMMON, *SHORT_FLOATS, *ATTENTION_BYTES)

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
        streams = ByteStreams(p, setting) if setting.types.requantises else Streams(p, setting)
        plan.workspaces |= streams.workspaces()
        plan.lendable_workspaces = frozenset(plan.workspaces)
        plan.packed = streams.constants()
        plan.steps = [streams.scores(blocking.keys), streams.softmax(), streams.values()]
        return plan
