"""Gather: one index of an axis, neighbours, or all indices in another order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.converters.selecting import cut
from convprof.networks.onnx.folding import axis_in, numbers
from convprof.networks.onnx.node import Constant
from convprof.networks.onnx.value_types import WHOLE_TYPES
from convprof.networks.onnx.weights import WeightReader, elements, sources
from convprof.problems.ops import Embedding, SelectToken

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value

_TOKENS = 3
_MOST_INDICES = 1 << 24
"""Of the indices and of all tensors that they are computed of, together."""


def _gather(net: Importer, node: FileNode) -> Value:
    """Return one index of an axis, neighbours, or rows of a table."""
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
    if not positions or positions != list(range(positions[0], positions[-1] + 1)):
        raise node.unsupported("only one index, or neighbours in order, are supported")
    if not indices.shape and axis == 1 and len(x.shape) == _TOKENS:
        return net.emit(node, SelectToken(positions[0]), x)
    piece = cut(net, node, x, axis, start=positions[0], end=positions[-1] + 1)
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
    """Return an axis divided into axes in another order, as exports of as_strided have it.

    The indices are read and computed here, where no tensor that leads to them is in another file,
    and all of these tensors are small.
    """
    unsupported = node.unsupported("only one index, or neighbours in order, are supported")
    read = sources([indices])
    if indices.elements != x.shape[axis] or elements(read) > _MOST_INDICES:
        raise unsupported
    if any(each.is_outside for each in read):
        raise unsupported
    order_of_file = WeightReader().array(indices)
    steps = _steps(order_of_file)
    if steps is None:
        raise unsupported
    order = sorted(range(order_of_file.ndim), key=lambda each: -steps[each])
    inner = tuple(order_of_file.shape[each] for each in order)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    apart = reshaped(net, node, x, (*before, *inner, *after), "apart")
    rank, places = len(before), [order.index(each) for each in range(order_of_file.ndim)]
    axes = (*range(rank), *(rank + each for each in places),
            *range(rank + order_of_file.ndim, len(apart.shape)))  # fmt: skip
    return transposed(net, node, apart, axes, "order")


def _steps(indices: Any) -> list[int] | None:
    """Return the step of each axis of the indices if they are 0, 1, ... in some order of axes."""
    sizes, ends = indices.shape, [(0,) * indices.ndim] * indices.ndim
    corners = [tuple(int(at == axis) for at in range(len(sizes))) for axis in range(len(ends))]
    steps = [int(indices[corner]) if sizes[axis] > 1 else 0 for axis, corner in enumerate(corners)]
    grids = np.indices(sizes, sparse=True)  # one number per index of an axis
    same = np.array_equal(
        sum(step * grid for step, grid in zip(steps, grids, strict=True)), indices
    )
    return (
        steps if same and np.array_equal(np.sort(indices, None), np.arange(indices.size)) else None
    )


CONVERTERS = {"Gather": _gather}
