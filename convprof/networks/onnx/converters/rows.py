"""Operations along the last axis, of tensors that have more axes than rows of tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.rearranging import reshaped

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.value import Value
    from convprof.networks.ops import Op

_TOKENS = 3


def on_last_axis(net: Importer, node: FileNode, op: Op, x: Value) -> Value:
    """Return an operation on the last axis: (n, ..., c) is (n, t, c) for it, and back.

    Four axes would be taken for an image with its channels in the second.
    """
    if len(x.shape) <= _TOKENS:
        return net.emit(node, op, x)
    flat = (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
    y = net.emit(node, op, reshaped(net, node, x, flat, "rows"))
    return reshaped(net, node, y, (*x.shape[:-1], y.shape[-1]), "back")
