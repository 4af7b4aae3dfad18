"""The definition of each problem in Halide's terms, without a schedule.

Axes have letters. A product has z (batch), i, j and t (summed over); a convolution n, g (groups), k
and c (channels within a group), p, q, r, s, and h, w of its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.dtypes import find
from convprof.strategies.peers.halide.forms import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.problems import Conv2d, Gemm
    from convprof.strategies.base import Setting


@dataclass(frozen=True)
class Shape:
    """The sizes of a problem's axes and the order in which its arrays have them."""

    sizes: Mapping[str, int]
    x: Form
    y: Form
    weights: str
    """The axes of the weights as the problem has them."""
    usual: Form
    """The weights unless a schedule needs another order: the innermost axis is y's or s."""
    sums: str
    """The axes that are summed over, outermost first."""

    def weight_elements(self) -> int:
        """Return the number of weights."""
        count = 1
        for axis in self.weights:
            count *= self.sizes[axis]
        return count


@dataclass(frozen=True)
class Nest:
    """The definition in Halide: the input of a schedule."""

    hl: Any
    shape: Shape
    inputs: tuple[Any, Any]
    sums: Any
    """The Func whose update adds the products up, over y's axes, innermost first."""
    loops: Mapping[str, Any]
    """The variables of y's axes by letter."""
    taps: tuple[Any, ...]
    """The variables that are summed over, innermost first."""
    padded: Any = None
    """The input with a border of zeros, or None without padding."""
    padded_sizes: Mapping[str, int] | None = None

    def at(self) -> list[Any]:
        """Return y's variables in its order, innermost first."""
        return self.shape.y.at(self.loops)


def gemm_shape(g: Gemm) -> Shape:
    """Return the shape of a product, always with a batch axis."""
    sizes = {"z": g.batch, "i": g.m, "j": g.n, "t": g.k}
    return Shape(sizes, Form("zit"), Form("zij"), "ztj", Form("ztj"), "t")


def conv_shape(p: Conv2d, layout: str) -> Shape:
    """Return the shape of a convolution, always with an axis of groups.

    In NHWC the weights have the output channels innermost too, as TensorFlow has them: its
    vectors are channels.
    """
    sizes = {key: getattr(p, key) for key in "nhwrspq"}
    sizes |= {"g": p.groups, "k": p.kg, "c": p.cg}
    if layout == "nhwc":
        return Shape(sizes, Form("nhwgc"), Form("npqgk"), "gkcrs", Form("grsck"), "rsc")
    return Shape(sizes, Form("ngchw"), Form("ngkpq"), "gkcrs", Form("gkcrs"), "crs")


def gemm(hl: Any, shape: Shape, setting: Setting, form: Form) -> Nest:
    """Define ``y(i, j) = sum over t of x(i, t) * weights(t, j)``, with weights in ``form``."""
    x, weights, loops, place, taps = _started(hl, shape, setting, form)
    sums = _summed(hl, shape, setting, loops, x[shape.x.at(place)] * weights[form.at(place)])
    return Nest(hl, shape, (x, weights), sums, loops, taps)


def conv2d(hl: Any, shape: Shape, setting: Setting, form: Form, p: Conv2d) -> Nest:
    """Define ``y(p, q) = sum over c, r, s of x(c, p stride + r dilation - pad, …) * weights``."""
    x, weights, loops, place, taps = _started(hl, shape, setting, form)
    (down, across), (high, wide), (top, left, *_) = p.stride, p.dilation, p.pads
    place["h"] = place["p"] * down + place["r"] * high - top
    place["w"] = place["q"] * across + place["s"] * wide - left
    padded = padded_sizes = None
    image = x
    if any(p.pads):
        axes = {axis: hl.Var(axis) for axis in shape.x.order}
        around = hl.BoundaryConditions.constant_exterior(x, _zero(hl, setting))
        image = padded = hl.Func("padded")
        padded[shape.x.at(axes)] = around[shape.x.at(axes)]
        padded_sizes = dict(shape.sizes)
        padded_sizes["h"] = (p.p - 1) * down + (p.r - 1) * high + 1
        padded_sizes["w"] = (p.q - 1) * across + (p.s - 1) * wide + 1
    sums = _summed(hl, shape, setting, loops, image[shape.x.at(place)] * weights[form.at(place)])
    return Nest(hl, shape, (x, weights), sums, loops, taps, padded, padded_sizes)


def fix(parameter: Any, form: Form, sizes: Mapping[str, int]) -> None:
    """Give Halide the exact strides of a dense array, so that it generates code for this shape."""
    stride = 1
    for index, extent in enumerate(reversed(form.shape(sizes))):
        parameter.dim(index).set_bounds(0, extent).set_stride(stride)
        stride *= extent


def _zero(hl: Any, setting: Setting) -> Any:
    return hl.cast(hl.Float(find(setting.dtype).bits), 0)


def _started(hl: Any, shape: Shape, setting: Setting, form: Form) -> tuple[Any, ...]:
    """Return both inputs, y's variables, all variables by letter, and the variables of the sums."""
    element = hl.Float(find(setting.dtype).bits)
    x = hl.ImageParam(element, len(shape.x.order), "x")
    weights = hl.ImageParam(element, len(form.order), "weights")
    fix(x, shape.x, shape.sizes)
    fix(weights, form, shape.sizes)
    loops = {axis: hl.Var(axis) for axis in shape.y.order}
    inner_first = shape.sums[::-1]
    domain = hl.RDom([(0, shape.sizes[axis]) for axis in inner_first])
    taps = tuple(domain[index] for index in range(len(inner_first)))
    place = {**loops, **dict(zip(inner_first, taps, strict=True))}
    return x, weights, loops, place, taps


def _summed(hl: Any, shape: Shape, setting: Setting, loops: Mapping[str, Any], term: Any) -> Any:
    sums = hl.Func("sums")
    at = shape.y.at(loops)
    sums[at] = _zero(hl, setting)
    sums[at] += term
    return sums
