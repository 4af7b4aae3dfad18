"""Norms, Softmax and LogSoftmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.rearranging import on_last_axis, reshaped, transposed
from convprof.networks.onnx.folding import axis_in
from convprof.problems.ops import (
    BatchNorm,
    InstanceNorm,
    LayerNorm,
    LogSoftmax,
    ResponseNorm,
    RmsNorm,
    Softmax,
)
from convprof.problems.shapes import IMAGE_AXES

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.ops import Op

_EPS = 1e-5
_FEATURES = 2
_ITS_AXES = (2, 4)  # features (n, c), images (n, c, h, w)
_SOFTMAX_ON_ONE_AXIS = 13  # before, all axes from the given one counted as one


def _batch_norm(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    if node.integer("training_mode", 0):
        raise node.refused("training_mode=1: export the model for inference")
    vectors = [net.constant(node, index) for index in range(1, 5)]
    for index, vector in enumerate(vectors, 2):
        if vector.shape != x.shape[1:2]:
            raise node.refused(f"input {index} of {vector.shape} does not fit {x.shape}")
    op = BatchNorm(node.real("epsilon", _EPS))
    if len(x.shape) in _ITS_AXES:
        return net.emit(node, op, x, weights=vectors)
    n, c, *rest = x.shape
    image = reshaped(net, node, x, (n, c, math.prod(rest), 1), "image")
    y = net.emit(node, op, image, weights=vectors)
    return reshaped(net, node, y, x.shape, "back")


def _layer_norm(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    if axis_in(node, node.integer("axis", -1), len(x.shape)) != len(x.shape) - 1:
        raise node.unsupported("a layer norm over more than the last axis is not supported")
    vectors = [net.constant(node, index) for index in (1, 2) if index == 1 or node.has(index)]
    for index, vector in enumerate(vectors, 2):
        if vector.shape != x.shape[-1:]:
            raise node.refused(f"input {index} of {vector.shape} does not fit {x.shape}")
    op = LayerNorm(node.real("epsilon", _EPS), bias=node.has(2))
    return on_last_axis(net, node, op, x, vectors)


def _rms_norm(net: Importer, node: FileNode) -> Value:
    x, weight = net.activation(node), net.constant(node, 1)
    if axis_in(node, node.integer("axis", -1), len(x.shape)) != len(x.shape) - 1:
        raise node.unsupported("an RMS norm over more than the last axis is not supported")
    if weight.shape != x.shape[-1:]:
        raise node.refused(f"its weight of {weight.shape} does not fit {x.shape}")
    return on_last_axis(net, node, RmsNorm(node.real("epsilon", _EPS)), x, [weight])


def _instance_norm(net: Importer, node: FileNode) -> Value:
    """Normalise channels over all axes after them, as images of one row unless they are images."""
    x = net.activation(node)
    vectors = [net.constant(node, index) for index in (1, 2)]
    if len(x.shape) <= _FEATURES or any(vector.shape != x.shape[1:2] for vector in vectors):
        raise node.refused(f"its weight and bias do not fit {x.shape}")
    image = x
    if len(x.shape) != IMAGE_AXES:
        image = reshaped(net, node, x, (*x.shape[:2], 1, math.prod(x.shape[2:])), "image")
    y = net.emit(node, InstanceNorm(node.real("epsilon", _EPS)), image, weights=vectors)
    return reshaped(net, node, y, x.shape, "back")


def _response_norm(net: Importer, node: FileNode) -> Value:
    alpha, beta, bias = (
        node.real(key, usual) for key, usual in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    size = node.integer("size", 0)
    return net.emit(node, ResponseNorm(size, alpha, beta, bias), net.activation(node))


def _softmax(net: Importer, node: FileNode) -> Value:
    """Softmax along the last axis. Another axis is moved there before, and back afterwards."""
    op: Op = Softmax() if node.kind == "Softmax" else LogSoftmax()
    x = net.activation(node)
    shape, last = x.shape, len(x.shape) - 1
    flat = net.opset < _SOFTMAX_ON_ONE_AXIS
    axis = axis_in(node, node.integer("axis", 1 if flat else -1), len(shape))
    if axis == last and last > 0:
        return net.emit(node, op, x)
    if flat or math.prod(shape[axis + 1 :]) == 1:
        rows = (math.prod(shape[:axis]), math.prod(shape[axis:]))
        y = net.emit(node, op, reshaped(net, node, x, rows, "rows"))
        return reshaped(net, node, y, shape, "back")
    order = (*(each for each in range(len(shape)) if each != axis), axis)
    back = (*range(axis), last, *range(axis, last))
    y = net.emit(node, op, transposed(net, node, x, order, "order"))
    return transposed(net, node, y, back, "back")


CONVERTERS = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _response_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax,
    "RMSNormalization": _rms_norm,
    "Softmax": _softmax,
}
