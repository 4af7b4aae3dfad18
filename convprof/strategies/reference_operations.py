"""The float64 reference of each operation of a network, by class, from its definition.

Operands are arrays in float64 and in logical shapes: activations, then weights, then buffers.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convprof.integers import ceil_div
from convprof.networks import ops
from convprof.networks.ops.base import channel_axis

Array = np.ndarray[Any, Any]
"""Annotations are read when a function is registered."""


@functools.singledispatch
def compute(op: ops.Op, *operands: Array) -> Array:
    """Return the result of ``op``; NotImplementedError for a class that has no reference."""
    raise NotImplementedError(f"no reference for {type(op).__name__}")


@compute.register
def _(op: ops.Activation, x: Array) -> Array:
    from convprof.strategies.reference import FUNCTIONS  # which asks this module for operations

    return FUNCTIONS[op.function](x)


@compute.register
def _(op: ops.Affine, x: Array) -> Array:
    return op.factor * x + op.term


@compute.register
def _(op: ops.Clip, x: Array) -> Array:
    return np.clip(x, op.low, op.high)


@compute.register
def _(op: ops.HardSigmoid, x: Array) -> Array:
    return np.clip(op.alpha * x + op.beta, 0.0, 1.0)


@compute.register
def _(_: ops.Add, a: Array, b: Array) -> Array:
    return a + b


@compute.register
def _(_: ops.Maximum, a: Array, b: Array) -> Array:
    return np.maximum(a, b)


@compute.register
def _(_: ops.Minimum, a: Array, b: Array) -> Array:
    return np.minimum(a, b)


@compute.register
def _(_: ops.Multiply, a: Array, b: Array) -> Array:
    return a * b


def _along_channels(vector: Array, x: Array) -> Array:
    """Return a vector of a number per channel in a shape that fits ``x``."""
    axis = channel_axis(x.shape)
    return vector.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


@compute.register
def _(op: ops.BatchNorm, x: Array, *vectors: Array) -> Array:
    weight, bias, mean, variance = (_along_channels(vector, x) for vector in vectors)
    return (x - mean) / np.sqrt(variance + op.eps) * weight + bias


@compute.register
def _(op: ops.LayerNorm, x: Array, *vectors: Array) -> Array:
    weight, *bias = (_along_channels(vector, x) for vector in vectors)
    axis = channel_axis(x.shape)
    mean, variance = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    result: Array = (x - mean) / np.sqrt(variance + op.eps) * weight
    return result + bias[0] if bias else result


@compute.register
def _(op: ops.ResponseNorm, x: Array) -> Array:
    before, after = op.window
    squares = np.pad(x * x, ((0, 0), (before, after), (0, 0), (0, 0)))
    total = sliding_window_view(squares, op.size, 1).sum(-1)
    result: Array = x / (op.bias + op.alpha / op.size * total) ** op.beta
    return result


@compute.register
def _(_: ops.LayerScale, x: Array, weight: Array) -> Array:
    return x * _along_channels(weight, x)


@compute.register
def _(_: ops.Bias, x: Array, bias: Array) -> Array:
    return x + _along_channels(bias, x)


@compute.register
def _(_: ops.Softmax, x: Array) -> Array:
    powers: Array = np.exp(x - x.max(-1, keepdims=True))
    result: Array = powers / powers.sum(-1, keepdims=True)
    return result


@compute.register
def _(op: ops.Pool2d, x: Array) -> Array:
    if op.which == "max":
        largest: Array = _windows(op, x, -np.inf, -np.inf).max((-2, -1))
        return largest
    seen = np.ones((1, 1, *x.shape[2:]))
    counts = _windows(op, seen, 1.0 if op.count_padding else 0.0, 0.0).sum((-2, -1))
    result: Array = _windows(op, x, 0.0, 0.0).sum((-2, -1)) / counts
    return result


def _windows(op: ops.Pool2d, x: Array, padding: float, beyond: float) -> Array:
    """Return every window, ``(n, c, p, q, r, s)``, with values for what is not the image."""
    top, left, bottom, right = op.pads
    _, _, p, q = op.output(x.shape)
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=padding)
    last = (p - 1) * op.stride[0] + op.r, (q - 1) * op.stride[1] + op.s
    more = [(0, max(0, size - has)) for size, has in zip(last, padded.shape[2:], strict=True)]
    whole = np.pad(padded, ((0, 0), (0, 0), *more), constant_values=beyond)
    found = sliding_window_view(whole, (op.r, op.s), (2, 3))
    return found[:, :, :: op.stride[0], :: op.stride[1]][:, :, :p, :q]


@compute.register
def _(op: ops.AdaptiveAverage, x: Array) -> Array:
    h, w = x.shape[2:]
    result = np.empty((*x.shape[:2], op.p, op.q))
    for i, j in np.ndindex(op.p, op.q):
        rows = slice(i * h // op.p, ceil_div((i + 1) * h, op.p))
        columns = slice(j * w // op.q, ceil_div((j + 1) * w, op.q))
        result[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
    return result


def _heads(packed: Array, heads: int) -> Array:
    """Return queries, keys and values, ``(3, n, heads, t, depth)``, of ``(n, t, 3w)``."""
    n, t, width = packed.shape
    return packed.reshape(n, t, 3, heads, width // (3 * heads)).transpose(2, 0, 3, 1, 4)


@compute.register
def _(op: ops.AttentionScores, packed: Array) -> Array:
    queries, keys, _ = _heads(packed, op.heads)
    scores: Array = np.matmul(queries, keys.swapaxes(-1, -2)) / math.sqrt(queries.shape[-1])
    return scores


@compute.register
def _(op: ops.AttentionMix, weights: Array, packed: Array) -> Array:
    mixed: Array = np.matmul(weights, _heads(packed, op.heads)[2]).swapaxes(1, 2)
    return mixed.reshape(op.output(weights.shape, packed.shape))


@compute.register
def _(op: ops.Attention, packed: Array) -> Array:
    weights = compute(ops.Softmax(), compute(ops.AttentionScores(op.heads), packed))
    return compute(ops.AttentionMix(op.heads), weights, packed)


@compute.register
def _(op: ops.MatMul, a: Array, b: Array) -> Array:
    product: Array = op.scale * np.matmul(a, b.swapaxes(-1, -2) if op.transpose_b else b)
    return product


@compute.register
def _(_: ops.ClassToken, x: Array, weight: Array) -> Array:
    first = np.broadcast_to(weight, (x.shape[0], 1, x.shape[2]))
    return np.concatenate([first, x], axis=1)


@compute.register
def _(_: ops.PositionEmbedding, x: Array, weight: Array) -> Array:
    return x + weight


@compute.register
def _(op: ops.SelectToken, x: Array) -> Array:
    return x[:, op.index]


@compute.register
def _(_: ops.Tokens, x: Array) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, c, h * w).swapaxes(1, 2)


@compute.register
def _(op: ops.Flatten, x: Array) -> Array:
    return x.reshape(op.output(x.shape))


@compute.register
def _(op: ops.Reshape, x: Array) -> Array:
    return x.reshape(op.output(x.shape))


@compute.register
def _(op: ops.Transpose, x: Array) -> Array:
    return x.transpose(op.axes)


@compute.register
def _(op: ops.Slice, x: Array) -> Array:
    return x[(slice(None),) * op.axis + (slice(op.start, op.stop),)]


@compute.register
def _(op: ops.Pad, x: Array) -> Array:
    pads = list(zip(op.before, op.after, strict=True))
    return np.pad(x, pads, constant_values=op.value)


@compute.register
def _(op: ops.Concat, *parts: Array) -> Array:
    return np.concatenate(parts, axis=op.axis)
