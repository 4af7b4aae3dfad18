"""Windows of convolutions and pools, and the padding around what they move over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from convprof.integers import ceil_div
from convprof.problems.ops import Activation, Clip, HardSigmoid, Pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape

Pads: TypeAlias = tuple[int, int, int, int]
"""Top, left, bottom, right."""

PAD_NOTE = "Pad before a convolution or pool: here it is their own padding"
_NOT_NEGATIVE = ("relu", "relu6", "sigmoid", "hardsigmoid")


class AxisWindow(NamedTuple):
    """How a window moves along an axis."""

    stride: int
    dilation: int
    before: int
    """Padding before the axis."""
    after: int


def windows(node: FileNode, sizes: Shape, taps: Shape) -> list[AxisWindow]:
    """Return how a window of ``taps`` elements moves along each of some axes."""
    count = len(sizes)
    stride = node.integers("strides", (1,) * count, count)
    dilation = node.integers("dilations", (1,) * count, count)
    before, after = _around(node, sizes, taps, stride, dilation)
    return [AxisWindow(*each) for each in zip(stride, dilation, before, after, strict=True)]


def padding(
    node: FileNode,
    image: Shape,
    window: tuple[int, int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads:
    """Return (top, left, bottom, right) for a window on (n, c, h, w)."""
    (top, left), (bottom, right) = _around(node, image[2:], window, stride, dilation)
    return top, left, bottom, right


def _around(
    node: FileNode,
    sizes: Shape,
    window: Shape,
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the padding before and after each axis.

    ``auto_pad`` SAME keeps ceil(size / stride) outputs; an odd element of padding goes to the end
    (SAME_UPPER) or the beginning (SAME_LOWER).
    """
    auto, count = node.text("auto_pad", "NOTSET"), len(sizes)
    if auto == "NOTSET":
        pads = node.integers("pads", (0,) * (2 * count), 2 * count)
        return pads[:count], pads[count:]
    if auto == "VALID":
        return (0,) * count, (0,) * count
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.refused("auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    if min(stride) < 1:
        raise node.refused(f"strides {tuple(stride)} must be at least 1")
    totals = [
        max((ceil_div(size, step) - 1) * step + (taps - 1) * apart + 1 - size, 0)
        for size, taps, step, apart in zip(sizes, window, stride, dilation, strict=True)
    ]
    less, more = ([total // 2 for total in totals], [ceil_div(total, 2) for total in totals])
    return (less, more) if auto == "SAME_UPPER" else (more, less)


def along_rows(node: FileNode, size: int, taps: int) -> AxisWindow:
    """Return the window of ``taps`` elements that a 1-D node moves along rows of that size."""
    (window,) = windows(node, (size,), (taps,))
    return window


def before_padding(net: Importer, x: Value, value: float = 0.0) -> tuple[Value, Pads]:
    """Return an image as it was before a Pad node put a value around it, and how much of it.

    The image itself, and no padding, where none or another value was put around it.
    """
    match net.op(x):
        case Pad((0, 0, top, left), (0, 0, bottom, right), around) if around == value:
            return net.source_of(x), (top, left, bottom, right)
    return x, (0, 0, 0, 0)


def widened_by(pads: Pads, more: Pads) -> Pads:
    """Return the sum of two paddings."""
    top, left, bottom, right = (a + b for a, b in zip(pads, more, strict=True))
    return top, left, bottom, right


def is_not_negative(op: Op | None) -> bool:
    """Whether no result of an operation is below 0."""
    match op:
        case Activation(function):
            return function in _NOT_NEGATIVE
        case Clip(low) if low is not None:
            return low >= 0
        case HardSigmoid():
            return True
    return False
