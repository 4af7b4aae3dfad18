"""Pooling, and means over axes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from convprof.errors import ProblemError
from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.converters.volumes import pooled_volume
from convprof.networks.onnx.converters.windows import (
    PAD_NOTE,
    along_rows,
    before_padding,
    is_not_negative,
    padding,
    widened_by,
)
from convprof.networks.onnx.folding import axis_in
from convprof.networks.onnx.node import LOWEST
from convprof.networks.onnx.type_names import WHOLE_TYPES
from convprof.problems.ops import AdaptiveAverage, Pool2d

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.ops import Op


_IMAGE = 4
_MOST = "GlobalMaxPool"


def _image(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    if len(x.shape) != _IMAGE:
        raise node.unsupported(f"it pools {x.shape}; only images (n, c, h, w) are supported")
    return x


def _pool(net: Importer, node: FileNode, which: Literal["max", "avg"]) -> Value:
    rows = net.activation(node)
    if len(rows.shape) == _IMAGE - 1:
        return _pool_of_rows(net, node, rows, which)
    if len(rows.shape) == _IMAGE + 1:
        return pooled_volume(net, node, rows, which)
    x = _image(net, node)
    r, s = node.integers("kernel_shape", None, 2)
    stride = node.integers("strides", (1, 1), 2)
    if node.integers("dilations", (1, 1), 2) != (1, 1):
        raise node.unsupported("dilated pooling is not supported")
    op = Pool2d(
        which=which,
        r=r,
        s=s,
        stride=(stride[0], stride[1]),
        pad=padding(node, x.shape, (r, s), stride, (1, 1)),
        ceil=bool(node.integer("ceil_mode", 0)),
        count_padding=bool(node.integer("count_include_pad", 0)) or which == "max",
    )
    folded = _with_pad(net, op, x)
    if folded is None:
        return net.emit(node, op, x)
    net.note(PAD_NOTE)
    return net.emit(node, *folded)


def _pool_of_rows(net: Importer, node: FileNode, x: Value, which: Literal["max", "avg"]) -> Value:
    """Pool (n, c, w) as images of height 1."""
    n, c, w = x.shape
    (s,) = node.integers("kernel_shape", None, 1)
    window = along_rows(node, w, s)
    if window.dilation != 1:
        raise node.unsupported("dilated pooling is not supported")
    op = Pool2d(
        which=which,
        r=1,
        s=s,
        stride=(1, window.stride),
        pad=(0, window.before, 0, window.after),
        ceil=bool(node.integer("ceil_mode", 0)),
        count_padding=bool(node.integer("count_include_pad", 0)) or which == "max",
    )
    y = net.emit(node, op, reshaped(net, node, x, (n, c, 1, w), "image"))
    return reshaped(net, node, y, (*y.shape[:2], y.shape[3]), "back")


def _with_pad(net: Importer, op: Pool2d, x: Value) -> tuple[Pool2d, Value] | None:
    """Return the pooling with the zeros of a Pad node as its padding, and the image without them.

    None without such zeros, or where the results would differ: zeros of a Pad node count for an
    average, and are the largest where all else is negative. Before a max pool, padding with the
    lowest value is also possible.
    """
    if op.which == "max" and x.factor != 1:  # applied to the padding too, and maybe negative
        return None
    image, around = before_padding(net, x)
    if op.which == "max" and image is not x and not is_not_negative(net.op(image)):
        return None
    if op.which == "max" and image is x:
        image, around = before_padding(net, x, LOWEST)
    if image is x:
        return None
    if op.which == "avg" and any(op.pads) and not op.count_padding:
        return None
    try:
        pooling = replace(op, pad=widened_by(op.pads, around), count_padding=True)
    except ProblemError:  # more padding than window
        return None
    return (pooling, image) if pooling.output(image.shape) == op.output(x.shape) else None


def _max(net: Importer, node: FileNode) -> Value:
    return _pool(net, node, "max")


def _average(net: Importer, node: FileNode) -> Value:
    return _pool(net, node, "avg")


def _global(net: Importer, node: FileNode) -> Value:
    """Pool all elements of each channel: they become the pixels of an image."""
    x = net.activation(node)
    if len(x.shape) < _IMAGE - 1:
        raise node.refused(f"{x.shape} has no pixels")
    image = x
    if len(x.shape) != _IMAGE:
        n, c, first, *others = x.shape
        pixels = (first, math.prod(others)) if others else (1, first)
        image = reshaped(net, node, x, (n, c, *pixels), "image")
    op = largest(*image.shape[2:]) if node.kind == _MOST else AdaptiveAverage(1, 1)
    y = net.emit(node, op, image)
    return reshaped(net, node, y, (*x.shape[:2], *(1,) * len(x.shape[2:])), "back")


def _mean(net: Importer, node: FileNode) -> Value:
    if net.types.of(node.input(0)) in WHOLE_TYPES:
        raise node.unsupported("a mean of whole numbers is not supported")
    return mean(net, node, net.activation(node))


def mean(net: Importer, node: FileNode, x: Value) -> Value:
    """Average over any axes."""
    return reduced(net, node, x, lambda *_: AdaptiveAverage(1, 1))


def largest(h: int, w: int) -> Pool2d:
    """Return the operation that gives the largest pixel of an image of this size."""
    return Pool2d(which="max", r=h, s=w, stride=(h, w))


def reduced(net: Importer, node: FileNode, x: Value, op: Callable[[int, int], Op]) -> Value:
    """Reduce any axes by an operation on all pixels of an image: the axes become its pixels."""
    rank = len(x.shape)
    removed = net.integers(node, 1, "axes") if node.has(1) else node.integers("axes", ())
    gone = {axis_in(node, axis, rank) for axis in removed}
    if not gone:
        raise node.unsupported("a mean, a sum or an extreme of all elements is not supported")
    kept = [axis for axis in range(rank) if axis not in gone]
    keeps = bool(node.integer("keepdims", 1))
    last = tuple(
        1 if axis in gone else size
        for axis, size in enumerate(x.shape)
        if axis not in gone or keeps
    )
    if rank != _IMAGE or gone != {2, 3}:
        x = transposed(net, node, x, (*kept, *sorted(gone)), "order")
        channels = math.prod(x.shape[: len(kept)])
        n = x.shape[0] if kept and kept[0] == 0 else 1
        pixels = math.prod(x.shape[len(kept) :])
        x = reshaped(net, node, x, (n, channels // n, pixels, 1), "image")
    y = net.emit(node, op(*x.shape[2:]), x)
    return reshaped(net, node, y, last or (1,), "back")


CONVERTERS = {
    "AveragePool": _average,
    "GlobalAveragePool": _global,
    _MOST: _global,
    "MaxPool": _max,
    "ReduceMean": _mean,
}
