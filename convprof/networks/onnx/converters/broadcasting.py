"""Activations with constants, along one axis or many, and with each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.networks.onnx.converters.rearranging import on_last_axis, reshaped
from convprof.networks.onnx.node import MOST_NUMBERS, Constant
from convprof.problems.ops import Expand, Factors, PositionEmbedding, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape

_IMAGE = 4


def _aligned(node: FileNode, x: Value, constant: Constant) -> Shape:
    """Return the constant's shape with axes of size 1 before it, as many as the activation has."""
    shape = (1,) * (len(x.shape) - len(constant.shape)) + constant.shape
    fits = len(shape) == len(x.shape) and all(
        mine in (1, theirs) for mine, theirs in zip(shape, x.shape, strict=True)
    )
    if not fits:
        raise node.unsupported(f"a constant of {constant.shape} does not fit {x.shape}")
    return shape


def along_one_axis(
    net: Importer, node: FileNode, op: Op, x: Value, constant: Constant
) -> Value | None:
    """Return an operation per channel, along the axis along which the constant varies.

    None when the constant varies along several axes, or was not learned.
    """
    shape = _aligned(node, x, constant)
    if not constant.is_learned and constant.elements > 1:
        return None
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    if len(axes) > 1:
        return None
    rank = len(x.shape)
    axis = axes[0] if axes else rank - 1  # a vector of one unread number: any axis of size 1
    if not axes and x.shape[axis] != 1:
        raise node.refused("the value of its constant of one number must be within the file")
    if axis == rank - 1:
        return on_last_axis(net, node, op, x, [constant])
    if rank == _IMAGE and axis == 1:
        return net.emit(node, op, x, weights=[constant])
    before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    image = reshaped(net, node, x, (before, x.shape[axis], after, 1), "image")
    y = net.emit(node, op, image, weights=[constant])
    return reshaped(net, node, y, x.shape, "back")


def per_token(net: Importer, node: FileNode, x: Value, constant: Constant) -> Value:
    """Return the sum with a constant that varies along several axes."""
    shape = _aligned(node, x, constant)
    repeated = next(axis for axis, size in enumerate(shape) if size > 1)
    if shape[repeated:] != x.shape[repeated:] or not constant.is_learned:
        return _along_axes(net, node, Terms, x, constant.lowered())
    tokens = (
        math.prod(x.shape[:repeated]),
        math.prod(x.shape[repeated:-1]),
        x.shape[-1],
    )
    rows = reshaped(net, node, x, tokens, "rows")
    y = net.emit(node, PositionEmbedding(), rows, weights=[constant])
    return reshaped(net, node, y, x.shape, "back")


def per_element(net: Importer, node: FileNode, x: Value, constant: Constant) -> Value:
    """Return the product with a constant that varies along several axes."""
    return _along_axes(net, node, Factors, x, constant)


def _along_axes(
    net: Importer, node: FileNode, kind: type[Terms | Factors], x: Value, constant: Constant
) -> Value:
    """Return the sum or the product with a constant; a vector is a row of its own for it."""
    wide = reshaped(net, node, x, (1,) * (len(x.shape) == 1) + x.shape, "wide")
    op = kind(_aligned(node, wide, constant), learned=constant.is_learned)
    return reshaped(net, node, net.emit(node, op, wide, weights=[constant]), x.shape, "back")


def operands(net: Importer, node: FileNode) -> list[Value | Constant]:
    """Return all inputs of an operator that takes any number of them."""
    if len(node.inputs) > MOST_NUMBERS:
        raise node.refused(f"it has {len(node.inputs)} inputs; at most {MOST_NUMBERS} are read")
    return [net.values[node.input(index)] for index in range(len(node.inputs))]


def number_in(value: Value | Constant) -> float | None:
    """Return the one number that a constant holds; None for anything else."""
    if not isinstance(value, Constant) or value.values is None or value.elements != 1:
        return None
    return float(value.values.reshape(-1)[0])


def widened(net: Importer, node: FileNode, x: Value, b: Constant) -> Value:
    """Return x with the axes that a constant of one number, with more axes, gives it."""
    missing = len(b.shape) - len(x.shape)
    return reshaped(net, node, x, (1,) * missing + x.shape, "axes") if missing > 0 else x


def pair(net: Importer, node: FileNode, op: Op, a: Value, b: Value) -> Value:
    """Two activations, of which the one with fewer axes gets axes of size 1 before its own."""
    return net.emit(node, op, *aligned(net, node, (a, b)))


def expanded(net: Importer, node: FileNode, x: Value, other: Shape) -> Value:
    """Return the elements repeated along axes of size 1, so that they fit another shape."""
    shape = joint_shape(node, x.shape, other)
    wide = reshaped(net, node, x, (1,) * (len(shape) - len(x.shape)) + x.shape, "axes")
    return wide if shape == wide.shape else net.emit(node, Expand(shape), wide)


def joint_shape(node: FileNode, *shapes: Shape) -> Shape:
    """Return the shape that shapes with repeated axes of size 1 have together."""
    try:
        return tuple(map(int, np.broadcast_shapes(*shapes)))
    except ValueError:
        listed = ", ".join(map(str, shapes))
        raise node.refused(f"the shapes {listed} do not fit together") from None


def aligned(net: Importer, node: FileNode, values: Sequence[Value]) -> list[Value]:
    """Return the activations with axes of size 1 before their own, so that all have as many."""
    rank = max(len(each.shape) for each in values)
    return [
        reshaped(net, node, each, (1,) * (rank - len(each.shape)) + each.shape, "axes")
        for each in values
    ]
