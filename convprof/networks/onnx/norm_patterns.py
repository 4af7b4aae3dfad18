"""Norms written out in steps: what ends with the product with a weight per channel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.view import View

RMS_NORM = "RMSNormalization"


def find_rms_norm(net: View, node: FileNode) -> FileNode | None:
    """Find x / sqrt(mean of squares + eps) x weight over the last axis.

    Of x less its mean, these are steps of a layer norm, which ends with the sum after them.
    """
    for scaled, weight in net.pairs(node):
        vector = net.weight(weight, 1)
        if vector is None or vector.elements == 1:  # one number for all channels
            continue
        norm = _normalised(net, scaled)
        if norm is not None and net.centred_input(norm[0]) is None:
            x, eps = norm
            settings = {"axis": -1, "epsilon": eps}
            return replace(node, kind=RMS_NORM, inputs=(x, weight), attributes=settings)
    return None


def _normalised(net: View, name: str) -> tuple[str, float] | None:
    """Return x and eps where the value is x / sqrt(mean of squares + eps), without a weight."""
    name = _uncast(net, name)
    divided = net.producer(name, "Div")
    if divided is not None:
        root = net.producer(divided.input(1), "Sqrt")
        return _mean_square(net, root, divided.input(0)) if root else None
    product = net.producer(name, "Mul")
    for x, inverse in net.pairs(product) if product else []:
        norm = _mean_square(net, _inverse_root(net, inverse), x)
        if norm is not None:
            return norm
    return None


def _inverse_root(net: View, name: str) -> FileNode | None:
    """Return the square root whose reciprocal a value is."""
    inverse = net.producer(name, "Reciprocal")
    if inverse is not None:
        return net.producer(inverse.input(0), "Sqrt")
    divided = net.producer(name, "Div")
    if divided is not None and net.is_number(divided.input(0), 1):
        return net.producer(divided.input(1), "Sqrt")
    return None


def _mean_square(net: View, root: FileNode | None, x: str) -> tuple[str, float] | None:
    """Return x and eps if ``root`` is the square root of mean(x * x) + eps; else None."""
    inside = net.producer(root.input(0), "Add") if root else None
    for mean, eps in net.pairs(inside) if inside else []:
        number, squares = net.number(eps), net.mean_input(mean)
        if number is None or squares is None or not net.is_square(squares, x):
            continue
        return _uncast(net, x), number
    return None


def _uncast(net: View, name: str) -> str:
    """Return what a Cast reads: models compute the norm in f32, and the numbers are f32 here."""
    cast = net.producer(name, "Cast")
    return cast.input(0) if cast is not None else name
