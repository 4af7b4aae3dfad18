"""Padding of a window that moves over an image, as ONNX writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from convprof.networks.ops import Activation, Clip, HardSigmoid, Pad

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.value import Value
    from convprof.networks.ops import Op, Shape

Pads: TypeAlias = tuple[int, int, int, int]
"""Top, left, bottom, right."""

PAD_NOTE = "Pad before a convolution or pool: here it is their own padding"
LOWEST = -float(np.finfo(np.float32).max)
"""Used for minus infinity as the value of a Pad node: no result is below it."""
_SIDES = 4
_NOT_NEGATIVE = ("relu", "relu6", "sigmoid", "hardsigmoid")


def padding(
    node: FileNode,
    image: Shape,
    window: tuple[int, int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads:
    """Return (top, left, bottom, right) for a window on (n, c, h, w).

    ``auto_pad`` SAME keeps ceil(size / stride) outputs; what is odd of its padding goes to the end
    (SAME_UPPER) or the beginning (SAME_LOWER).
    """
    auto = node.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        top, left, bottom, right = node.integers("pads", (0,) * _SIDES, _SIDES)
        return top, left, bottom, right
    if auto == "VALID":
        return 0, 0, 0, 0
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.refused("auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    if min(stride) < 1:
        raise node.refused(f"strides {stride} must be at least 1")
    totals = [
        max((-(-size // step) - 1) * step + (taps - 1) * apart + 1 - size, 0)
        for size, taps, step, apart in zip(image[2:], window, stride, dilation, strict=True)
    ]
    less, more = ([total // 2 for total in totals], [-(-total // 2) for total in totals])
    (top, left), (bottom, right) = (less, more) if auto == "SAME_UPPER" else (more, less)
    return top, left, bottom, right


def before_padding(net: Importer, x: Value, value: float = 0.0) -> tuple[Value, Pads]:
    """Return an image as it was before a Pad node put a value around it, and how much of it.

    The image itself, and no padding, where none or another value was put around it.
    """
    op = net.op(x)
    if not isinstance(op, Pad) or op.value != value or any((*op.before[:2], *op.after[:2])):
        return x, (0, 0, 0, 0)
    (top, left), (bottom, right) = op.before[2:], op.after[2:]
    return net.source_of(x), (top, left, bottom, right)


def widened_by(pads: Pads, more: Pads) -> Pads:
    """Return the sum of two paddings."""
    top, left, bottom, right = (a + b for a, b in zip(pads, more, strict=True))
    return top, left, bottom, right


def is_not_negative(op: Op | None) -> bool:
    """Whether no result of an operation is below 0."""
    if isinstance(op, Activation):
        return op.function in _NOT_NEGATIVE
    if isinstance(op, Clip):
        return op.low is not None and op.low >= 0
    return isinstance(op, HardSigmoid)
