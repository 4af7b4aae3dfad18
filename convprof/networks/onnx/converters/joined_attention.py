"""The Attention of ONNX Runtime: the projection, the products, a softmax and a mask in one node."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.networks.onnx.converters.masks import causal
from convprof.networks.onnx.converters.products import linear
from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.expanding import JOINED_ATTENTION
from convprof.networks.onnx.node import Constant
from convprof.problems.ops import (
    Add,
    Affine,
    AttentionMix,
    AttentionScores,
    Compare,
    Known,
    Softmax,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode, Value

_PARTS = 3
_BIAS, _MASK = 2, 3
_TOKENS = 3


def _attention(net: Importer, node: FileNode) -> Value:
    """Convert attention of a projection (n, t, 3 w), with a mask of keys or their number."""
    x, weight = net.activation(node), net.constant(node, 1)
    bias = [net.constant(node, _BIAS)] if node.has(_BIAS) else []
    heads, columns = node.integer("num_heads", 0), weight.shape[-1] if weight.shape else 0
    if len(x.shape) != _TOKENS or heads < 1 or columns < 1 or columns % (_PARTS * heads):
        raise node.refused(f"{heads} heads of weights of {weight.shape} do not fit {x.shape}")
    width = columns // _PARTS
    usual = (width // heads) ** -0.5
    sizes = node.integers("qkv_hidden_sizes", (width,) * _PARTS)
    same_scale = math.isclose(node.real("scale", 0.0) or usual, usual, rel_tol=1e-3)
    if (
        any(map(node.has, range(_MASK + 1, len(node.inputs))))
        or len({*sizes}) > 1
        or not same_scale
        or node.integer("do_rotary", 0)
    ):
        raise node.unsupported(
            "attention with a cache, a scale, rotary positions, or parts of several sizes"
        )
    packed = linear(net, node, x, weight, bias)
    scores = net.emit(node, AttentionScores(heads), packed, part="qk")
    if node.has(_MASK):
        terms = _terms(net, node, x.shape[0], x.shape[1])
        scores = net.emit(node, Add(), scores, terms, part="masked")
    if node.integer("unidirectional", 0):
        scores = causal(net, node, scores)
    weights = net.emit(node, Softmax(), scores, part="softmax")
    return net.emit(node, AttentionMix(heads), weights, packed)


def _terms(net: Importer, node: FileNode, n: int, tokens: int) -> Value:
    """Return (n, 1, 1, t): 0 for a key that counts, else a very low number."""
    low = node.real("mask_filter_value", -10000.0)
    mask = net.computed(node, _MASK)
    if mask.shape == (n,):
        numbers = Constant.of(np.arange(tokens, dtype=np.float32)[None] + np.float32(0.5))
        places = net.emit(node, Known((1, tokens)), mask, part="places", weights=[numbers])
        column = reshaped(net, node, mask, (n, 1), "lengths")
        mask = net.emit(node, Compare("less"), places, column, part="keys")
    if mask.shape != (n, tokens):
        raise node.unsupported(f"a mask of {mask.shape}")
    terms = net.emit(node, Affine(-low, low), mask, part="terms")
    return reshaped(net, node, terms, (n, 1, 1, tokens), "mask")


CONVERTERS = {JOINED_ATTENTION: _attention}
