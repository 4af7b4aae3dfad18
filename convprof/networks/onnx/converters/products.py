"""Conv, Gemm and MatMul."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from convprof.networks.onnx.converters.broadcasting import aligned, joint_shape
from convprof.networks.onnx.converters.grouped_weights import in_own_bits
from convprof.networks.onnx.converters.rearranging import on_last_axis, reshaped, transposed
from convprof.networks.onnx.converters.volumes import convolved_volume
from convprof.networks.onnx.converters.windows import (
    PAD_NOTE,
    along_rows,
    before_padding,
    padding,
    widened_by,
)
from convprof.networks.onnx.node import Value
from convprof.networks.onnx.sum_patterns import LINEAR
from convprof.problems.ops import (
    AttentionMix,
    AttentionScores,
    Convolution,
    Expand,
    Flatten,
    Linear,
    MatMul,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import Constant, FileNode
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape


_PLANE = 2  # axes of an image that a 2-D filter moves along


def _conv(net: Importer, node: FileNode) -> Value:
    weight = net.constant(node, 1)
    outputs = weight.shape[0] if weight.shape else 0
    return convolved(net, node, net.activation(node), weight, _bias(net, node, 2, outputs))


def convolved(
    net: Importer, node: FileNode, x: Value, weight: Constant, bias: list[Constant]
) -> Value:
    """Return the convolution of an image, or of rows, with the settings of a node."""
    if len(x.shape) == len(weight.shape) == _PLANE + 1:
        return _conv_of_rows(net, node, x, weight, bias)
    if len(x.shape) == len(weight.shape) == _PLANE + 3:
        return convolved_volume(net, node, x, weight, bias)
    if len(x.shape) != _PLANE + 2 or len(weight.shape) != _PLANE + 2:
        raise node.unsupported(
            f"a {max(len(weight.shape) - 2, 0)}-D convolution of {x.shape}; "
            "only 1-D to 3-D ones are supported"
        )
    k, cg, r, s = weight.shape
    if node.integers("kernel_shape", (r, s), _PLANE) != (r, s):
        raise node.refused(f"kernel_shape does not agree with its weights of {weight.shape}")
    stride = node.integers("strides", (1, 1), _PLANE)
    dilation = node.integers("dilations", (1, 1), _PLANE)
    groups = node.integer("group", 1)
    if cg * groups != x.shape[1]:
        raise node.refused(
            f"weights of {weight.shape} in {groups} groups do not fit {x.shape[1]} channels"
        )
    pads = padding(node, x.shape, (r, s), stride, dilation)
    image, around = before_padding(net, x)
    if image is not x:
        net.note(PAD_NOTE)
        net.move_scale(x, image)
    return net.emit(
        node,
        Convolution(
            k=k,
            r=r,
            s=s,
            stride=(stride[0], stride[1]),
            pad=widened_by(pads, around),
            dilation=(dilation[0], dilation[1]),
            groups=groups,
            bias=bool(bias),
        ),
        image,
        weights=[weight, *bias],
    )


def _conv_of_rows(
    net: Importer, node: FileNode, x: Value, weight: Constant, bias: list[Constant]
) -> Value:
    """Convolve (n, c, w) as images of height 1."""
    k, cg, s = weight.shape
    n, c, w = x.shape
    groups = node.integer("group", 1)
    if cg * groups != c:
        raise node.refused(f"weights of {weight.shape} in {groups} groups do not fit {c} channels")
    if node.integers("kernel_shape", (s,), 1) != (s,):
        raise node.refused(f"kernel_shape does not agree with its weights of {weight.shape}")
    window = along_rows(node, w, s)
    op = Convolution(
        k=k, r=1, s=s, stride=(1, window.stride), pad=(0, window.before, 0, window.after),
        dilation=(1, window.dilation), groups=groups, bias=bool(bias),
    )  # fmt: skip
    image = reshaped(net, node, x, (n, c, 1, w), "image")
    y = net.emit(node, op, image, weights=[weight.reshaped((k, cg, 1, s)), *bias])
    return reshaped(net, node, y, (*y.shape[:2], y.shape[3]), "back")


def _bias(net: Importer, node: FileNode, index: int, outputs: int) -> list[Constant]:
    """Return the bias if one is given, else nothing; InputError when it does not fit."""
    if not node.has(index):
        return []
    bias = net.constant(node, index)
    if bias.shape not in ((outputs,), (1, outputs)):
        raise node.refused(f"a bias of {bias.shape} does not fit {outputs} outputs")
    return [bias]


def _gemm(net: Importer, node: FileNode) -> Value:
    """Features (n, c) times a matrix; of two activations, one product."""
    a, b = net.activation(node), net.values[node.input(1)]
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    if node.integer("transA", 0) and len(a.shape) == len(("k", "m")):
        a = transposed(net, node, a, (1, 0), "a")
    transposed_b = bool(node.integer("transB", 0))
    if isinstance(b, Value):
        if node.has(2) or alpha != 1.0:
            raise node.unsupported("two computed operands and a bias or a factor")
        return product(net, node, a, b, transposed=transposed_b)
    if len(b.shape) != len(("k", "n")) or len(a.shape) != len(b.shape):
        raise node.refused(f"operands of {a.shape} and {b.shape}; both must be matrices")
    inputs, outputs = reversed(b.shape) if transposed_b else b.shape
    _check_matrix(node, a, b, inputs)
    bias = [_times(each, beta) for each in _bias(net, node, 2, outputs)]
    matrix = _times(b.transposed() if transposed_b else b, alpha)
    few_bits = in_own_bits(net, node, a, matrix, bias)
    if few_bits is not None:
        return few_bits
    return net.emit(node, Linear(outputs, bias=bool(bias)), a, weights=[matrix, *bias])


def _times(constant: Constant, factor: float) -> Constant:
    """Return a weight times a number."""
    return constant if factor == 1.0 else constant.mapped(lambda array: factor * array)


def _matmul(net: Importer, node: FileNode) -> Value:
    b = net.values[node.input(1)]
    if isinstance(b, Value) or len(b.shape) > _PLANE:
        operands = net.computed(node, 0), net.computed(node, 1)
        a, other = _same_items(net, node, *operands)
        return product(net, node, a, other, transposed=False)
    return _linear(net, node)


def _same_items(net: Importer, node: FileNode, a: Value, b: Value) -> tuple[Value, Value]:
    """Return two operands with the same number of items; items of one operand are repeated."""
    if min(len(a.shape), len(b.shape)) < _PLANE or a.shape[:-2] == b.shape[:-2]:
        return a, b
    a, b = aligned(net, node, (a, b))
    items = joint_shape(node, a.shape[:-2], b.shape[:-2])
    first, second = (
        each
        if each.shape[:-2] == items
        else net.emit(node, Expand((*items, *each.shape[-2:])), each, part=f"items{at}")
        for at, each in enumerate((a, b))
    )
    return first, second


def _linear(net: Importer, node: FileNode) -> Value:
    """Every row times a matrix, and a bias as a third input if a pattern has found one."""
    b = net.constant(node, 1)
    outputs = b.shape[-1] if b.shape else 0
    return linear(net, node, net.activation(node), b, _bias(net, node, 2, outputs))


def linear(net: Importer, node: FileNode, a: Value, b: Constant, bias: list[Constant]) -> Value:
    """Return every row times a matrix, plus a bias if there is one."""
    if len(b.shape) != len(("k", "n")):
        raise node.unsupported(f"a constant second operand of {b.shape} must be one matrix (k, n)")
    inputs, outputs = b.shape
    _check_matrix(node, a, b, inputs)
    few_bits = in_own_bits(net, node, a, b, bias)
    if few_bits is not None:
        return few_bits
    return on_last_axis(net, node, Linear(outputs, bias=bool(bias)), a, [b, *bias])


def _check_matrix(node: FileNode, a: Value, b: Constant, inputs: int) -> None:
    if a.shape[-1:] != (inputs,):
        raise node.refused(f"a matrix of {b.shape} does not fit {a.shape}")


def product(net: Importer, node: FileNode, a: Value, b: Value, *, transposed: bool) -> Value:
    """Two activations: factors that exporters put on one or both become one of the product."""
    packed = None if transposed else packed_attention(net, node, a, b)
    if packed is not None:
        return packed
    if not transposed:
        b, transposed = _untransposed(net, node, b)
    scale = a.factor * b.factor
    a, b = (replace(each, factor=1.0, origin=None) for each in (a, b))
    return net.emit(node, MatMul(transpose_b=transposed, scale=scale), a, b)


def _untransposed(net: Importer, node: FileNode, b: Value) -> tuple[Value, bool]:
    """Return b (..., n, k) and True where the file transposes it just before; else b and False.

    Exporters may have one axis of items for the transposition, and more axes around it.
    """
    match net.op(b):
        case Reshape() if b.factor == 1:
            inner = net.source_of(b)
            match net.op(inner):
                case Transpose((*axes, n, k)) if n == len(axes) + 1 and axes == [*range(len(axes))]:
                    if inner.shape[-2:] != b.shape[-2:]:
                        return b, False
                    shape = (*b.shape[:-2], *b.shape[:-3:-1])
                    return reshaped(net, node, net.source_of(inner), shape, "b"), True
        case Transpose((*axes, n, k)) if n == len(axes) + 1:
            return transposed(net, node, net.source_of(b), (*axes, k, n), "b"), True
    return b, False


CONVERTERS = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    LINEAR: _linear,
}


# Attention whose queries, keys and values are thirds of one projection (n, t, 3w).
#
# Exporters write it as reshapes, transpositions and slices around two products and a softmax. Where
# these compute just attention, operations on the packed projection take their place: they are
# easier to read, and rearrange less.

_HEADS_AXES = 4  # (n, heads, t, depth)
_PARTS = 3
_LONGEST = 32
"""Moves between the projection and a product; exporters write up to ten."""
_MOVES = {op.kind for op in (Reshape, Flatten, Transpose, Slice)}
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
    """Return (n, t, 3w) of a projection in that order, or with its tokens first."""
    n, t, channels = packed
    if n > 1 and base.shape == (t, n, channels):
        return transposed(net, node, base, _TURNED, "packed")
    return reshaped(net, node, base, packed, "packed")


def _scores(net: Importer, weights: Value) -> Value | None:
    """Return the product before a softmax, of queries and keys."""
    if net.op(weights) != Softmax():
        return None
    scores = net.source_of(weights)
    match net.op(scores):
        case MatMul(transpose_b=True):
            return scores
    return None


def _is_scaled(op: Op, depth: int) -> bool:
    match op:
        case MatMul(scale=scale):
            return math.isclose(scale, depth**-0.5, rel_tol=_TOLERANCE)
    return False


def _base(net: Importer, value: Value, shape: Shape, part: int) -> Value | None:
    """Return the projection of which a value is one third, head by head; None if it is not.

    ``shape`` is (n, heads, t, depth); ``part`` is 0 for queries, 1 for keys and 2 for values.
    """
    chain: list[tuple[Op, Shape]] = []
    while (op := net.op(value)) is not None and op.kind in _MOVES:
        if len(chain) == _LONGEST:
            return None
        chain.append((op, value.shape))
        value = net.source_of(value)
    n, heads, t, depth = shape
    channels = _PARTS * heads * depth
    view: Strided | None = Strided.whole(value.shape)
    for op, result in reversed(chain):
        if view is None:
            return None
        match op:
            case Transpose(axes):
                view = view.transposed(axes)
            case Slice(axis, start, stop):
                view = view.sliced(axis, start, stop)
            case _:
                view = view.reshaped(result)
    image, token = t * channels, channels
    if value.shape == (t, n, channels):
        image, token = channels, n * channels
    thirds = Strided.of(shape, (image, depth, token, 1), part * heads * depth)
    fits = math.prod(value.shape) == n * t * channels
    return value if fits and view is not None and view.same(thirds) else None


# The positions of a rearranged tensor's elements in the original tensor.
#
# Steps and offsets are in elements of the original, which is in the order of its shape.

Run: TypeAlias = tuple[int, int]
"""The number of elements, and the step between them."""


@dataclass(frozen=True, slots=True)
class Strided:
    """Every axis is a nest of runs, the outermost first; an axis of size 1 has none.

    Two axes in one need not have an even step: images and heads as one axis are two runs.
    """

    axes: tuple[tuple[Run, ...], ...]
    offset: int = 0

    @classmethod
    def of(cls, shape: Shape, steps: tuple[int, ...], offset: int = 0) -> Strided:
        """Return a tensor each of whose axes is one run."""
        axes = (
            ((size, step),) if size > 1 else () for size, step in zip(shape, steps, strict=True)
        )
        return cls(tuple(axes), offset)

    @classmethod
    def whole(cls, shape: Shape) -> Strided:
        """Return a tensor in the order of its shape."""
        return cls.of(shape, tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape))))

    def transposed(self, axes: tuple[int, ...]) -> Strided:
        """Return the axes in another order."""
        return Strided(tuple(self.axes[axis] for axis in axes), self.offset)

    def sliced(self, axis: int, start: int, stop: int) -> Strided | None:
        """Return part of an axis; None where that axis is more than one run."""
        runs = self.axes[axis]
        if len(runs) > 1:
            return None
        step = runs[0][1] if runs else 0
        part = ((stop - start, step),) if stop - start > 1 else ()
        axes = (*self.axes[:axis], part, *self.axes[axis + 1 :])
        return Strided(axes, self.offset + start * step)

    def reshaped(self, shape: Shape) -> Strided | None:
        """Return the same elements in another shape; None where a run would have to break."""
        left = _merged([run for axis in self.axes for run in axis])
        axes: list[tuple[Run, ...]] = []
        for size in reversed(shape):
            taken: list[Run] = []
            missing = size
            while missing > 1:
                if not left:
                    return None
                count, step = left.pop()
                used = math.gcd(count, missing)
                if used < min(count, missing):
                    return None
                if used < count:
                    left.append((count // used, step * used))
                taken.insert(0, (used, step))
                missing //= used
            axes.insert(0, tuple(taken))
        return Strided(tuple(axes), self.offset)

    def same(self, other: Strided) -> bool:
        """Whether every element is the same one of the original."""
        mine, theirs = ([_merged(list(axis)) for axis in each.axes] for each in (self, other))
        return (mine, self.offset) == (theirs, other.offset)


def _merged(runs: list[Run]) -> list[Run]:
    """Return the runs, with adjacent ones joined."""
    merged: list[Run] = []
    for count, step in runs:
        if merged and merged[-1][1] == count * step:
            merged[-1] = (merged[-1][0] * count, step)
        else:
            merged.append((count, step))
    return merged
