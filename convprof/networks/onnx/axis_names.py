"""Names of the axes of the input: of an image, in the order in which the graph reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.networks.onnx.source import Source

CHANNELS_FIRST = ("batch", "channels", "height", "width")
CHANNELS_LAST = ("batch", "height", "width", "channels")
USUAL = {"batch": 1, "channels": 3, "height": 224, "width": 224}
"""Sizes for an example that a network for images can be run with."""

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_ASK_FOR_SHAPES = ("Shape", "Size")
_KEEP_AXES = (
    *("Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div", "Identity", "Mul"),
    *("Pad", "QuantizeLinear", "Relu", "Sub"),
)


def axis_names(source: Source, rank: int) -> tuple[str, ...]:
    """Return a name for each axis of the input.

    TensorFlow and Keras have images (n, h, w, c): their files transpose the input before the first
    convolution reads it. What shifts or scales the input may come before that.
    """
    if rank != len(CHANNELS_FIRST):
        return ("batch", *(f"dim{axis}" for axis in range(1, rank)))
    same = {source.input.name}
    for node in source.nodes:
        if same.isdisjoint(node.inputs) or node.kind in _ASK_FOR_SHAPES:
            continue
        if node.kind == "Transpose" and node.integers("perm", ()) == _TO_CHANNELS_FIRST:
            return CHANNELS_LAST
        if node.kind not in _KEEP_AXES:
            break
        same.update(node.outputs)
    return CHANNELS_FIRST
