"""Weights of 8 and 4 bits in models of OpenVINO: compressed weights, as NNCF writes them.

The weights are constants of their own bits; a conversion, a subtraction and a factor follow, which
the compiler makes a part of the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.strategies.peers.unsigned_weights import BYTE, Unsigned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems.grouped_weights import GroupedWeights

    Array = np.ndarray[Any, Any]
    Node = Any


def why_not(of: GroupedWeights, k: int) -> str | None:
    """Return what the model takes instead of the groups; None if it takes them."""
    return None if k % of.group == 0 else f"whole groups, not {k} rows in groups of {of.group}"


def stored_type(of: GroupedWeights) -> str:
    """Return OpenVINO's name of the type of the weights."""
    return "u8" if of.bits == BYTE else "u4"


def matrix(
    library: Any, operations: Any, of: GroupedWeights, stored: Sequence[Array], k: int
) -> Node:
    """Return the weights ``(n, k)`` in f32, as a compiler recognises them.

    ``stored``: the problem's operands after the activations.
    """
    weights = Unsigned.of(of, stored, k)
    groups, columns = weights.scales.shape
    element = getattr(library.Type, stored_type(of))

    def constant(numbers: Array, shape: tuple[int, ...]) -> Node:
        packed = np.ascontiguousarray(weights.packed(numbers.reshape(1, -1)))
        tensor = library.Tensor(packed, library.Shape(shape), element)
        return operations.convert(library.op.Constant(tensor, shared_memory=False), "f32")

    whole = constant(np.ascontiguousarray(weights.whole.T), (columns, groups, of.group))
    zeros = constant(np.ascontiguousarray(weights.zeros.T), (columns, groups, 1))
    factors = np.ascontiguousarray(weights.scales.T)[..., None]
    scaled = operations.multiply(operations.subtract(whole, zeros), operations.constant(factors))
    return operations.reshape(scaled, operations.constant(np.array([columns, k])), False)
