"""Where the operands of attention are in memory: separate arrays, or one packed projection."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convprof.codegen.tile_pairs import Walk
from convprof.strategies.plan import WEIGHTS, X, Y

if TYPE_CHECKING:
    from convprof.problems import Attention
    from convprof.problems.shapes import Shape

KV, MASK = "keys_and_values", "mask"


@dataclass(frozen=True)
class Place:
    """Where an operand or the result is: a walk over images, heads and tokens."""

    buffer: str
    walk: Walk
    start: int = 0
    """Elements from the start of the buffer to the first one."""

    def at(self, image: int, head: int, token: int) -> int:
        """Return the elements from the start of the buffer to a token's first one."""
        return self.start + image * self.walk.group + head * self.walk.item + token * self.walk.step


@dataclass(frozen=True)
class Placement:
    """The places of queries, keys, values, results and a mask."""

    queries: Place
    keys: Place
    values: Place
    results: Place
    mask: Place | None = None
    """Elements of a row are neighbours; a step of 0 repeats."""

    @classmethod
    def apart(cls, p: Attention) -> Placement:
        """Return the placement of the problem's operands: head by head, values after all keys."""
        own, other = p.tokens * p.dim, p.keys * p.dim
        rows = Walk(p.heads * own, own, p.dim)
        shared = Walk(p.key_heads * other, other, p.dim)
        return cls(
            Place(X, rows),
            Place(WEIGHTS, shared),
            Place(WEIGHTS, shared, math.prod(p.stacked[1:])),
            Place(Y, rows),
            None if p.mask_shape is None else masked(p.mask_shape, MASK),
        )

    @classmethod
    def packed(cls, p: Attention) -> Placement:
        """Return the placement in one projection (n, t, 3w): w channels each of q, k and v.

        A head is a run of neighbouring channels in each part, and in the result (n, t, w).
        """
        walk, width = side_by_side(p, 3), p.heads * p.dim
        queries, keys, values = (Place(X, walk, part * width) for part in range(3))
        return cls(queries, keys, values, Place(Y, side_by_side(p, 1)))

    def gathered(self, p: Attention) -> Placement:
        """Return the placement with keys and values that were copied next to each other."""
        copied = Placement.apart(p)
        keys, values = (replace(each, buffer=KV) for each in (copied.keys, copied.values))
        return replace(self, keys=keys, values=values)


def side_by_side(p: Attention, parts: int) -> Walk:
    """Return the walk over a tensor (n, t, parts w), w the channels of all heads."""
    row = parts * p.heads * p.dim
    return Walk(p.tokens * row, p.dim, row)


def broadcast_strides(shape: Shape) -> tuple[int, ...]:
    """Return the strides of a dense tensor; 0 along axes of one element, which are repeated."""
    strides = (math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return tuple(0 if size == 1 else step for size, step in zip(shape, strides, strict=True))


def masked(shape: Shape, buffer: str) -> Place:
    """Return the place of a mask (images, heads, tokens, keys), of which some sizes may be 1."""
    *walk, _ = broadcast_strides(shape)
    return Place(buffer, Walk(*walk))
