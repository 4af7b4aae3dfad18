"""Operators that change shapes, and those that change nothing at inference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.folding import axis_in, squeezed, target, unsqueezed
from convprof.networks.onnx.package import onnx_package

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value

_HERE = "FLOAT"
_REALS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")


def _flatten(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    axis, rank = node.integer("axis", 1), len(x.shape)
    place = rank if axis == rank else axis_in(node, axis, rank)
    shape = (math.prod(x.shape[:place]), math.prod(x.shape[place:]))
    return reshaped(net, node, x, shape)


def _reshape(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    return reshaped(net, node, x, target(node, x.shape, net.constants(node)))


def _squeeze(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    return reshaped(net, node, x, squeezed(node, x.shape, net.constants(node)))


def _unsqueeze(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    return reshaped(net, node, x, unsqueezed(node, x.shape, net.constants(node)))


def _transpose(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    axes = node.integers("perm", tuple(reversed(range(len(x.shape)))))
    return transposed(net, node, x, axes)


def _expand(net: Importer, node: FileNode) -> Value:
    """Expand an activation to the shape that it has; repeating one is not supported."""
    x = net.activation(node)
    requested = net.integers(node, 1, "the new shape")
    try:
        shape = tuple(map(int, np.broadcast_shapes(x.shape, requested)))
    except ValueError:
        raise node.refused(f"{x.shape} cannot become {requested}") from None
    if math.prod(shape) != math.prod(x.shape):
        raise node.unsupported("repeating an activation is not supported")
    return reshaped(net, node, x, shape)


def _same(net: Importer, node: FileNode) -> Value:
    net.leave_out(node)
    return net.activation(node)


def _dropout(net: Importer, node: FileNode) -> Value:
    """Return the input: nothing is dropped at inference."""
    training = net.constant(node, 2).values if node.has(2) else None
    if node.has(2) and (training is None or bool(training.any())):
        raise node.refused("training_mode is set: export the model for inference")
    return _same(net, node)


def _cast(net: Importer, node: FileNode) -> Value:
    types = onnx_package().TensorProto.DataType
    to = node.integer("to", 0)
    if to not in [types.Value(name) for name in _REALS]:
        raise node.unsupported("an activation can only be cast to real numbers here")
    if to != types.Value(_HERE):
        net.note(f"Cast to {types.Name(to)}: here the numbers stay f32")
    return _same(net, node)


CONVERTERS = {
    "Cast": _cast,
    "CastLike": _same,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Identity": _same,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
