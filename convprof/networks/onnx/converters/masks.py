"""Masks of scores: constants that are added, and choices between scores and a very low number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.networks.onnx.node import LOWEST, Constant, Recipe, Value
from convprof.networks.onnx.weights import numbers_within
from convprof.problems.ops import Terms
from convprof.problems.ops.per_element import causal_mask

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.shapes import Shape

LOW = -1e4
"""At most this is added to a score that shall not count; exporters of half precision use it."""
_MATRIX = 2


def is_mask(constant: Constant, scores: Shape) -> bool:
    """Whether a constant is 0 or very low everywhere, for every pair of tokens: a causal mask.

    It has the axes of the scores, or some of them; an axis may have the size 1.
    """
    shape = constant.shape
    if len(shape) < _MATRIX or shape[-1] != shape[-2] or constant.elements == 1:
        return False
    own = scores[-len(shape) :]
    if len(own) < len(shape) or any(a not in (1, b) for a, b in zip(shape, own, strict=True)):
        return False
    numbers = numbers_within(constant)
    if numbers is None:
        return False
    return bool(np.all((numbers == 0) | (numbers <= LOW))) and bool(np.any(numbers))


def masked(net: Importer, node: FileNode, x: Value, mask: Constant) -> Value:
    """Return the sum of scores and a mask."""
    shape = (1,) * (len(x.shape) - len(mask.shape)) + mask.shape
    terms = Terms(shape, learned=False, causal=_is_causal(mask, x.shape))
    return net.emit(node, terms, x, weights=[mask.lowered()])


def causal(net: Importer, node: FileNode, x: Value) -> Value:
    """Return the sum of scores and a causal mask, whose numbers are computed when they are read."""
    shape = (1,) * (len(x.shape) - _MATRIX) + x.shape[-_MATRIX:]
    mask = Constant(shape, stored="FLOAT", recipe=Recipe(lambda: causal_mask(shape)), is_fixed=True)
    terms = Terms(shape, learned=False, causal=True)
    return net.emit(node, terms, x, part="mask", weights=[mask])


def _is_causal(mask: Constant, scores: Shape) -> bool:
    """Whether a mask is 0 up to a query's own key and very low after it, for all heads."""
    numbers = numbers_within(mask)
    if numbers is None or mask.shape[-2:] != scores[-2:]:
        return False
    tokens, keys = mask.shape[-2:]
    after = causal_mask((tokens, keys)) < 0
    low, zero = numbers <= LOW, numbers == 0
    return tokens <= keys and bool(np.all(np.where(after, low, zero)))


def chosen(net: Importer, node: FileNode, x: Value, counts: Constant) -> Value:
    """Return the scores where a constant is true, and very low numbers elsewhere."""
    mask = counts.mapped(lambda true: np.where(true, 0.0, LOWEST).astype(np.float32))
    return masked(net, node, x, mask)
