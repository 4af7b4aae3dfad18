"""The Attention of operator set 23 on queries, keys and values: two products and a softmax.

A causal mask is a sum with a constant, and keys that heads share are repeated: the steps of a
network make one layer of all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.masks import causal
from convprof.networks.onnx.converters.rearranging import reshaped, transposed
from convprof.problems.ops import Expand, MatMul, Softmax

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value

_HEADS_AXES, _ROWS = 4, 3
_BETWEEN = (0, 2, 1, 3)  # (n, heads, t, depth) and (n, t, heads, depth)
_OPERANDS = ("q", "k", "v")


def _attention(net: Importer, node: FileNode) -> Value:
    """Convert attention without a mask as an input, cache and soft cap."""
    others = range(len(_OPERANDS), len(node.inputs))
    more = node.integer("qk_matmul_output_mode", 0) or node.real("softcap", 0.0)
    if any(map(node.has, others)) or more:
        raise node.unsupported("attention with a mask as an input, a cache or a soft cap")
    rows = net.activation(node)
    q, k, v = (_by_heads(net, node, at) for at in range(len(_OPERANDS)))
    k, v = (_repeated(net, node, x, q.shape[1], name) for x, name in ((k, "k"), (v, "v")))
    scale = node.real("scale", q.shape[-1] ** -0.5)
    scores = net.emit(node, MatMul(transpose_b=True, scale=scale), q, k, part="qk")
    if node.integer("is_causal", 0):
        tokens, keys = scores.shape[-2:]
        if tokens != keys:  # the operator gives the first query the first key
            raise node.unsupported(f"a causal mask of {tokens} queries and {keys} keys")
        scores = causal(net, node, scores)
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


def _repeated(net: Importer, node: FileNode, x: Value, heads: int, name: str) -> Value:
    """Return keys or values with as many heads as the queries."""
    n, own, tokens, depth = x.shape
    if own == heads:
        return x
    if heads % own:
        raise node.refused(f"{heads} heads of queries cannot share {own} heads of keys")
    one = reshaped(net, node, x, (n, own, 1, tokens, depth), f"{name}_one")
    every = net.emit(
        node, Expand((n, own, heads // own, tokens, depth)), one, part=f"{name}_shared"
    )
    return reshaped(net, node, every, (n, heads, tokens, depth), f"{name}_repeated")


CONVERTERS = {"Attention": _attention}
