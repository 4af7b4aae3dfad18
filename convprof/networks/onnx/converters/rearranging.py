"""As few reshapes and transpositions as possible, however many the file has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.problems.ops import Flatten, Pad, Reshape, Tokens, Transpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import Constant, FileNode, Value
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape


_IMAGE = 4
_TO_ROWS = (0, 2, 1)


def reshaped(net: Importer, node: FileNode, x: Value, shape: Shape, part: str = "") -> Value:
    """Return the same numbers in another shape.

    A reshape of a reshape is one; pixels with their channels last are tokens.
    """
    if shape == x.shape:
        return x
    match net.op(x):
        case Reshape() | Flatten():
            return reshaped(net, node, net.source_of(x), shape, part)
        case Tokens() if _is_pixel_tokens(net.source_of(x).shape, shape):
            return x
        case Transpose((0, 2, 3, 1)) if _is_pixel_tokens(net.source_of(x).shape, shape):
            return net.emit(node, Tokens(), net.source_of(x), part=part)
    if len(shape) == len(("n", "c")) and len(x.shape) > len(shape) and shape[0] == x.shape[0]:
        return net.emit(node, Flatten(), x, part=part)
    return net.emit(node, Reshape(shape), x, part=part)


def transposed(
    net: Importer, node: FileNode, x: Value, axes: tuple[int, ...], part: str = ""
) -> Value:
    """Return the axes in another order: one transposition for several in a row, none for none.

    Moving axes of size 1 past others is a change of shape alone. Zeros around the axes are put
    there afterwards, where a convolution can take them up.
    """
    if sorted(axes) != list(range(len(x.shape))):
        raise node.refused(f"perm={axes} is not an order of the axes of {x.shape}")
    match net.op(x):
        case Transpose(first):
            both = tuple(first[axis] for axis in axes)
            return transposed(net, node, net.source_of(x), both, part)
        case Pad(before, after, 0):
            inner = transposed(net, node, net.source_of(x), axes, "inner")
            before, after = (tuple(side[axis] for axis in axes) for side in (before, after))
            return net.emit(node, Pad(before, after), inner, part=part)
        case Reshape() if axes == _TO_ROWS:
            image = net.source_of(x)
            if len(image.shape) == _IMAGE and x.shape[:2] == image.shape[:2]:
                return net.emit(node, Tokens(), image, part=part)
    moving = [axis for axis in axes if x.shape[axis] > 1]
    if moving == sorted(moving):
        return reshaped(net, node, x, tuple(x.shape[axis] for axis in axes), part)
    return net.emit(node, Transpose(axes), x, part=part)


def _is_pixel_tokens(image: Shape, shape: Shape) -> bool:
    """Whether (n, h w, c) is that shape for an image (n, c, h, w)."""
    if len(image) != _IMAGE:
        return False
    n, c, h, w = image
    return shape == (n, h * w, c)


# Operations along the last axis, of tensors that have more axes than rows of tokens.

_TOKENS = 3


def on_last_axis(
    net: Importer, node: FileNode, op: Op, x: Value, weights: Sequence[Constant] = ()
) -> Value:
    """Return an operation on the last axis: (n, ..., c) is (n, t, c) for it, and back.

    Four axes would be taken for an image with its channels in the second; one axis has no images.
    """
    if 1 < len(x.shape) <= _TOKENS:
        return net.emit(node, op, x, weights=weights)
    first = x.shape[0] if len(x.shape) > 1 else 1
    flat = (first, math.prod(x.shape[1:-1]), x.shape[-1])
    y = net.emit(node, op, reshaped(net, node, x, flat, "rows"), weights=weights)
    return reshaped(net, node, y, (*x.shape[:-1], y.shape[-1]), "back")
