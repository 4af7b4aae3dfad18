"""Every operation of a network in ONNX's operators.

A function per kind of op, each of which appends nodes of which the last has the node's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div
from convprof.networks.onnx import opaque_form
from convprof.networks.onnx.recurrent_form import recurrent
from convprof.networks.onnx.token_forms import TOKEN_FORMS
from convprof.problems import ops
from convprof.problems.onnx_conv import all_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.writer import Writer
    from convprof.problems.graph import Node
    from convprof.problems.ops import (
        AdaptiveAverage,
        Attention,
        AttentionMix,
        AttentionScores,
        Pool2d,
    )


# Pooling in ONNX's operators.


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

    The average of a region is the average of its rows' averages: rows first, then columns.
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
        begin, end = index * pixels // count, ceil_div((index + 1) * pixels, count)
        bounds = (w.integers(node, number) for number in (begin, end, axis))
        part = w.add(node, "Slice", x, *bounds, last=False)
        axes = w.integers(node, axis)
        means.append(w.add(node, "ReduceMean", part, axes, keepdims=1, last=False))
    return w.add(node, "Concat", *means, axis=axis, last=False)


# Attention on a packed projection (n, t, 3w) in ONNX's operators.

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
    rows = w.add(node, "Transpose", mixed, perm=[0, 2, 1, 3], last=False)
    w.add(node, "Reshape", rows, w.integers(node, *w.network.shapes[node.name]))


OPSET = 20
"""The first with Gelu."""
_IMAGE = 4
_TO_NHWC, _TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
_OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "gelu": ("Gelu", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "hardsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hardswish": ("HardSwish", {}),
}


def _activation(w: Writer, node: Node, op: ops.Activation) -> None:
    (x,) = node.inputs
    if op.function == "relu6":
        ends = [w.constant(node, np.array(end, np.float32)) for end in (0, 6)]
        w.add(node, "Clip", x, *ends)
    elif op.function == "silu":
        w.add(node, "Mul", x, w.add(node, "Sigmoid", x, last=False))
    else:
        kind, attributes = _OPERATORS[op.function]
        w.add(node, kind, x, **attributes)


def _convolution(w: Writer, node: Node, op: ops.Convolution) -> None:
    problem = op.problem(*w.reads(node))
    weights = [w.weight(node, key) for key in op.weights(*w.reads(node))]
    w.add(
        node,
        "Conv",
        *node.inputs,
        *weights,
        **all_attributes(problem),
    )


def _linear(w: Writer, node: Node, op: ops.Linear) -> None:
    (x,) = node.inputs
    features = len(w.reads(node)[0]) == len(("n", "c"))
    weight = w.weight(node, "weight")
    if not op.bias:
        w.add(node, "MatMul", x, weight)
    elif features:
        w.add(node, "Gemm", x, weight, w.weight(node, "bias"))
    else:
        product = w.add(node, "MatMul", x, weight, last=False)
        w.add(node, "Add", product, w.weight(node, "bias"))


def _matmul(w: Writer, node: Node, op: ops.MatMul) -> None:
    a, b = node.inputs
    if op.transpose_b:
        rank = len(w.reads(node)[1])
        axes = [*range(rank - 2), rank - 1, rank - 2]
        b = w.add(node, "Transpose", b, perm=axes, last=False)
    if op.scale == 1:
        w.add(node, "MatMul", a, b)
    else:
        factor = w.constant(node, np.array(op.scale, np.float32))
        w.add(node, "Mul", w.add(node, "MatMul", a, b, last=False), factor)


def _batch_norm(w: Writer, node: Node, op: ops.BatchNorm) -> None:
    keys = ("weight", "bias", "running_mean", "running_var")
    known = [w.weight(node, key) for key in keys]
    w.add(node, "BatchNormalization", *node.inputs, *known, epsilon=op.eps)


def _layer_norm(w: Writer, node: Node, op: ops.LayerNorm) -> None:
    (x,) = node.inputs
    known = [w.weight(node, key) for key in op.weights(*w.reads(node))]
    image = len(w.reads(node)[0]) == _IMAGE
    if image:
        x = w.add(node, "Transpose", x, perm=_TO_NHWC, last=False)
    settings: dict[str, Any] = {"axis": -1, "epsilon": op.eps}
    y = w.add(node, "LayerNormalization", x, *known, last=not image, **settings)
    if image:
        w.add(node, "Transpose", y, perm=_TO_NCHW)


def _instance_norm(w: Writer, node: Node, op: ops.InstanceNorm) -> None:
    known = [w.weight(node, key) for key in ("weight", "bias")]
    w.add(node, "InstanceNormalization", *node.inputs, *known, epsilon=op.eps)


def _response_norm(w: Writer, node: Node, op: ops.ResponseNorm) -> None:
    (x,) = node.inputs
    w.add(node, "LRN", x, size=op.size, alpha=op.alpha, beta=op.beta, bias=op.bias)


def _per_channel(kind: str, key: str) -> Callable[[Writer, Node, Any], None]:
    """Return what writes a factor or a term per channel."""

    def form(w: Writer, node: Node, _: ops.LayerScale | ops.Bias) -> None:
        (shape,) = w.reads(node)
        wide = (shape[1], 1, 1) if len(shape) == _IMAGE else (shape[-1],)
        w.add(node, kind, *node.inputs, w.weight(node, key, wide))

    return form


def _per_element(kind: str) -> Callable[[Writer, Node, Any], None]:
    """Return what writes a factor or a term per element."""

    def form(w: Writer, node: Node, _: ops.Terms | ops.Factors) -> None:
        w.add(node, kind, *node.inputs, w.weight(node, "weight"))

    return form


def _plain(kind: str, **attributes: Any) -> Callable[[Writer, Node, Any], None]:
    """Return what writes one operator whose inputs are the node's own."""

    def form(w: Writer, node: Node, _: ops.Op) -> None:
        w.add(node, kind, *node.inputs, **attributes)

    return form


