"""Sums and extremes over axes, and norms of rows; sums are means times the number of elements.

A mean is rounded, so that a sum of whole numbers would not be whole.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.pooling import largest, mean, reduced
from convprof.networks.onnx.type_names import WHOLE_TYPES
from convprof.problems.ops import Multiply, Power

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value


def _sum(net: Importer, node: FileNode) -> Value:
    return _total(net, node, net.activation(node))


def _total(net: Importer, node: FileNode, x: Value) -> Value:
    if net.types.of(node.input(0)) in WHOLE_TYPES:
        raise node.unsupported("a sum of whole numbers is not supported")
    average = mean(net, node, x)
    count = math.prod(x.shape) // math.prod(average.shape)
    return replace(average, factor=average.factor * count, origin=node)


def _sum_of_squares(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    return _total(net, node, net.emit(node, Multiply(), x, x, part="squares"))


def _length(net: Importer, node: FileNode) -> Value:
    """Return the Euclidean norm."""
    return net.emit(node, Power(0.5), _sum_of_squares(net, node))


def _largest(net: Importer, node: FileNode) -> Value:
    return reduced(net, node, net.activation(node), largest)


def _smallest(net: Importer, node: FileNode) -> Value:
    """Return the largest of the negative elements, negative again."""
    x = net.activation(node)
    y = reduced(net, node, replace(x, factor=-x.factor, origin=node), largest)
    return replace(y, factor=-y.factor, origin=node)


CONVERTERS = {
    "ReduceL2": _length,
    "ReduceMax": _largest,
    "ReduceMin": _smallest,
    "ReduceSum": _sum,
    "ReduceSumSquare": _sum_of_squares,
}
