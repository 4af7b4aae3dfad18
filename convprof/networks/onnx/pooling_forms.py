"""Pooling in ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convprof.networks.graph import Node
    from convprof.networks.onnx.writer import Writer
    from convprof.networks.ops import AdaptiveAverage, Pool2d


def pool(w: Writer, node: Node, op: Pool2d) -> None:
    """Write MaxPool or AveragePool."""
    settings: dict[str, Any] = {
        "kernel_shape": [op.r, op.s],
        "strides": op.stride,
        "pads": op.pads,
        "ceil_mode": int(op.ceil),
    }
    if op.which == "max":
        w.add(node, "MaxPool", *node.inputs, **settings)
    else:
        counted = int(op.count_padding)
        w.add(node, "AveragePool", *node.inputs, count_include_pad=counted, **settings)


def adaptive(w: Writer, node: Node, op: AdaptiveAverage) -> None:
    """Write averages over regions: one window moved on where they are alike, else one by one.

    A region's average is that of its rows' averages, so rows and columns are taken in turn.
    """
    (x,), ((_, _, h, width),) = node.inputs, w.reads(node)
    if (op.p, op.q) == (1, 1):
        w.add(node, "GlobalAveragePool", x)
    elif h % op.p == 0 and width % op.q == 0:
        window = [h // op.p, width // op.q]
        w.add(node, "AveragePool", x, kernel_shape=window, strides=window)
    else:
        rows = _regions(w, node, x, axis=2, pixels=h, count=op.p)
        columns = _regions(w, node, rows, axis=3, pixels=width, count=op.q)
        w.add(node, "Identity", columns)


def _regions(w: Writer, node: Node, x: str, *, axis: int, pixels: int, count: int) -> str:
    """Return the averages over the regions of one axis."""
    means = []
    for index in range(count):
        begin, end = index * pixels // count, -(-(index + 1) * pixels // count)
        bounds = (w.integers(node, number) for number in (begin, end, axis))
        part = w.add(node, "Slice", x, *bounds, last=False)
        axes = w.integers(node, axis)
        means.append(w.add(node, "ReduceMean", part, axes, keepdims=1, last=False))
    return w.add(node, "Concat", *means, axis=axis, last=False)
