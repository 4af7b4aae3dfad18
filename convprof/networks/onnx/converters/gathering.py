"""Gather: one index of an axis, neighbours, or all indices in another order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.converters.selecting import picked
from convprof.networks.onnx.folding import axis_in, numbers
from convprof.networks.onnx.node import Constant, Recipe, Value
from convprof.networks.onnx.type_names import WHOLE_TYPES
from convprof.networks.onnx.weights import numbers_within
from convprof.problems.ops import ChosenRow, Concat, Embedding, Expand, Known, SelectToken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode

_TOKENS = 3
_UNSUPPORTED = "only one index, or neighbours in order, are supported"


def _gather(net: Importer, node: FileNode) -> Value:
    """Return one index of an axis, some in any order, or rows of a table."""
    table = net.values[node.input(0)]
    if isinstance(table, Constant):
        return _rows(net, node, table, net.activation(node, 1))
    x = net.activation(node)
    axis = axis_in(node, node.integer("axis", 0), len(x.shape))
    indices = net.constant(node, 1)
    if len(indices.shape) > 1:
        return _permuted(net, node, x, axis, indices)
    numbers_of_file = numbers(node, indices, "the index")
    positions = [axis_in(node, index, x.shape[axis]) for index in numbers_of_file]
    if not indices.shape and axis == 1 and len(x.shape) == _TOKENS:
        return net.emit(node, SelectToken(positions[0]), x)
    piece = picked(net, node, x, axis, positions)
    rest = () if not indices.shape else (len(positions),)
    return reshaped(net, node, piece, (*x.shape[:axis], *rest, *x.shape[axis + 1 :]), "squeeze")


def _rows(net: Importer, node: FileNode, table: Constant, ids: Value) -> Value:
    """Return a row of a table for every number of an activation."""
    shape = table.shape
    if net.types.of(node.input(1)) not in WHOLE_TYPES:
        raise node.refused("the numbers of an embedding's rows must be whole numbers")
    if not shape or axis_in(node, node.integer("axis", 0), len(shape)) != 0:
        raise node.unsupported("only rows along the first axis of a table are looked up")
    width = math.prod(shape[1:])
    y = net.emit(node, Embedding(shape[0], width), ids, weights=[table])
    return reshaped(net, node, y, (*ids.shape, *shape[1:]), "rows")


def _permuted(net: Importer, node: FileNode, x: Value, axis: int, indices: Constant) -> Value:
    """Return an axis divided into axes in another order, as exports of as_strided have it."""
    numbers_of_file = numbers_within(indices) if indices.elements <= x.shape[axis] else None
    if numbers_of_file is None:
        raise node.unsupported(_UNSUPPORTED)
    return _placed(net, node, x, axis, numbers_of_file)


def _placed(net: Importer, node: FileNode, x: Value, axis: int, indices: Any) -> Value:
    """Return all elements of an axis, each at its places of the indices.

    UnsupportedNodeError if the indices are not 0, 1, ... in some order of their axes, repeated
    along the other axes.
    """
    steps = _steps(indices)
    moving = [] if steps is None else [each for each, step in enumerate(steps) if step]
    inner = [indices.shape[each] for each in moving]
    if steps is None or math.prod(inner) != x.shape[axis]:
        raise node.unsupported(_UNSUPPORTED)
    order = sorted(moving, key=lambda each: -steps[each])
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    sizes = [indices.shape[each] for each in order]
    apart = reshaped(net, node, x, (*before, *sizes, *after), "apart")
    rank = len(before)
    axes = (*range(rank), *(rank + order.index(each) for each in moving),
            *range(rank + len(moving), len(apart.shape)))  # fmt: skip
    ordered = transposed(net, node, apart, axes, "order")
    ones = (size if step else 1 for size, step in zip(indices.shape, steps, strict=True))
    once = reshaped(net, node, ordered, (*before, *ones, *after), "once")
    shape = (*before, *indices.shape, *after)
    return once if shape == once.shape else net.emit(node, Expand(shape), once, part="again")


def _steps(indices: Any) -> list[int] | None:
    """Return the step of each axis of the indices if they are 0, 1, ... in some order of axes.

    A step of 0: the indices are the same along the axis, or there is one.
    """
    sizes = indices.shape
    corners = [tuple(int(at == axis) for at in range(len(sizes))) for axis in range(len(sizes))]
    steps = [int(indices[corner]) if sizes[axis] > 1 else 0 for axis, corner in enumerate(corners)]
    grids = np.indices(sizes, sparse=True)  # one number per index of an axis
    whole = sum(step * grid for step, grid in zip(steps, grids, strict=True))
    if not np.array_equal(np.broadcast_to(whole, sizes), indices):
        return None
    covered = 1
    for axis in sorted(range(len(sizes)), key=lambda each: steps[each]):
        if steps[axis] and steps[axis] != covered:
            return None
        covered *= sizes[axis] if steps[axis] else 1
    return steps


def _by_positions(net: Importer, node: FileNode) -> Value:
    """GatherND by known positions: the elements of the first axes in another order, or repeated.

    By computed positions, one row of every item.
    """
    x = net.activation(node)
    if isinstance(net.values[node.input(1)], Value):
        return _row_of_each(net, node, x, net.activation(node, 1))
    positions = net.constant(node, 1)
    depth = positions.shape[-1] if positions.shape else 0
    if node.integer("batch_dims", 0) or not 1 <= depth <= len(x.shape):
        raise node.unsupported(_UNSUPPORTED)
    indexed, rest = x.shape[:depth], x.shape[depth:]
    numbers_of_file = numbers_within(positions)
    if numbers_of_file is None or numbers_of_file.size == 0:
        raise node.unsupported(_UNSUPPORTED)
    try:
        flat = np.ravel_multi_index(tuple(np.moveaxis(numbers_of_file, -1, 0)), indexed)
    except (TypeError, ValueError):  # real numbers, negative positions, or positions outside
        raise node.unsupported(_UNSUPPORTED) from None
    rows = reshaped(net, node, x, (math.prod(indexed), *rest), "flat")
    return _placed(net, node, rows, 0, np.asarray(flat))


def _row_of_each(net: Importer, node: FileNode, x: Value, positions: Value) -> Value:
    """Return the row of each item; its number is after the item's own number in the positions."""
    joined = net.nodes.get(positions.name)
    names = joined.inputs if joined is not None and joined.op == Concat(1) else ()
    images, numbers_of_each = x.shape[0], len(("item", "row"))
    if len(names) != numbers_of_each or positions.shape != (images, numbers_of_each):
        raise node.unsupported(_UNSUPPORTED)
    items, rows = map(net.value, names)
    known = net.weights[items.name].get("values") if net.op(items) == Known((images, 1)) else None
    numbers_of_items = None if known is None else numbers_within(known)
    in_order = numbers_of_items is not None and np.array_equal(
        numbers_of_items.ravel(), np.arange(images)
    )
    if not in_order or node.integer("batch_dims", 0) or len(x.shape) != _TOKENS:
        raise node.unsupported(_UNSUPPORTED)
    places = reshaped(net, node, rows, (images,), "places")
    return net.emit(node, ChosenRow(), x, places)


def _by_elements(net: Importer, node: FileNode) -> Sequence[Constant]:
    """GatherElements of a constant of one number, whatever the indices are."""
    table, indices = net.values[node.input(0)], net.activation(node, 1)
    numbers_of_file = table.values if isinstance(table, Constant) else None
    if numbers_of_file is None or len(np.unique(numbers_of_file)) != 1:
        raise node.unsupported("only elements of a constant of one number are supported")
    whole = np.broadcast_to(numbers_of_file.flat[0], indices.shape)
    stored = net.types.of(node.input(0))
    return [Constant(indices.shape, stored=stored, recipe=Recipe(lambda: whole))]


CONVERTERS: dict[str, Callable[[Importer, FileNode], Value | Sequence[Constant]]] = {
    "Gather": _gather,
    "GatherElements": _by_elements,
    "GatherND": _by_positions,
}
