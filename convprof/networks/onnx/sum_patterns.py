"""What ends with the addition of a vector: a linear layer's bias, a layer norm in steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.networks.onnx.node import PATTERN_KIND

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.view import View

LINEAR = f"{PATTERN_KIND}Linear"
"""MatMul with a matrix and the Add of a vector, as one."""
_LAYER_NORM = "LayerNormalization"


def find_sum(net: View, node: FileNode) -> FileNode | None:
    """Find a product with a matrix plus a vector, and a layer norm's last step."""
    for value, vector in net.pairs(node):
        bias = net.weight(vector, 1)
        if bias is None:
            continue
        product = net.producer(value, "MatMul")
        if product is not None and net.used_once(value):
            matrix = net.weight(product.input(1), 2)
            if matrix is not None and bias.shape == matrix.shape[1:]:
                return replace(node, kind=LINEAR, inputs=(*product.inputs, vector))
        scaled = net.producer(value, "Mul")
        if scaled is not None:
            norm = _layer_norm(net, node, scaled, vector)
            if norm is not None:
                return norm
    return None


def _layer_norm(net: View, node: FileNode, scaled: FileNode, bias: str) -> FileNode | None:
    """Find (x - mean) / sqrt(mean of squares + eps) x weight + bias over the last axis."""
    for value, weight in net.pairs(scaled):
        divided = net.producer(value, "Div")
        root = net.producer(divided.input(1), "Sqrt") if divided else None
        inside = net.producer(root.input(0), "Add") if root else None
        if net.weight(weight, 1) is None or divided is None or inside is None:
            continue
        x = _centred(net, divided.input(0))
        for variance, eps in net.pairs(inside):
            number = net.number(eps)
            if x and number is not None and _is_variance(net, variance, divided.input(0)):
                settings = {"axis": -1, "epsilon": number}
                reads = (x, weight, bias)
                return replace(node, kind=_LAYER_NORM, inputs=reads, attributes=settings)
    return None


def _centred(net: View, name: str) -> str | None:
    """Return x where the value is x less its mean."""
    difference = net.producer(name, "Sub")
    if difference is None or len(difference.inputs) != len(("x", "mean")):
        return None
    x, mean = difference.inputs
    return x if _mean_input(net, mean) == x else None


def _mean_input(net: View, name: str) -> str | None:
    """Return x where the value is its mean along the last axis, which stays with a size of 1."""
    mean = net.producer(name, "ReduceMean")
    if mean is None or not mean.integer("keepdims", 1):
        return None
    axis = net.number(mean.input(1)) if mean.has(1) else None
    axes = mean.integers("axes", ()) if axis is None else (axis,)
    return mean.input(0) if axes == (-1,) else None


def _is_variance(net: View, name: str, difference: str) -> bool:
    squares = _mean_input(net, name) or ""
    power = net.producer(squares, "Pow")
    if power is not None:
        return power.input(0) == difference and net.is_number(power.input(1), 2)
    square = net.producer(squares, "Mul")
    return square is not None and square.inputs == (difference, difference)
