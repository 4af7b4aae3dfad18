"""Attention whose queries, keys and values are thirds of one projection (n, t, 3w).

Exporters write it as reshapes, transpositions and slices around two products and a softmax. Where
these compute just attention, operations on the packed projection take their place: they are
easier to read, and rearrange less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.problems.ops import (
    AttentionMix,
    AttentionScores,
    Flatten,
    MatMul,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape


_HEADS_AXES = 4  # (n, heads, t, depth)
_PARTS = 3
_LONGEST = 32
"""Moves between the projection and a product; exporters write up to ten."""
_MOVES = {op.kind for op in (Reshape, Flatten, Transpose, Slice)}
_BETWEEN = (0, 2, 1, 3)  # (n, heads, t, depth) and (n, t, heads, depth)
_TURNED = (1, 0, 2)
_TOLERANCE = 1e-3  # of the factor 1 / sqrt(depth), which a file may hold in half precision


def packed_attention(net: Importer, node: FileNode, weights: Value, values: Value) -> Value | None:
    """Return the mix (n, heads, t, depth) of weights and values if all is as described; or None.

    ``node`` is the second product. The first one becomes the scores of the packed projection.
    """
    scores = _scores(net, weights)
    if scores is None or len(values.shape) != _HEADS_AXES or values.factor != 1:
        return None
    product = net.nodes[scores.name]
    queries, keys = (net.value(name) for name in product.inputs)
    n, heads, t, depth = values.shape
    packed = (n, t, _PARTS * heads * depth)
    bases = {
        _base(net, each, values.shape, part) for part, each in enumerate((queries, keys, values))
    }
    base = bases.pop()
    if base is None or bases or not _is_scaled(product.op, depth):
        return None
    if base.shape == packed:
        op = AttentionScores(heads)
        net.nodes[scores.name] = replace(product, op=op, inputs=(base.name,))
    else:
        base = _batch_first(net, node, base, packed)
        scores = net.emit(node, AttentionScores(heads), base, part="qk")
        weights = net.emit(node, Softmax(), scores, part="softmax")
    mixed = net.emit(node, AttentionMix(heads), weights, base)
    apart = reshaped(net, node, mixed, (n, t, heads, depth), "heads")
    return transposed(net, node, apart, _BETWEEN, "order")


def _batch_first(net: Importer, node: FileNode, base: Value, packed: Shape) -> Value:
    """Return (n, t, 3w) of a projection in that order, or with its tokens first."""
    n, t, channels = packed
    if n > 1 and base.shape == (t, n, channels):
        return transposed(net, node, base, _TURNED, "packed")
    return reshaped(net, node, base, packed, "packed")


def _scores(net: Importer, weights: Value) -> Value | None:
    """Return the product before a softmax, of queries and keys."""
    if net.op(weights) != Softmax():
        return None
    scores = net.source_of(weights)
    match net.op(scores):
        case MatMul(transpose_b=True):
            return scores
    return None


def _is_scaled(op: Op, depth: int) -> bool:
    match op:
        case MatMul(scale=scale):
            return math.isclose(scale, depth**-0.5, rel_tol=_TOLERANCE)
    return False


def _base(net: Importer, value: Value, shape: Shape, part: int) -> Value | None:
    """Return the projection of which a value is one third, head by head; None if it is not.

    ``shape`` is (n, heads, t, depth); ``part`` is 0 for queries, 1 for keys and 2 for values.
    """
    chain: list[tuple[Op, Shape]] = []
    while (op := net.op(value)) is not None and op.kind in _MOVES:
        if len(chain) == _LONGEST:
            return None
        chain.append((op, value.shape))
        value = net.source_of(value)
    n, heads, t, depth = shape
    channels = _PARTS * heads * depth
    view: Strided | None = Strided.whole(value.shape)
    for op, result in reversed(chain):
        if view is None:
            return None
        match op:
            case Transpose(axes):
                view = view.transposed(axes)
            case Slice(axis, start, stop):
                view = view.sliced(axis, start, stop)
            case _:
                view = view.reshaped(result)
    image, token = t * channels, channels
    if value.shape == (t, n, channels):
        image, token = channels, n * channels
    thirds = Strided.of(shape, (image, depth, token, 1), part * heads * depth)
    fits = math.prod(value.shape) == n * t * channels
    return value if fits and view is not None and view.same(thirds) else None


# The positions of a rearranged tensor's elements in the original tensor.
#
# Steps and offsets are in elements of the original, which is in the order of its shape.

Run: TypeAlias = tuple[int, int]
"""The number of elements, and the step between them."""


@dataclass(frozen=True, slots=True)
class Strided:
    """Every axis is a nest of runs, the outermost first; an axis of size 1 has none.

    Two axes in one need not have an even step: images and heads as one axis are two runs.
    """

    axes: tuple[tuple[Run, ...], ...]
    offset: int = 0

    @classmethod
    def of(cls, shape: Shape, steps: tuple[int, ...], offset: int = 0) -> Strided:
        """Return a tensor each of whose axes is one run."""
        axes = (
            ((size, step),) if size > 1 else () for size, step in zip(shape, steps, strict=True)
        )
        return cls(tuple(axes), offset)

    @classmethod
    def whole(cls, shape: Shape) -> Strided:
        """Return a tensor in the order of its shape."""
        return cls.of(shape, tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape))))

    def transposed(self, axes: tuple[int, ...]) -> Strided:
        """Return the axes in another order."""
        return Strided(tuple(self.axes[axis] for axis in axes), self.offset)

    def sliced(self, axis: int, start: int, stop: int) -> Strided | None:
        """Return part of an axis; None where that axis is more than one run."""
        runs = self.axes[axis]
        if len(runs) > 1:
            return None
        step = runs[0][1] if runs else 0
        part = ((stop - start, step),) if stop - start > 1 else ()
        axes = (*self.axes[:axis], part, *self.axes[axis + 1 :])
        return Strided(axes, self.offset + start * step)

    def reshaped(self, shape: Shape) -> Strided | None:
        """Return the same elements in another shape; None where a run would have to break."""
        left = _merged([run for axis in self.axes for run in axis])
        axes: list[tuple[Run, ...]] = []
        for size in reversed(shape):
            taken: list[Run] = []
            missing = size
            while missing > 1:
                if not left:
                    return None
                count, step = left.pop()
                used = math.gcd(count, missing)
                if used < min(count, missing):
                    return None
                if used < count:
                    left.append((count // used, step * used))
                taken.insert(0, (used, step))
                missing //= used
            axes.insert(0, tuple(taken))
        return Strided(tuple(axes), self.offset)

    def same(self, other: Strided) -> bool:
        """Whether every element is the same one of the original."""
        mine, theirs = ([_merged(list(axis)) for axis in each.axes] for each in (self, other))
        return (mine, self.offset) == (theirs, other.offset)


def _merged(runs: list[Run]) -> list[Run]:
    """Return the runs, with adjacent ones joined."""
    merged: list[Run] = []
    for count, step in runs:
        if merged and merged[-1][1] == count * step:
            merged[-1] = (merged[-1][0] * count, step)
        else:
            merged.append((count, step))
    return merged
