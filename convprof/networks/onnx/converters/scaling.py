"""Images of other sizes: pixels of channels, or convolved with a stride."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.converters.transposed_convolution import (
    TransposedConvolution,
    phase_filter,
)
from convprof.problems.ops import Bias, Concat, Convolution, Slice

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import Constant, FileNode, Value

_IMAGE = 4
_MOST_PHASES = 4096
"""Convolutions that compute one transposed convolution."""
_UNSUPPORTED_STRIDES = (
    f"transposed convolutions with overlapping windows and strides of more than {_MOST_PHASES} "
    "pixels, rows times columns, have no strategy here"
)


def _transposed_convolution(net: Importer, node: FileNode) -> Value:
    """Compute every window as a pixel's product with a matrix, where the windows do not overlap."""
    x, weight = net.activation(node), net.constant(node, 1)
    plan = TransposedConvolution.of(node, x.shape, weight.shape)
    if not plan.is_apart:
        if plan.rows.stride * plan.columns.stride > _MOST_PHASES:
            raise node.unsupported(_UNSUPPORTED_STRIDES)
        return _by_phases(net, node, plan)
    c, k, r, s = weight.shape

    def columns(array: Any) -> Any:
        return np.ascontiguousarray(array.transpose(1, 2, 3, 0)).reshape(k * r * s, c, 1, 1)

    matrix = weight.remade((k * r * s, c, 1, 1), columns)
    windows = net.emit(node, Convolution.square(k * r * s, 1), x, part="windows", weights=[matrix])
    y = _in_place(net, node, windows, (k, r, s))
    if not node.has(2):
        return y
    return net.emit(node, Bias(), y, weights=[_bias(net, node, k)])


def _by_phases(net: Importer, node: FileNode, plan: TransposedConvolution) -> Value:
    """Compute the results of every position within a stride as a convolution, and mix them.

    These results read the same taps of the filter: its phase.
    """
    x, weight = net.activation(node), net.constant(node, 1)
    bias = [_bias(net, node, plan.k)] if node.has(2) else []
    axes = plan.rows.computed(), plan.columns.computed()
    phases = list(itertools.product(*(axis.phases() for axis in axes)))
    stride = plan.rows.stride, plan.columns.stride
    pieces = []
    for place, (rows, columns) in enumerate(phases):
        op = Convolution(
            k=plan.k,
            r=rows.count,
            s=columns.count,
            pad=(rows.before, columns.before, rows.after, columns.after),
            dilation=(rows.dilation, columns.dilation),
            groups=plan.groups,
            bias=bool(bias),
        )
        taps = functools.partial(phase_filter, rows=rows, columns=columns, groups=plan.groups)
        shape = (plan.k, weight.shape[0] // plan.groups, rows.count, columns.count)
        part = f"phase{place}" if len(phases) > 1 else ""
        filters = weight.remade(shape, taps)
        pieces.append(net.emit(node, op, x, part=part, weights=[filters, *bias]))
    whole = pieces[0] if len(pieces) == 1 else _mixed(net, node, pieces, stride)
    for place, (axis, computed) in enumerate(zip((plan.rows, plan.columns), axes, strict=True), 2):
        start = axis.before - computed.before
        if (start, axis.size) != (0, whole.shape[place]):
            cut = Slice(place, start, start + axis.size)
            whole = net.emit(node, cut, whole, part=f"cut{place}")
    return whole


def _mixed(net: Importer, node: FileNode, pieces: list[Value], stride: tuple[int, int]) -> Value:
    """Return the image of results of which each piece has one position within a stride."""
    (n, k, h, w), (rows, columns) = pieces[0].shape, stride
    y = net.emit(node, Concat(1), *pieces, part="phases")
    apart = reshaped(net, node, y, (n, rows, columns, k, h, w), "apart")
    ordered = transposed(net, node, apart, (0, 3, 4, 1, 5, 2), "order")
    return reshaped(net, node, ordered, (n, k, h * rows, w * columns), "image")


def _bias(net: Importer, node: FileNode, outputs: int) -> Constant:
    bias = net.constant(node, 2)
    if bias.shape != (outputs,):
        raise node.refused(f"a bias of {bias.shape} does not fit {outputs} outputs")
    return bias


def _in_place(net: Importer, node: FileNode, x: Value, sizes: tuple[int, int, int]) -> Value:
    """Return (n, k r s, h, w) as (n, k, h r, w s)."""
    (n, _, h, w), (k, r, s) = x.shape, sizes
    apart = reshaped(net, node, x, (n, k, r, s, h, w), "apart")
    ordered = transposed(net, node, apart, (0, 1, 4, 2, 5, 3), "order")
    return reshaped(net, node, ordered, (n, k, h * r, w * s), "image")


def _block(net: Importer, node: FileNode) -> tuple[Value, int]:
    x, size = net.activation(node), node.integer("blocksize", 0)
    if len(x.shape) != _IMAGE or size < 1:
        raise node.refused(f"blocksize={size} does not fit {x.shape}")
    return x, size


def _depth_to_space(net: Importer, node: FileNode) -> Value:
    """Return (n, c b b, h, w) as (n, c, h b, w b): PyTorch's pixel shuffle has the order CRD."""
    x, size = _block(net, node)
    n, channels, h, w = x.shape
    if channels % size**2:
        raise node.refused(f"blocksize={size} does not fit {channels} channels")
    c = channels // size**2
    if node.text("mode", "DCR") == "CRD":
        return _in_place(net, node, x, (c, size, size))
    apart = reshaped(net, node, x, (n, size, size, c, h, w), "apart")
    ordered = transposed(net, node, apart, (0, 3, 4, 1, 5, 2), "order")
    return reshaped(net, node, ordered, (n, c, h * size, w * size), "image")


def _space_to_depth(net: Importer, node: FileNode) -> Value:
    """Return (n, c, h b, w b) as (n, b b c, h, w)."""
    x, size = _block(net, node)
    n, c, height, width = x.shape
    if height % size or width % size:
        raise node.refused(f"blocksize={size} does not fit an image of {height}x{width}")
    h, w = height // size, width // size
    apart = reshaped(net, node, x, (n, c, h, size, w, size), "apart")
    ordered = transposed(net, node, apart, (0, 3, 5, 1, 2, 4), "order")
    return reshaped(net, node, ordered, (n, size * size * c, h, w), "image")


CONVERTERS = {
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
