"""Attention on a packed projection (n, t, 3w) in ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from convprof.networks.graph import Node
    from convprof.networks.onnx.writer import Writer
    from convprof.networks.ops import Attention, AttentionMix, AttentionScores

_PARTS = 3  # queries, keys, values


def scores(w: Writer, node: Node, op: AttentionScores) -> None:
    """Write queries x keys / sqrt(depth), head by head."""
    _scores(w, node, op.heads, last=True)


def mix(w: Writer, node: Node, op: AttentionMix) -> None:
    """Write weights x values and put the heads side by side."""
    weights, packed = node.inputs
    _mix(w, node, weights, packed, op.heads)


def attention(w: Writer, node: Node, op: Attention) -> None:
    """Write scores, their softmax and the mix of values."""
    raw = _scores(w, node, op.heads, last=False)
    weights = w.add(node, "Softmax", raw, axis=-1, last=False)
    _mix(w, node, weights, node.inputs[0], op.heads)


def _parts(w: Writer, node: Node, packed: str) -> tuple[str, str, str]:
    """Return queries, keys and values, divided once for both products."""
    if packed not in w.packed:
        queries, keys, values = w.split(node, packed, axis=2, pieces=_PARTS)
        w.packed[packed] = queries, keys, values
    return w.packed[packed]


def _heads(w: Writer, node: Node, x: str, heads: int, axes: list[int]) -> str:
    """Return (n, t, w) as (n, t, heads, depth) with its axes in another order."""
    n, t, packed = w.network.shapes[node.inputs[-1]]
    shape = w.integers(node, n, t, heads, packed // (_PARTS * heads))
    wide = w.add(node, "Reshape", x, shape, last=False)
    return w.add(node, "Transpose", wide, perm=axes, last=False)


def _scores(w: Writer, node: Node, heads: int, *, last: bool) -> str:
    (packed,) = node.inputs
    queries, keys, _ = _parts(w, node, packed)
    rows = _heads(w, node, queries, heads, [0, 2, 1, 3])
    columns = _heads(w, node, keys, heads, [0, 2, 3, 1])
    depth = w.network.shapes[packed][-1] // (_PARTS * heads)
    factor = w.constant(node, np.array(depth**-0.5, np.float32))
    product = w.add(node, "MatMul", rows, columns, last=False)
    return w.add(node, "Mul", product, factor, last=last)


def _mix(w: Writer, node: Node, weights: str, packed: str, heads: int) -> None:
    values = _heads(w, node, _parts(w, node, packed)[2], heads, [0, 2, 1, 3])
    mixed = w.add(node, "MatMul", weights, values, last=False)
    beside = w.add(node, "Transpose", mixed, perm=[0, 2, 1, 3], last=False)
    w.add(node, "Reshape", beside, w.integers(node, *w.network.shapes[node.name]))
