"""The Attention of operator set 23 on queries, keys and values: two products and a softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.problems.ops import MatMul, Softmax

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value

_HEADS_AXES, _ROWS = 4, 3
_BETWEEN = (0, 2, 1, 3)  # (n, heads, t, depth) and (n, t, heads, depth)
_PLAIN = {"is_causal": 0, "qk_matmul_output_mode": 0}
_OPERANDS = ("q", "k", "v")


def _attention(net: Importer, node: FileNode) -> Value:
    """Convert attention without mask, cache and soft cap, with as many keys' heads as queries'."""
    others = range(len(_OPERANDS), len(node.inputs))
    changed = any(node.integer(key, usual) != usual for key, usual in _PLAIN.items())
    if any(map(node.has, others)) or changed or node.real("softcap", 0.0):
        raise node.unsupported("only attention without mask, cache and soft cap is supported")
    rows = net.activation(node)
    q, k, v = (_by_heads(net, node, at) for at in range(len(_OPERANDS)))
    if not q.shape[:2] == k.shape[:2] == v.shape[:2]:
        raise node.unsupported("keys with fewer heads than queries are not supported")
    scale = node.real("scale", q.shape[-1] ** -0.5)
    scores = net.emit(node, MatMul(transpose_b=True, scale=scale), q, k, part="qk")
    weights = net.emit(node, Softmax(), scores, part="softmax")
    mixed = net.emit(node, MatMul(), weights, v)
    if len(rows.shape) == _HEADS_AXES:
        return mixed
    n, heads, t, depth = mixed.shape
    ordered = transposed(net, node, mixed, _BETWEEN, "order")
    return reshaped(net, node, ordered, (n, t, heads * depth), "rows")


def _by_heads(net: Importer, node: FileNode, at: int) -> Value:
    """Return an operand as (n, heads, t, depth)."""
    x = net.activation(node, at)
    if len(x.shape) == _HEADS_AXES:
        return x
    heads = node.integer("q_num_heads" if at == 0 else "kv_num_heads", 0)
    if len(x.shape) != _ROWS or heads < 1 or x.shape[-1] % heads:
        raise node.refused(f"{heads} heads do not fit {x.shape}")
    n, t, width = x.shape
    apart = reshaped(net, node, x, (n, t, heads, width // heads), f"{_OPERANDS[at]}_heads")
    return transposed(net, node, apart, _BETWEEN, f"{_OPERANDS[at]}_order")


CONVERTERS = {"Attention": _attention}
