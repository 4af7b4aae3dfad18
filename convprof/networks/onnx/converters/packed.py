"""Attention whose queries, keys and values are thirds of one projection (n, t, 3w).

Exporters write it as reshapes, transpositions and slices around two products and a softmax. Where
these amount to just that, the operations on the packed projection take their place: they say more
and rearrange less.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.networks.onnx.strided import Strided
from convprof.networks.ops import (
    AttentionMix,
    AttentionScores,
    Flatten,
    MatMul,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.value import Value
    from convprof.networks.ops import Shape

_HEADS_AXES = 4  # (n, heads, t, depth)
_PARTS = 3
_LONGEST = 32
"""Moves between the projection and a product; exporters write up to ten."""
_BETWEEN = (0, 2, 1, 3)  # (n, heads, t, depth) and (n, t, heads, depth)
_TURNED = (1, 0, 2)
_TOLERANCE = 1e-3  # of the factor 1 / sqrt(depth), which a file may hold in half precision


def packed_attention(net: Importer, node: FileNode, weights: Value, values: Value) -> Value | None:
    """Return the mix (n, heads, t, depth) of weights and values if all is as described; or None.

    ``node`` is the second product. The first one becomes the scores of the packed projection.
    """
    scores = _scores(net, weights)
    if scores is None or len(values.shape) != _HEADS_AXES or values.factor != 1:
        return None
    product = net.nodes[scores.name]
    queries, keys = (net.value(name) for name in product.inputs)
    n, heads, t, depth = values.shape
    packed = (n, t, _PARTS * heads * depth)
    bases = {
        _base(net, each, values.shape, part) for part, each in enumerate((queries, keys, values))
    }
    base = bases.pop()
    if base is None or bases or not _is_scaled(product.op, depth):
        return None
    if base.shape == packed:
        op = AttentionScores(heads)
        net.nodes[scores.name] = replace(product, op=op, inputs=(base.name,))
    else:
        base = _batch_first(net, node, base, packed)
        scores = net.emit(node, AttentionScores(heads), base, part="qk")
        weights = net.emit(node, Softmax(), scores, part="softmax")
    mixed = net.emit(node, AttentionMix(heads), weights, base)
    apart = reshaped(net, node, mixed, (n, t, heads, depth), "heads")
    return transposed(net, node, apart, _BETWEEN, "order")


def _batch_first(net: Importer, node: FileNode, base: Value, packed: Shape) -> Value:
    """Return (n, t, 3w) of a projection that lies so, or has its tokens first."""
    n, t, channels = packed
    if n > 1 and base.shape == (t, n, channels):
        return transposed(net, node, base, _TURNED, "packed")
    return reshaped(net, node, base, packed, "packed")


def _scores(net: Importer, weights: Value) -> Value | None:
    """Return the product before a softmax, of queries and keys."""
    if not isinstance(net.op(weights), Softmax):
        return None
    scores = net.source_of(weights)
    op = net.op(scores)
    return scores if isinstance(op, MatMul) and op.transpose_b else None


def _is_scaled(op: object, depth: int) -> bool:
    return isinstance(op, MatMul) and math.isclose(op.scale, depth**-0.5, rel_tol=_TOLERANCE)


def _base(net: Importer, value: Value, shape: Shape, part: int) -> Value | None:
    """Return the projection of which a value is one third, head by head; None if it is not.

    ``shape`` is (n, heads, t, depth); ``part`` is 0 for queries, 1 for keys and 2 for values.
    """
    chain: list[tuple[Reshape | Flatten | Transpose | Slice, Shape]] = []
    while isinstance(op := net.op(value), Reshape | Flatten | Transpose | Slice):
        if len(chain) == _LONGEST:
            return None
        chain.append((op, value.shape))
        value = net.source_of(value)
    n, heads, t, depth = shape
    channels = _PARTS * heads * depth
    found: Strided | None = Strided.whole(value.shape)
    for op, made in reversed(chain):
        if found is None:
            return None
        if isinstance(op, Transpose):
            found = found.transposed(op.axes)
        elif isinstance(op, Slice):
            found = found.sliced(op.axis, op.start, op.stop)
        else:
            found = found.reshaped(made)
    image, token = t * channels, channels
    if value.shape == (t, n, channels):
        image, token = channels, n * channels
    thirds = Strided.of(shape, (image, depth, token, 1), part * heads * depth)
    fits = math.prod(value.shape) == n * t * channels
    return value if fits and found is not None and found.same(thirds) else None
