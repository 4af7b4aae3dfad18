"""Larger images: pixels repeated, from channels, or by transposed convolutions without overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.node import Constant, Recipe
from convprof.problems.ops import Bias, Convolution, Upsample

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.shapes import Shape

_IMAGE = 4
_SCALES, _SIZES = 2, 3
_BY_COORDINATES = 11  # the operator set since which a Resize says where pixels are
_UNSUPPORTED = "only transposed convolutions whose windows do not overlap have a strategy here"


def _transposed_convolution(net: Importer, node: FileNode) -> Value:
    """Compute every window as a pixel's product with a matrix, then put the windows in place."""
    x, weight = net.activation(node), net.constant(node, 1)
    if len(x.shape) != _IMAGE or len(weight.shape) != _IMAGE:
        raise node.unsupported(_UNSUPPORTED)
    c, k, r, s = weight.shape
    plain = {"dilations": (1, 1), "output_padding": (0, 0), "pads": (0, 0, 0, 0)}
    apart = all(node.integers(key, value) == value for key, value in plain.items())
    apart = apart and node.integers("strides", (1, 1)) == (r, s) and node.integer("group", 1) == 1
    if not apart or c != x.shape[1] or "output_shape" in node.attributes:
        raise node.unsupported(_UNSUPPORTED)
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.unsupported(_UNSUPPORTED)

    def columns(array: Any) -> Any:
        return np.ascontiguousarray(array.transpose(1, 2, 3, 0)).reshape(k * r * s, c, 1, 1)

    recipe = Recipe(columns, (weight,))
    matrix = Constant((k * r * s, c, 1, 1), stored=weight.stored, recipe=recipe)
    windows = net.emit(node, Convolution.square(k * r * s, 1), x, part="windows", weights=[matrix])
    y = _in_place(net, node, windows, (k, r, s))
    if not node.has(2):
        return y
    bias = net.constant(node, 2)
    if bias.shape != (k,):
        raise node.refused(f"a bias of {bias.shape} does not fit {k} outputs")
    return net.emit(node, Bias(), y, weights=[bias])


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


def _resize(net: Importer, node: FileNode) -> Value:
    """Repeat pixels, where this is what a nearest neighbour at whole factors means."""
    x = net.activation(node)
    sizes = _sizes(net, node, x.shape)
    unsupported = node.unsupported("only nearest neighbours at whole factors have a strategy here")
    if len(x.shape) != _IMAGE or node.text("mode", "nearest") != "nearest" or sizes is None:
        raise unsupported
    factors = [new // old for new, old in zip(sizes, x.shape, strict=True)]
    whole = all(new == old * f for new, old, f in zip(sizes, x.shape, factors, strict=True))
    if not whole or factors[:2] != [1, 1] or not _repeats(net, node):
        raise unsupported
    if factors[2:] == [1, 1]:
        net.leave_out(node)
        return x
    return net.emit(node, Upsample(factors[2], factors[3]), x)


def _repeats(net: Importer, node: FileNode) -> bool:
    """Whether pixel i of the result is pixel floor(i / factor) of the image."""
    if node.kind == "Upsample" or net.opset < _BY_COORDINATES:
        return True
    where = node.text("coordinate_transformation_mode", "half_pixel")
    rounding = node.text("nearest_mode", "round_prefer_floor")
    if where == "asymmetric":
        return rounding == "floor"
    # Centres of pixels: no centre of the result is half way between two centres of the image.
    half = where in {"half_pixel", "half_pixel_symmetric"}
    return half and rounding in {"round_prefer_floor", "round_prefer_ceil"}


def _sizes(net: Importer, node: FileNode, shape: Shape) -> Shape | None:
    """Return the shape that a Resize or Upsample gives; None where the file does not say."""
    if "axes" in node.attributes:
        return None
    if node.has(_SIZES):
        return net.integers(node, _SIZES, "the sizes")
    old = node.kind == "Upsample" or net.opset < _BY_COORDINATES
    factors = _factors(net, node, 1 if old else _SCALES)
    if factors is None or len(factors) != len(shape):
        return None
    return tuple(int(size * factor) for size, factor in zip(shape, factors, strict=True))


def _factors(net: Importer, node: FileNode, place: int) -> tuple[float, ...] | None:
    if not node.has(place):
        factors = node.attributes.get("scales")
        return factors if isinstance(factors, tuple) else None
    values = net.constant(node, place).values
    return None if values is None else tuple(float(factor) for factor in values.reshape(-1))


CONVERTERS = {
    "Resize": _resize,
    "Upsample": _resize,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