def _affine(w: Writer, node: Node, op: ops.Affine) -> None:
    (x,) = node.inputs
    factor, term = (w.constant(node, np.array(each, np.float32)) for each in (op.factor, op.term))
    w.add(node, "Add", w.add(node, "Mul", x, factor, last=False), term)


def _clip(w: Writer, node: Node, op: ops.Clip) -> None:
    limits = (op.low, op.high)
    ends = ("" if end is None else w.constant(node, np.array(end, np.float32)) for end in limits)
    w.add(node, "Clip", *node.inputs, *ends)


def _hard_sigmoid(w: Writer, node: Node, op: ops.HardSigmoid) -> None:
    w.add(node, "HardSigmoid", *node.inputs, alpha=op.alpha, beta=op.beta)


def _elementary(w: Writer, node: Node, op: ops.Elementary) -> None:
    w.add(node, op.function.title(), *node.inputs)


def _elu(w: Writer, node: Node, op: ops.Elu) -> None:
    if op.factor == 1.0:
        w.add(node, "Elu", *node.inputs, alpha=op.alpha)
    else:
        w.add(node, "Selu", *node.inputs, alpha=op.alpha, gamma=op.factor)


def _reshape(w: Writer, node: Node, _: ops.Reshape) -> None:
    w.add(node, "Reshape", *node.inputs, w.integers(node, *w.network.shapes[node.name]))


def _transpose(w: Writer, node: Node, op: ops.Transpose) -> None:
    w.add(node, "Transpose", *node.inputs, perm=op.axes)


def _pad(w: Writer, node: Node, op: ops.Pad) -> None:
    value = w.constant(node, np.array(op.value, np.float32))
    w.add(node, "Pad", *node.inputs, w.integers(node, *op.before, *op.after), value)


def _slice(w: Writer, node: Node, op: ops.Slice) -> None:
    bounds = (w.integers(node, number) for number in (op.start, op.stop, op.axis))
    w.add(node, "Slice", *node.inputs, *bounds)


def _part(w: Writer, node: Node, op: ops.Part) -> None:
    bounds = (w.integers(node, number) for number in (op.start, op.stop, 1))
    row = w.add(node, "Slice", *node.inputs, *bounds, last=False)
    w.add(node, "Reshape", row, w.integers(node, *op.shape))


def _concat(w: Writer, node: Node, op: ops.Concat) -> None:
    w.add(node, "Concat", *node.inputs, axis=op.axis)


