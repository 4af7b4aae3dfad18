"""Operators that change shapes, and those that change nothing at inference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.broadcasting import expanded
from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.folding import axis_in, squeezed, target, unsqueezed
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.source import FLOATS
from convprof.networks.onnx.type_names import EXACT, REAL, TRUTH, WHOLE_TYPES
from convprof.problems.checks import shown
from convprof.problems.ops import Compare, Expand

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value


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
    """Repeat the elements along axes of size 1."""
    return expanded(net, node, net.activation(node), net.integers(node, 1, "the new shape"))


def _tile(net: Importer, node: FileNode) -> Value:
    """Repeat the whole tensor along its axes."""
    x, times = net.activation(node), net.integers(node, 1, "the repeats")
    if len(times) != len(x.shape):
        raise node.refused(f"repeats {times} do not fit {x.shape}")
    for axis, count in enumerate(times):
        if count == 1:
            continue
        before, (size, *after) = x.shape[:axis], x.shape[axis:]
        rows = math.prod(before), 1, size * math.prod(after)
        once = reshaped(net, node, x, rows, f"once{axis}")
        repeated = net.emit(node, Expand((rows[0], count, rows[2])), once, part=f"again{axis}")
        x = reshaped(net, node, repeated, (*before, size * count, *after), f"tiled{axis}")
    return x


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
    """Return the same numbers; truth values of numbers, which are 1 or 0."""
    types = onnx_package().TensorProto.DataType
    number = node.integer("to", 0)
    to = types.Name(number) if number in types.values() else str(number)
    before = net.types.of(node.input(0))
    if to == TRUTH and before != TRUTH:
        return net.emit(node, Compare("not equal", 0.0), net.activation(node))
    if to not in (*FLOATS, *EXACT) or (to in WHOLE_TYPES and before not in EXACT):
        raise node.unsupported(f"Cast of {before} to {shown(to)} is not supported")
    if to in FLOATS and to != REAL:
        net.note(f"Cast to {to}: here the numbers stay f32")
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
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
