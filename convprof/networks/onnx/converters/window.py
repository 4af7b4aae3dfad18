"""Padding of a window that moves over an image, as ONNX writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.ops import Shape

_SIDES = 4


def padding(
    node: FileNode,
    image: Shape,
    window: tuple[int, int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, int, int, int]:
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
