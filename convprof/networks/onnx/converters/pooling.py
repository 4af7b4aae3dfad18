"""Pooling, and means over axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.converters.window import padding
from convprof.networks.onnx.folding import axis_in
from convprof.networks.ops import AdaptiveAverage, Pool2d

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.value import Value

_IMAGE = 4


def _image(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    if len(x.shape) != _IMAGE:
        raise node.refused(f"it pools {x.shape}; only images (n, c, h, w) are supported")
    return x


def _pool(net: Importer, node: FileNode, which: Literal["max", "avg"]) -> Value:
    x = _image(net, node)
    r, s = node.integers("kernel_shape", None, 2)
    stride = node.integers("strides", (1, 1), 2)
    if node.integers("dilations", (1, 1), 2) != (1, 1):
        raise node.refused("dilated pooling is not supported")
    op = Pool2d(
        which=which,
        r=r,
        s=s,
        stride=(stride[0], stride[1]),
        pad=padding(node, x.shape, (r, s), stride, (1, 1)),
        ceil=bool(node.integer("ceil_mode", 0)),
        count_padding=bool(node.integer("count_include_pad", 0)) or which == "max",
    )
    return net.emit(node, op, x)


def _max(net: Importer, node: FileNode) -> Value:
    return _pool(net, node, "max")


def _average(net: Importer, node: FileNode) -> Value:
    return _pool(net, node, "avg")


def _global(net: Importer, node: FileNode) -> Value:
    return net.emit(node, AdaptiveAverage(1, 1), _image(net, node))


def _mean(net: Importer, node: FileNode) -> Value:
    """Average over any axes but the minibatch: they are the pixels of an image for it."""
    x = net.activation(node)
    rank = len(x.shape)
    asked = net.integers(node, 1, "axes") if node.has(1) else node.integers("axes", ())
    gone = {axis_in(node, axis, rank) for axis in asked}
    if not gone or 0 in gone:
        raise node.refused("a mean over the minibatch is not supported")
    kept = [axis for axis in range(rank) if axis not in gone]
    sizes = tuple(x.shape[axis] for axis in kept)
    last = tuple(
        1 if axis in gone else size
        for axis, size in enumerate(x.shape)
        if axis not in gone or node.integer("keepdims", 1)
    )
    if rank != _IMAGE or gone != {2, 3}:
        x = transposed(net, node, x, (*kept, *sorted(gone)), "order")
        pixels = math.prod(x.shape[len(kept) :])
        x = reshaped(net, node, x, (sizes[0], math.prod(sizes[1:]), pixels, 1), "image")
    y = net.emit(node, AdaptiveAverage(1, 1), x)
    return reshaped(net, node, y, last, "back")


CONVERTERS = {
    "AveragePool": _average,
    "GlobalAveragePool": _global,
    "MaxPool": _max,
    "ReduceMean": _mean,
}