def _tokens(w: Writer, node: Node, _: ops.Tokens) -> None:
    ((n, c, h, width),) = w.reads(node)
    rows = w.add(node, "Reshape", *node.inputs, w.integers(node, n, c, h * width), last=False)
    w.add(node, "Transpose", rows, perm=[0, 2, 1])


def _class_token(w: Writer, node: Node, _: ops.ClassToken) -> None:
    ((n, _t, c),) = w.reads(node)
    token = w.weight(node, "weight", (1, 1, c))
    every = w.add(node, "Expand", token, w.integers(node, n, 1, c), last=False)
    w.add(node, "Concat", every, *node.inputs, axis=1)


def _position(w: Writer, node: Node, _: ops.PositionEmbedding) -> None:
    w.add(node, "Add", *node.inputs, w.weight(node, "weight"))


def _select(w: Writer, node: Node, op: ops.SelectToken) -> None:
    index = w.constant(node, np.array(op.index, np.int64))
    w.add(node, "Gather", *node.inputs, index, axis=1)


def _upsample(w: Writer, node: Node, op: ops.Upsample) -> None:
    scales = w.constant(node, np.array([1, 1, op.rows, op.columns], np.float32))
    how: dict[str, Any] = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    w.add(node, "Resize", *node.inputs, "", scales, mode="nearest", **how)


def _resize(w: Writer, node: Node, op: ops.Resize) -> None:
    """Write the sizes, from which another program computes the scales, or other scales."""
    ((n, c, h, width),) = w.reads(node)
    if op.scales == (op.p / h, op.q / width):
        bounds = ["", "", w.integers(node, n, c, op.p, op.q)]
    else:
        bounds = ["", w.constant(node, np.array([1, 1, *op.scales], np.float32))]
    how: dict[str, Any] = {"coordinate_transformation_mode": op.where, "mode": "linear"}
    if op.rounding:
        how |= {"mode": "nearest", "nearest_mode": op.rounding}
    elif op.cubic is not None:
        how |= {"mode": "cubic", "cubic_coeff_a": op.cubic}
    how |= {"antialias": 1} if op.antialias else {}
    how |= {"exclude_outside": 1} if op.excludes_outside else {}
    w.add(node, "Resize", *node.inputs, *bounds, **how)


def _opaque(w: Writer, node: Node, op: ops.Opaque) -> None:
    opaque_form.write(w, node, op, OPSET)


FORMS: dict[type[ops.Op], Callable[[Writer, Node, Any], None]] = {
    **TOKEN_FORMS,
    ops.Activation: _activation,
    ops.AdaptiveAverage: adaptive,
    ops.Add: _plain("Add"),
    ops.Affine: _affine,
    ops.Attention: attention,
    ops.AttentionMix: mix,
    ops.AttentionScores: scores,
    ops.BatchNorm: _batch_norm,
    ops.Bias: _per_channel("Add", "bias"),
    ops.ClassToken: _class_token,
    ops.Clip: _clip,
    ops.Concat: _concat,
    ops.Convolution: _convolution,
    ops.Elementary: _elementary,
    ops.Elu: _elu,
    ops.Factors: _per_element("Mul"),
    ops.Flatten: _plain("Flatten", axis=1),
    ops.HardSigmoid: _hard_sigmoid,
    ops.InstanceNorm: _instance_norm,
    ops.LayerNorm: _layer_norm,
    ops.LayerScale: _per_channel("Mul", "weight"),
    ops.Linear: _linear,
    ops.LogSoftmax: _plain("LogSoftmax", axis=-1),
    ops.MatMul: _matmul,
    ops.Maximum: _plain("Max"),
    ops.Minimum: _plain("Min"),
    ops.Multiply: _plain("Mul"),
    ops.Pad: _pad,
    ops.Part: _part,
    ops.Pool2d: pool,
    ops.Opaque: _opaque,
    ops.PositionEmbedding: _position,
    ops.Recurrent: recurrent,
    ops.Reshape: _reshape,
    ops.Resize: _resize,
    ops.ResponseNorm: _response_norm,
    ops.SelectToken: _select,
    ops.Slice: _slice,
    ops.Softmax: _plain("Softmax", axis=-1),
    ops.Terms: _per_element("Add"),
    ops.Tokens: _tokens,
    ops.Transpose: _transpose,
    ops.Upsample: _upsample,
}
