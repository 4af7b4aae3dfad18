"""Attention of activations in bytes: which channels are queries, keys and values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.problems import attention_bytes
from convprof.problems.places import places_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import Types
    from convprof.problems.attention import Attention
    from convprof.problems.places import Strides
    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array, TensorSpec

    Part = tuple[int, Callable[[Array], Array]]
    """The number of an input, and the function that makes (n, heads, t, dim) of the input."""


@dataclass(frozen=True)
class ByteAttention:
    """Attention whose queries, keys and values are channels of activations in s8.

    These are the first inputs. A mask that is an operand comes next, in f32: ``(n, heads, t, s)``,
    of which any size may be 1.
    """

    problem: Attention
    scale: float
    """The factor of the products of queries and keys."""
    parts: tuple[Part, Part, Part]
    """Queries, keys, values."""
    arranged: Callable[[Array], Array]
    """Makes the op's result of (n, heads, t, dim)."""

    @property
    def own_inputs(self) -> int:
        """The number of activations in bytes."""
        return 1 + max(number for number, _ in self.parts)

    def operands(self, types: Types) -> tuple[TensorSpec, ...]:
        """Return the operands after the activations and the mask: the scales."""
        return attention_bytes.operands(self.problem.keys, types)

    def reference(self, types: Types, *operands: Array) -> Array:
        """Return the float64 reference of operands in bytes, and of their scales after them."""
        count = len(operands) - len(self.operands(types))
        queries, keys, values = (part(operands[number]) for number, part in self.parts)
        scales, *more = operands[count:]
        usual = np.array([self.scale * math.sqrt(self.problem.dim), 1, 1])
        ends = scales * usual, *more
        p, masks = self.problem, operands[self.own_inputs : count]
        if not masks:
            return self.arranged(p.reference_in(types, (queries, np.stack([keys, values]), *ends)))
        (mask,) = (np.broadcast_to(each, p.scores) for each in masks)  # heads may have their own
        one, y = replace(p, batch=1, heads=1, key_heads=1), np.empty(p.shape)
        for at in np.ndindex(p.batch, p.heads):
            shared = at[0], at[1] // p.sharing
            kv = np.stack([keys[shared], values[shared]])[:, None, None]
            own = queries[at][None, None], kv, mask[at][None, None]
            y[at] = one.reference_in(types, (*own, *ends))
        return self.arranged(y)

    def channels(self, inputs: tuple[Shape, ...]) -> list[tuple[int, Array]] | None:
        """Return the input of queries, keys and values, and their channels on its last axis.

        None where two of them have a channel in common, as a channel has one scale, and where one
        is not read in place (``places_of``).
        """
        found: list[tuple[int, Array]] = []
        for number, part in self.parts:
            places = places_of(part, inputs[number])
            if places is None:
                return None
            found.append((number, _channels(places, inputs[number][-1])))
        taken = [(number, channel) for number, own in found for channel in own.tolist()]
        return found if len(set(taken)) == len(taken) else None


def _channels(places: Strides, width: int) -> Array:
    """Return the channels of some elements of a tensor with ``width`` channels, in order."""
    found: Array = np.array([places.start % width])
    for size, step in zip(places.shape, places.strides, strict=True):
        count = 1  # elements of the axis that are included
        while count < size:
            more = min(count, size - count)
            found = np.unique(np.append(found, found + more * step) % width)
            count += more
    return found
