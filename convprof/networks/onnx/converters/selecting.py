"""Parts of an activation, and activations put together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div
from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.folding import axis_in
from convprof.networks.onnx.node import Constant, Recipe, Value
from convprof.problems.ops import ClassToken, Concat, Pad, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode

_TOKENS = 3
_MOST_PARTS = 16
"""Of an axis that are joined in another order."""
_SLICE_BY_INPUTS = 10
_SPLIT_BY_INPUT = 13


def concat(net: Importer, node: FileNode) -> Value:
    """Return activations, and at the begin a class token, one after the other along an axis."""
    values = [net.values[node.input(index)] for index in range(max(1, len(node.inputs)))]
    rank = len(values[0].shape)
    axis = axis_in(node, node.integer("axis", 1), rank)
    activations = [value for value in values if isinstance(value, Value)]
    if len(activations) == len(values):
        return net.emit(node, Concat(axis), *activations)
    first, last = values[0], values[-1]
    if len(values) == 2 and isinstance(first, Constant) and isinstance(last, Value):  # noqa: PLR2004
        n, _, c = last.shape if len(last.shape) == _TOKENS else (0, 0, 0)
        if axis == 1 and first.shape in ((1, 1, c), (n, 1, c)) and n in (1, first.shape[0]):
            return net.emit(node, ClassToken(), last, weights=[_one_token(node, first)])
    if any(isinstance(value, Constant) and value.is_learned for value in values):
        raise node.unsupported("of weights, only one class token before (n, t, c) can be joined")
    whole = [net.computed(node, index) for index in range(len(values))]
    return net.emit(node, Concat(axis), *whole)


def _one_token(node: FileNode, tokens: Constant) -> Constant:
    """Return the class token of which a constant (n, 1, c) has n equal copies."""
    if tokens.elements == tokens.shape[-1]:
        return tokens

    def first(copies: Any) -> Any:
        if not np.array_equal(copies, np.broadcast_to(copies[:1], copies.shape)):
            raise node.refused("the class tokens of the images differ")
        return copies[0, 0]

    return Constant(tokens.shape[-1:], stored=tokens.stored, recipe=Recipe(first, (tokens,)))


def _slice(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    starts, ends, axes, steps = _bounds(net, node)
    axes = axes or tuple(range(len(starts)))
    steps = steps or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise node.refused("starts, ends, axes and steps must be equally many")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = axis_in(node, axis, len(x.shape))
        if step == 1:
            x = cut(net, node, x, at, start=start, end=end)
        else:
            x = _every(net, node, x, at, slice(start, end, step))
    return x


def _every(net: Importer, node: FileNode, x: Value, axis: int, part: slice) -> Value:
    """Return every element of an axis that is ``step`` from the last.

    The axis is divided into pieces of ``step`` elements, and one element of each is taken.
    """
    size, step = x.shape[axis], part.step
    if step == 0:
        raise node.refused("a step of 0")
    indices = range(*part.indices(size))
    if step < 0 or len(indices) <= 1:
        return picked(net, node, x, axis, indices)
    start, count = indices[0], len(indices)
    if start < step and count * step == size:
        first = start
    else:
        x, first = cut(net, node, x, axis, start=start, end=start + count * step), 0
        missing = count * step - x.shape[axis]
        if missing:
            nothing = (0,) * len(x.shape)
            after = (*nothing[:axis], missing, *nothing[axis + 1 :])
            x = net.emit(node, Pad(nothing, after), x, part="even")
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    apart = reshaped(net, node, x, (*before, count, step, *after), "apart")
    column = net.emit(node, Slice(axis + 1, first, first + 1), apart)
    return reshaped(net, node, column, (*before, count, *after), "joined")


def picked(net: Importer, node: FileNode, x: Value, axis: int, indices: Sequence[int]) -> Value:
    """Return elements of an axis in any order: neighbours are a part, and parts are joined.

    UnsupportedNodeError for more than ``_MOST_PARTS`` parts.
    """
    every = (at for at, index in enumerate(indices) if not at or index != indices[at - 1] + 1)
    starts = list(itertools.islice(every, _MOST_PARTS + 1))  # there may be as many as elements
    if not 1 <= len(starts) <= _MOST_PARTS:
        count = f"more than {_MOST_PARTS}" if starts else "no"
        raise node.unsupported(f"{count} parts of an axis; 1 to {_MOST_PARTS} are joined")
    ends = [*starts[1:], len(indices)]
    parts = [
        cut(net, node, x, axis, start=indices[first], end=indices[last - 1] + 1)
        for first, last in zip(starts, ends, strict=True)
    ]
    return parts[0] if len(parts) == 1 else net.emit(node, Concat(axis), *parts)


def _bounds(net: Importer, node: FileNode) -> tuple[tuple[int, ...], ...]:
    """Return starts, ends, axes and steps, of which the last two may be left out: ()."""
    keys = ("starts", "ends", "axes", "steps")
    if net.opset < _SLICE_BY_INPUTS:
        bounds = [node.integers(key, () if place > 1 else None) for place, key in enumerate(keys)]
        return tuple(bounds)
    return tuple(
        net.integers(node, place, key) if place <= 2 or node.has(place) else ()  # noqa: PLR2004
        for place, key in enumerate(keys, 1)
    )


def cut(net: Importer, node: FileNode, x: Value, axis: int, *, start: int, end: int) -> Value:
    """Return part of an axis; bounds count from the end if negative, and stop at the ends."""
    begin, stop, _ = slice(start, end).indices(x.shape[axis])
    if (begin, stop) == (0, x.shape[axis]):
        return x
    return net.emit(node, Slice(axis, begin, stop), x)


def _split(net: Importer, node: FileNode) -> list[Value]:
    x = net.activation(node)
    axis = axis_in(node, node.integer("axis", 0), len(x.shape))
    total, pieces = x.shape[axis], len(node.outputs)
    if net.opset >= _SPLIT_BY_INPUT and node.has(1):
        sizes = net.integers(node, 1, "the sizes")
    else:
        most = ceil_div(total, pieces)
        sizes = node.integers("split", (*(most,) * (pieces - 1), total - most * (pieces - 1)))
    if len(sizes) != pieces or sum(sizes) != total or min(sizes) < 1:
        raise node.refused(f"{total} cannot be split into {pieces} pieces of {sizes}")
    values: list[Value] = []
    start = 0
    for name, size in zip(node.outputs, sizes, strict=True):
        piece = x
        if name and size != total:
            piece = net.emit(node, Slice(axis, start, start + size), x, part=str(len(values)))
        values.append(piece)
        start += size
    return values


CONVERTERS: dict[str, Callable[[Importer, FileNode], Value | list[Value]]] = {
    "Concat": concat,
    "Slice": _slice,
    "Split": _split,
}
