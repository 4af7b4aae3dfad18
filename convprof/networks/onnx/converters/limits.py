"""Activations within limits: Clip, HardSigmoid, and Max or Min with numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.networks.onnx.activation_patterns import bounds
from convprof.networks.onnx.converters.broadcasting import number_in, operands, pair, widened
from convprof.networks.onnx.node import Constant, Value
from convprof.problems.ops import Activation, Clip, HardSigmoid, Maximum, Minimum

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode

_SIXTH = 1 / 6
_SIX = 6
_LARGEST = float(np.finfo(np.float32).max)
"""What exporters write where there is no upper limit; the negative of it for no lower limit."""


def _hard_sigmoid(net: Importer, node: FileNode) -> Value:
    alpha, beta = node.real("alpha", 0.2), node.real("beta", 0.5)
    usual = math.isclose(alpha, _SIXTH, rel_tol=1e-3) and beta == 1 / 2
    op = Activation("hardsigmoid") if usual else HardSigmoid(alpha, beta)
    return net.emit(node, op, net.activation(node))


def _clip(net: Importer, node: FileNode) -> Value:
    low, high = bounds(node, lambda name: _limit(net, name))
    if any(end is not None and math.isnan(end) for end in (low, high)):
        raise node.refused("its limits must be known: numbers within the file")
    x = net.activation(node)
    y = _between(net, node, x, low, high)
    if y is x:
        net.leave_out(node)
    return y


def _extreme(net: Importer, node: FileNode) -> Value:
    """Max or Min of activations, one after the other, and of numbers, which are a limit."""
    values = operands(net, node)
    activations = [value for value in values if isinstance(value, Value)]
    known = [name for name in node.inputs if isinstance(net.values[name], Constant)]
    bounds_of_inputs = [_limit(net, name) for name in known]
    limits = [limit for limit in bounds_of_inputs if limit is not None and not math.isnan(limit)]
    if not activations or len(limits) < len(known):
        raise node.unsupported("only activations, and numbers within the file, are supported")
    low = max(limits, default=None) if node.kind == "Max" else None
    high = min(limits, default=None) if node.kind == "Min" else None
    y = _between(net, node, activations[0], low, high)
    for other in activations[1:]:
        y = pair(net, node, Maximum() if node.kind == "Max" else Minimum(), y, other)
    for constant in values:
        y = widened(net, node, y, constant) if isinstance(constant, Constant) else y
    if y is activations[0]:
        net.leave_out(node)
    return y


def _between(
    net: Importer, node: FileNode, x: Value, low: float | None, high: float | None
) -> Value:
    """Return an activation within two limits, each of which may be None."""
    low = None if low is None or low <= -_LARGEST else low
    high = None if high is None or high >= _LARGEST else high
    if low is None and high is None:
        return x
    if low == 0 and high in (_SIX, None):
        return net.emit(node, Activation("relu" if high is None else "relu6"), x)
    return net.emit(node, Clip(low, high), x)


def _limit(net: Importer, name: str) -> float | None:
    """Return the number of a constant; infinity for the largest of half precision."""
    constant = net.values[name]
    number = number_in(constant)
    if number is None or not isinstance(constant, Constant) or constant.values is None:
        return None
    half = constant.values.dtype == np.float16
    largest = half and abs(number) == float(np.finfo(np.float16).max)
    return math.copysign(math.inf, number) if largest else number


CONVERTERS = {
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Max": _extreme,
    "Min": _extreme,
}
