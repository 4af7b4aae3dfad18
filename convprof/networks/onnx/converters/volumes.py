"""3-D convolutions and pools of (n, c, d, h, w), by layers of images.

A plane of the result reads some planes of the volume. These planes become channels of one image:
one 2-D convolution with their filters computes all planes of the result. In groups, each plane of
the filter is a convolution of its own, and the sums are added.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.converters.windows import windows
from convprof.problems.ops import (
    Add,
    Concat,
    Convolution,
    Pad,
    Pool2d,
    Reshape,
    Slice,
    Transpose,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.converters.windows import AxisWindow
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import Constant, FileNode, Value
    from convprof.problems.ops import Op

_AXES = 3
_MOST_PLANES = 64
"""Of a filter: each plane is a layer or two of its own."""
_PLANES_FIRST, _BACK = (2, 0, 1, 3, 4), (1, 2, 0, 3, 4)


def convolved_volume(
    net: Importer, node: FileNode, x: Value, weight: Constant, bias: list[Constant]
) -> Value:
    """Return the convolution of a volume, with the settings of a node."""
    taps, groups = weight.shape[2:], node.integer("group", 1)
    if node.integers("kernel_shape", taps, _AXES) != taps:
        raise node.refused(f"kernel_shape does not agree with its weights of {weight.shape}")
    if weight.shape[1] * groups != x.shape[1]:
        raise node.refused(
            f"weights of {weight.shape} in {groups} groups do not fit {x.shape[1]} channels"
        )
    depth, rows, columns = windows(node, x.shape[2:], taps)
    if taps[0] > _MOST_PLANES:
        raise node.unsupported(f"a filter of more than {_MOST_PLANES} planes")
    if taps[1:] == (1, 1) and rows == columns == (1, 1, 0, 0):
        return _along_depth(net, node, x, [weight, *bias], depth)
    planes = _planes_read(net, node, x, taps[0], depth)
    images = [
        reshaped(net, node, each, (each.shape[0] * each.shape[1], *each.shape[2:]), f"images{tap}")
        for tap, each in enumerate(planes)
    ]
    convolution = functools.partial(
        Convolution,
        k=weight.shape[0],
        r=taps[1],
        s=taps[2],
        stride=(rows.stride, columns.stride),
        pad=(rows.before, columns.before, rows.after, columns.after),
        dilation=(rows.dilation, columns.dilation),
    )
    if groups == 1 or len(images) == 1:
        op = convolution(groups=groups, bias=bool(bias))
        y = _with_planes_as_channels(net, node, op, images, [weight, *bias])
    else:
        ops = [convolution(groups=groups, bias=bool(bias) and not tap) for tap in range(taps[0])]
        y = _summed(net, node, ops, images, [weight, *bias])
    return _volume(net, node, y, x.shape[0])


def _volume(net: Importer, node: FileNode, images: Value, n: int) -> Value:
    """Return (planes n, c, h, w) as (n, c, planes, h, w)."""
    planes, *others = images.shape
    apart = reshaped(net, node, images, (planes // n, n, *others), "planes")
    return transposed(net, node, apart, _BACK, "back")


def element_by_element(net: Importer, node: FileNode, op: Op, *values: Value) -> Value:
    """Return an operation of each element.

    Of what convolutions of volumes gave, it is computed of their images: the next convolution
    reads them as they are, and needs no transposition.
    """
    images = [_images(net, value) for value in values]
    known = [image for image in images if image is not None]
    if len(known) < len(images) or any(each.shape != known[0].shape for each in known):
        return net.emit(node, op, *values)
    return _volume(net, node, net.emit(node, op, *known), values[0].shape[0])


def _images(net: Importer, x: Value) -> Value | None:
    """Return the images that a volume was made of; None for other activations."""
    if net.op(x) != Transpose(_BACK):
        return None
    planes = net.source_of(x)
    if not isinstance(net.op(planes), Reshape):
        return None
    images, (count, n, *others) = net.source_of(planes), planes.shape
    return images if images.shape == (count * n, *others) else None


def _along_depth(
    net: Importer, node: FileNode, x: Value, weights: list[Constant], depth: AxisWindow
) -> Value:
    """Convolve along the depth alone: an image has a row for each plane."""
    weight, *bias = weights
    (n, c, d, h, w), (k, cg, taps, _, _) = x.shape, weight.shape
    op = Convolution(
        k=k, r=taps, s=1, stride=(depth.stride, 1), pad=(depth.before, 0, depth.after, 0),
        dilation=(depth.dilation, 1), groups=node.integer("group", 1), bias=bool(bias),
    )  # fmt: skip
    image = reshaped(net, node, x, (n, c, d, h * w), "image")
    y = net.emit(node, op, image, weights=[weight.reshaped((k, cg, taps, 1)), *bias])
    return reshaped(net, node, y, (n, k, y.shape[2], h, w), "volume")


def _planes_read(
    net: Importer, node: FileNode, x: Value, taps: int, depth: AxisWindow
) -> list[Value]:
    """Return for each tap of the depth the planes (planes of the result, n, c, h, w) it reads."""
    stride, dilation, before, after = depth
    size = x.shape[2] + before + after
    results = (size - (taps - 1) * dilation - 1) // stride + 1 if stride > 0 else 0
    if results < 1 or min(dilation, 1 + before, 1 + after) < 1:
        raise node.refused(f"its window does not fit {x.shape[2]} planes")
    needed = (taps - 1) * dilation + results * stride if stride > 1 else size
    planes = transposed(net, node, x, _PLANES_FIRST, "planes_first")
    after += max(0, needed - size)
    if before or after:
        around = Pad((before, 0, 0, 0, 0), (after, 0, 0, 0, 0))
        planes = net.emit(node, around, planes, part="padded")
    read = []
    for tap in range(taps):
        first = tap * dilation
        part = planes
        if (first, results * stride) != (0, planes.shape[0]):
            cut = Slice(0, first, first + results * stride)
            part = net.emit(node, cut, planes, part=f"tap{tap}")
        read.append(_every(net, node, part, stride, tap))
    return read


def _every(net: Importer, node: FileNode, planes: Value, stride: int, tap: int) -> Value:
    """Return the first of each ``stride`` planes."""
    if stride == 1:
        return planes
    count, *others = planes.shape
    apart = reshaped(
        net, node, planes, (count // stride, stride * others[0], *others[1:]), f"s{tap}"
    )
    return net.emit(node, Slice(1, 0, others[0]), apart, part=f"strided{tap}")


def _with_planes_as_channels(
    net: Importer,
    node: FileNode,
    op: Convolution,
    images: list[Value],
    weights: list[Constant],
) -> Value:
    """Return one convolution of all planes that a result reads."""
    weight, *bias = weights
    k, cg, taps, r, s = weight.shape
    x = images[0]
    if len(images) > 1:
        x = net.emit(node, Concat(1), *images, part="window")

    def joined(array: Any) -> Any:
        return np.ascontiguousarray(array.swapaxes(1, 2)).reshape(k, taps * cg, r, s)

    filters = weight.remade((k, taps * cg, r, s), joined)
    return net.emit(node, op, x, weights=[filters, *bias])


def _summed(
    net: Importer,
    node: FileNode,
    ops: list[Convolution],
    images: list[Value],
    weights: list[Constant],
) -> Value:
    """Return the sum of a convolution for each plane of the filter."""
    weight, *bias = weights
    k, cg, _, r, s = weight.shape
    total: Value | None = None
    for tap, (op, image) in enumerate(zip(ops, images, strict=True)):

        def plane(array: Any, tap: int = tap) -> Any:
            return np.ascontiguousarray(array[:, :, tap])

        own = [weight.remade((k, cg, r, s), plane), *(bias if op.bias else [])]
        y = net.emit(node, op, image, part=f"filter{tap}", weights=own)
        total = y if total is None else net.emit(node, Add(), y, total, part=f"sum{tap}")
    if total is None:
        raise node.refused("its filter has no planes")
    return total


def pooled_volume(net: Importer, node: FileNode, x: Value, which: Literal["max", "avg"]) -> Value:
    """Pool the rows and columns of all planes, then the planes.

    The average of averages is exact: what a window has within the volume is a product of the axes.
    """
    n, c, d, h, w = x.shape
    taps = node.integers("kernel_shape", None, _AXES)
    depth, rows, columns = windows(node, (d, h, w), taps)
    if (depth.dilation, rows.dilation, columns.dilation) != (1, 1, 1):
        raise node.unsupported("dilated pooling is not supported")
    pool = functools.partial(
        Pool2d,
        which=which,
        ceil=bool(node.integer("ceil_mode", 0)),
        count_padding=bool(node.integer("count_include_pad", 0)) or which == "max",
    )
    for_planes = pool(
        r=taps[1],
        s=taps[2],
        stride=(rows.stride, columns.stride),
        pad=(rows.before, columns.before, rows.after, columns.after),
    )
    image = reshaped(net, node, x, (n, c * d, h, w), "image")
    pixels = net.emit(node, for_planes, image, part="pixels")
    p, q = pixels.shape[2:]
    along = pool(r=taps[0], s=1, stride=(depth.stride, 1), pad=(depth.before, 0, depth.after, 0))
    lines = reshaped(net, node, pixels, (n, c, d, math.prod((p, q))), "lines")
    y = net.emit(node, along, lines, part="depth")
    return reshaped(net, node, y, (n, c, y.shape[2], p, q), "volume")
