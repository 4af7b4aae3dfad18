"""Resize and Upsample: pixels that are repeated, or interpolated; along any axes of any tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.folding import axis_in
from convprof.problems.checks import shown
from convprof.problems.ops import Resize, Upsample
from convprof.problems.ops.resizing import Rounding, Where

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.shapes import Shape

_IMAGE = 4
_SCALES, _SIZES = 2, 3
_BY_COORDINATES = 11  # the operator set since which a Resize says where pixels are
_WHERE = "coordinate_transformation_mode"
_LINEAR, _CUBIC, _NEAREST = ("linear", "bilinear"), "cubic", "nearest"
_POLICIES = {"not_larger": min, "not_smaller": max}
_UNSUPPORTED = (
    "only linear and cubic interpolation and nearest neighbours, at known sizes or scales, have a "
    "strategy here"
)


@dataclass(frozen=True, slots=True)
class _Resized:
    """The sizes of a result, and the results per element along every axis."""

    sizes: Shape
    scales: tuple[float, ...]
    is_exact: bool
    """Whether every size is its scale times the size of the input."""


def _resize(net: Importer, node: FileNode) -> Value:
    """Return the resized tensor: the last two axes of an image at once, else axis after axis."""
    x = net.activation(node)
    resized = _resized(net, node, x.shape)
    if resized is None:
        raise node.unsupported(_UNSUPPORTED)
    changed = [
        axis
        for axis, sizes in enumerate(zip(resized.sizes, resized.scales, x.shape, strict=True))
        if sizes[0] != sizes[2] or sizes[1] != 1.0
    ]
    if len(x.shape) == _IMAGE and not {0, 1} & {*changed}:
        return _image(net, node, x, resized)
    for axis in changed:
        before, (here, *after) = x.shape[:axis], x.shape[axis:]
        image = reshaped(
            net, node, x, (1, math.prod(before), here, math.prod(after)), f"rows{axis}"
        )
        size, scale = resized.sizes[axis], resized.scales[axis]
        one = _Resized(
            (*image.shape[:2], size, image.shape[3]), (1.0, 1.0, scale, 1.0), resized.is_exact
        )
        y = _image(net, node, image, one, f"axis{axis}")
        x = reshaped(net, node, y, (*before, size, *after), f"resized{axis}")
    if not changed:
        net.leave_out(node)
    return x


def _image(net: Importer, node: FileNode, x: Value, resized: _Resized, part: str = "") -> Value:
    """Repeat pixels, where this is what a nearest neighbour at whole factors means; or interpolate.

    Nothing changes along the minibatch and the channels.
    """
    op = _resize_op(net, node, resized)
    repeats = op.rounding is not None and resized.is_exact and _repeats(net, node)
    if resized.sizes == x.shape and (repeats or op.scales == (1.0, 1.0)):
        net.leave_out(node)
        return x
    rows, columns = (new // old for new, old in zip(resized.sizes[2:], x.shape[2:], strict=True))
    if repeats and resized.sizes[2:] == (rows * x.shape[2], columns * x.shape[3]):
        return net.emit(node, Upsample(rows, columns), x, part=part)
    return net.emit(node, op, x, part=part)


def _resize_op(net: Importer, node: FileNode, resized: _Resized) -> Resize:
    """Return the operation of a Resize; UnsupportedNodeError for positions or modes of other kinds.

    Older files have positions without an offset.
    """
    by_coordinates = node.kind == "Resize" and net.opset >= _BY_COORDINATES
    where = node.text(_WHERE, "half_pixel") if by_coordinates else "asymmetric"
    rounding = node.text("nearest_mode", "round_prefer_floor") if by_coordinates else "floor"
    if where == "half_pixel_symmetric" and resized.is_exact:
        where = "half_pixel"
    mode = node.text("mode", _NEAREST)
    smooth = bool(node.integer("antialias", 0)) and mode != _NEAREST
    known = mode in (*_LINEAR, _CUBIC, _NEAREST) and rounding in get_args(Rounding)
    if where not in get_args(Where) or not known or (smooth and where == "align_corners"):
        raise node.unsupported(_UNSUPPORTED)
    (rows, columns), (p, q) = resized.scales[2:], resized.sizes[2:]
    nearest = cast("Rounding", rounding) if mode == _NEAREST else None
    cubic = node.real("cubic_coeff_a", -0.75) if mode == _CUBIC else None
    weighted = mode == _CUBIC or smooth
    excludes = bool(node.integer("exclude_outside", 0)) and weighted
    where = cast("Where", where)
    op = Resize(p, q, (rows, columns), where, nearest, cubic, smooth, excludes)
    if reason := op.too_many_taps:
        raise node.unsupported(reason)
    return op


def _repeats(net: Importer, node: FileNode) -> bool:
    """Whether pixel i of the result is pixel floor(i / factor) of the image."""
    if node.kind == "Upsample" or net.opset < _BY_COORDINATES:
        return True
    where = node.text(_WHERE, "half_pixel")
    rounding = node.text("nearest_mode", "round_prefer_floor")
    if where == "asymmetric":
        return rounding == "floor"
    # Centres of pixels: no centre of the result is half way between two centres of the image.
    half = where in {"half_pixel", "half_pixel_symmetric"}
    return half and rounding in {"round_prefer_floor", "round_prefer_ceil"}


def _resized(net: Importer, node: FileNode, shape: Shape) -> _Resized | None:
    """Return what a Resize or Upsample gives; None where the file does not say."""
    axes = node.integers("axes", tuple(range(len(shape))))
    places = [axis_in(node, axis, len(shape)) for axis in axes]
    before = [shape[place] for place in places]
    if node.has(_SIZES):
        sizes = net.integers(node, _SIZES, "the sizes")
        if len(sizes) != len(places):
            return None
        scales = tuple(new / old for new, old in zip(sizes, before, strict=True))
        return _with_all_axes(shape, places, *_in_proportion(node, before, sizes, scales))
    old = node.kind == "Upsample" or net.opset < _BY_COORDINATES
    factors = _factors(net, node, 1 if old else _SCALES)
    if factors is None or len(factors) != len(places):
        return None
    if not all(math.isfinite(factor) and factor > 0 for factor in factors):
        raise node.refused(f"scales {shown(factors)}: must be finite and more than 0")
    products = [size * factor for size, factor in zip(before, factors, strict=True)]
    sizes = tuple(map(int, products))
    return _with_all_axes(shape, places, sizes, factors, list(sizes) == products)


def _in_proportion(
    node: FileNode, before: list[int], sizes: Shape, scales: tuple[float, ...]
) -> tuple[Shape, tuple[float, ...], bool]:
    """Return sizes and scales, one scale for all axes if the file keeps the proportions."""
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy not in _POLICIES:
        return sizes, scales, True
    scale = _POLICIES[policy](scales)
    kept = tuple(math.floor(scale * size + 0.5) for size in before)
    return kept, (scale,) * len(kept), False


def _with_all_axes(
    shape: Shape, places: list[int], sizes: Shape, scales: tuple[float, ...], is_exact: bool
) -> _Resized:
    """Return the sizes and scales of all axes; axes that are not named stay."""
    every, factors = list(shape), [1.0] * len(shape)
    for place, size, scale in zip(places, sizes, scales, strict=True):
        every[place], factors[place] = size, scale
    return _Resized(tuple(every), tuple(factors), is_exact)


def _factors(net: Importer, node: FileNode, place: int) -> tuple[float, ...] | None:
    if not node.has(place):
        factors = node.attributes.get("scales")
        return factors if isinstance(factors, tuple) else None
    values = net.constant(node, place).values
    return None if values is None else tuple(float(factor) for factor in values.reshape(-1))


CONVERTERS = {
    "Resize": _resize,
    "Upsample": _resize,
}
