"""Pooling, and means over axes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from convprof.errors import ProblemError
from convprof.integers import ceil_div
from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.folding import axis_in
from convprof.networks.onnx.node import LOWEST
from convprof.networks.onnx.type_names import WHOLE_TYPES
from convprof.problems.ops import Activation, AdaptiveAverage, Clip, HardSigmoid, Pad, Pool2d

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape


_IMAGE = 4


def _image(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    if len(x.shape) != _IMAGE:
        raise node.unsupported(f"it pools {x.shape}; only images (n, c, h, w) are supported")
    return x


def _pool(net: Importer, node: FileNode, which: Literal["max", "avg"]) -> Value:
    rows = net.activation(node)
    if len(rows.shape) == _IMAGE - 1:
        return _pool_of_rows(net, node, rows, which)
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
        pad=(0, window.left, 0, window.right),
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
    x = net.activation(node)
    if len(x.shape) == _IMAGE - 1:
        image = reshaped(net, node, x, (*x.shape[:2], 1, x.shape[2]), "image")
        y = net.emit(node, AdaptiveAverage(1, 1), image)
        return reshaped(net, node, y, y.shape[:3], "back")
    return net.emit(node, AdaptiveAverage(1, 1), _image(net, node))


def _mean(net: Importer, node: FileNode) -> Value:
    if net.types.of(node.input(0)) in WHOLE_TYPES:
        raise node.unsupported("a mean of whole numbers is not supported")
    return mean(net, node, net.activation(node))


def mean(net: Importer, node: FileNode, x: Value) -> Value:
    """Average over any axes but the minibatch: they become the pixels of an image."""
    rank = len(x.shape)
    removed = net.integers(node, 1, "axes") if node.has(1) else node.integers("axes", ())
    gone = {axis_in(node, axis, rank) for axis in removed}
    if not gone or 0 in gone:
        raise node.unsupported("a mean or a sum over the minibatch is not supported")
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


# Padding of a window that moves over an image, as ONNX writes it.

Pads: TypeAlias = tuple[int, int, int, int]
"""Top, left, bottom, right."""

PAD_NOTE = "Pad before a convolution or pool: here it is their own padding"
_SIDES = 4
_NOT_NEGATIVE = ("relu", "relu6", "sigmoid", "hardsigmoid")


def padding(
    node: FileNode,
    image: Shape,
    window: tuple[int, int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads:
    """Return (top, left, bottom, right) for a window on (n, c, h, w).

    ``auto_pad`` SAME keeps ceil(size / stride) outputs; an odd element of padding goes to the end
    (SAME_UPPER) or the beginning (SAME_LOWER).
    """
    auto = node.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        top, left, bottom, right = node.integers("pads", (0,) * _SIDES, _SIDES)
        return top, left, bottom, right
    if auto == "VALID":
        return 0, 0, 0, 0
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.refused("auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    if min(stride) < 1:
        raise node.refused(f"strides {stride} must be at least 1")
    totals = [
        max((ceil_div(size, step) - 1) * step + (taps - 1) * apart + 1 - size, 0)
        for size, taps, step, apart in zip(image[2:], window, stride, dilation, strict=True)
    ]
    less, more = ([total // 2 for total in totals], [ceil_div(total, 2) for total in totals])
    (top, left), (bottom, right) = (less, more) if auto == "SAME_UPPER" else (more, less)
    return top, left, bottom, right


class RowWindow(NamedTuple):
    """How a window moves along rows (n, c, w)."""

    stride: int
    dilation: int
    left: int
    right: int


def along_rows(node: FileNode, size: int, taps: int) -> RowWindow:
    """Return the window of ``taps`` elements that a 1-D node moves along rows of that size."""
    (stride,) = node.integers("strides", (1,), 1)
    (dilation,) = node.integers("dilations", (1,), 1)
    if node.text("auto_pad", "NOTSET") == "NOTSET":
        left, right = node.integers("pads", (0, 0), 2)
    else:
        image = (1, 1, 1, size)
        _, left, _, right = padding(node, image, (1, taps), (1, stride), (1, dilation))
    return RowWindow(stride, dilation, left, right)


def before_padding(net: Importer, x: Value, value: float = 0.0) -> tuple[Value, Pads]:
    """Return an image as it was before a Pad node put a value around it, and how much of it.

    The image itself, and no padding, where none or another value was put around it.
    """
    match net.op(x):
        case Pad((0, 0, top, left), (0, 0, bottom, right), around) if around == value:
            return net.source_of(x), (top, left, bottom, right)
    return x, (0, 0, 0, 0)


def widened_by(pads: Pads, more: Pads) -> Pads:
    """Return the sum of two paddings."""
    top, left, bottom, right = (a + b for a, b in zip(pads, more, strict=True))
    return top, left, bottom, right


def is_not_negative(op: Op | None) -> bool:
    """Whether no result of an operation is below 0."""
    match op:
        case Activation(function):
            return function in _NOT_NEGATIVE
        case Clip(low) if low is not None:
            return low >= 0
        case HardSigmoid():
            return True
    return False
