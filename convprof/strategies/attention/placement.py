"""Where the operands of attention are: each on its own, or side by side in one projection."""

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
    """Values are placed as keys are."""
    values: int
    """Elements from the start of the buffer with the keys to the first value."""
    results: Walk
    first_key: int = 0
    """Elements from the start of that buffer to the first key."""
    buffers: tuple[str, str] = X, WEIGHTS
    """The one that begins with a query, and the one that begins with a key."""

    @classmethod
    def apart(cls, p: Attention) -> Placement:
        """Return that of the problem's operands: every head on its own, values after all keys."""
        head = p.tokens * p.dim
        walk = Walk(p.heads * head, head, p.dim)
        return cls(walk, walk, p.items * head, walk)

    @classmethod
    def packed(cls, p: Attention) -> Placement:
        """Return that of queries, keys and values in one tensor (n, t, 3w), of each token w each.

        A head has neighbouring channels of each, of w in all, and of the result (n, t, w).
        """
        walk, width = side_by_side(p, 3), p.heads * p.dim
        return cls(walk, walk, 2 * width, side_by_side(p, 1), width, (X, X))

    @classmethod
    def gathered(cls, p: Attention) -> Placement:
        """Return that of queries in one tensor (n, t, 3w), keys and values copied out of it.

        The tensor has of each token query, key and value, w each. A head has neighbouring channels
        of each, of w in all, and of the result (n, t, w).
        """
        results = side_by_side(p, 1)
        return replace(cls.apart(p), queries=side_by_side(p, 3), results=results, buffers=(X, KV))


def side_by_side(p: Attention, parts: int) -> Walk:
    """Return the walk over a tensor (n, t, parts w), w the channels of all heads."""
    row = parts * p.heads * p.dim
    return Walk(p.tokens * row, p.dim, row)
