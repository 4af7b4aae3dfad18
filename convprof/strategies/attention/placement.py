"""Where the operands of attention are in memory: separate arrays, or one packed projection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.codegen.tile_pairs import Walk
from convprof.strategies.plan import WEIGHTS, X

if TYPE_CHECKING:
    from convprof.problems import Attention

KV = "keys_and_values"


@dataclass(frozen=True)
class Placement:
    """The places of queries, keys, values and results; walks over images, heads and tokens."""

    queries: Walk
    keys: Walk
    """The walk over the values is the same."""
    values: int
    """Elements from the start of the buffer of keys and values to the first value."""
    results: Walk
    first_key: int = 0
    """Elements from the start of the same buffer to the first key."""
    buffers: tuple[str, str] = X, WEIGHTS
    """The buffer of the queries, and the buffer of the keys and values."""

    @classmethod
    def apart(cls, p: Attention) -> Placement:
        """Return the placement of the problem's operands: head by head, values after all keys."""
        head = p.tokens * p.dim
        walk = Walk(p.heads * head, head, p.dim)
        return cls(walk, walk, p.items * head, walk)

    @classmethod
    def packed(cls, p: Attention) -> Placement:
        """Return the placement in one projection (n, t, 3w): w channels each of q, k and v.

        A head is a run of neighbouring channels in each part, and in the result (n, t, w).
        """
        walk, width = side_by_side(p, 3), p.heads * p.dim
        return cls(walk, walk, 2 * width, side_by_side(p, 1), width, (X, X))

    @classmethod
    def gathered(cls, p: Attention) -> Placement:
        """Return the placement of queries in a projection (n, t, 3w) and copied keys and values.

        A token has w channels each of query, key and value. A head is a run of neighbouring
        channels in each part, and in the result (n, t, w).
        """
        results = side_by_side(p, 1)
        return replace(cls.apart(p), queries=side_by_side(p, 3), results=results, buffers=(X, KV))


def side_by_side(p: Attention, parts: int) -> Walk:
    """Return the walk over a tensor (n, t, parts w), w the channels of all heads."""
    row = parts * p.heads * p.dim
    return Walk(p.tokens * row, p.dim, row)
