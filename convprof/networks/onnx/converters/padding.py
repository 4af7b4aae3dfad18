"""Pad as a node of its own: nothing, part of the convolution or pool after it, or an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.byte_values import SIGNED, SIGNED_ZERO
from convprof.networks.onnx.converters.broadcasting import number_in
from convprof.networks.onnx.converters.selecting import cut
from convprof.networks.onnx.folding import axis_in, numbers
from convprof.networks.onnx.node import LOWEST, Constant
from convprof.problems.ops import Pad

if TYPE_CHECKING:
    from convprof.networks.onnx.byte_values import Bytes
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value

_BY_INPUTS = 11  # the operator set since which pads and value are inputs
_VALUE, _AXES = 2, 3


def _pad(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    mode = node.text("mode", "constant")
    if mode != "constant":
        raise node.unsupported(
            f"mode {mode!r:.40} is not supported: only padding with a constant is"
        )
    before, after = _sides(net, node, len(x.shape))
    value = _value(net, node)
    y = x
    for axis, size in enumerate(x.shape):  # negative padding takes elements away
        start, stop = max(0, -before[axis]), size + min(0, after[axis])
        if start >= stop:
            raise node.refused(f"its pads leave nothing of axis {axis} of {x.shape}")
        y = cut(net, node, y, axis, start=start, end=stop)
    around = [tuple(max(0, count) for count in side) for side in (before, after)]
    if any(map(any, around)):
        return net.emit(node, Pad(around[0], around[1], value), y)
    if y is x:
        net.leave_out(node)
    return y


def _sides(net: Importer, node: FileNode, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how many elements come before and after, of every axis."""
    by_inputs = net.opset >= _BY_INPUTS
    pads = net.integers(node, 1, "the pads") if by_inputs else node.integers("pads", None)
    axes = tuple(range(rank))
    if by_inputs and node.has(_AXES):
        chosen_axes = numbers(node, net.constant(node, _AXES), "the axes")
        axes = tuple(axis_in(node, axis, rank) for axis in chosen_axes)
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise node.refused(f"{len(pads)} pads do not fit {len(axes)} axes: each needs two")
    half = len(axes)
    sides = [dict(zip(axes, part, strict=True)) for part in (pads[:half], pads[half:])]
    before, after = (tuple(side.get(axis, 0) for axis in range(rank)) for side in sides)
    return before, after


def _value(net: Importer, node: FileNode) -> float:
    """Return the value of the padding; minus infinity, as before max pools, is the lowest one."""
    known = net.bytes_of.get(node.input(0))
    value = _given_value(net, node)
    return max(value if known is None else _meaning(node, known, value), LOWEST)


def _meaning(node: FileNode, known: Bytes, value: float) -> float:
    """Return the number that a byte of the padding means."""
    if not known.has_zero(node, _VALUE):
        raise node.refused("bytes of DynamicQuantizeLinear are padded with 0 alone")
    if known.scale is None:
        raise node.refused("the scale and the zero point of its bytes are unknown")
    moved = SIGNED_ZERO if known.dtype == SIGNED else 0
    return (value + moved - known.scale.zero) * known.scale.scale


def _given_value(net: Importer, node: FileNode) -> float:
    if net.opset < _BY_INPUTS:
        return node.real("value", 0.0)
    if not node.has(_VALUE):
        return 0.0
    value = net.values[node.input(_VALUE)]
    number = number_in(value) if isinstance(value, Constant) else None
    if number is None:
        raise node.refused("its value must be known: a number within the file")
    return number


CONVERTERS = {"Pad": _pad}
