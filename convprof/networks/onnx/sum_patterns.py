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
        x = net.centred_input(divided.input(0))
        for variance, eps in net.pairs(inside):
            number = net.number(eps)
            if x and number is not None and _is_variance(net, variance, divided.input(0)):
                settings = {"axis": -1, "epsilon": number}
                reads = (x, weight, bias)
                return replace(node, kind=_LAYER_NORM, inputs=reads, attributes=settings)
    return None


def _is_variance(net: View, name: str, difference: str) -> bool:
    squares = net.mean_input(name)
    return squares is not None and net.is_square(squares, difference)
