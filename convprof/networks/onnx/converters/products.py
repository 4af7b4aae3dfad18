"""Conv, Gemm and MatMul."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.broadcasting import aligned, joint_shape
from convprof.networks.onnx.converters.grouped_weights import in_own_bits
from convprof.networks.onnx.converters.packed_attention import packed_attention
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
from convprof.problems.ops import Convolution, Expand, Linear, MatMul, Reshape, Transpose

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import Constant, FileNode


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


def _fused_product(net: Importer, node: FileNode) -> Value:
    """Return a factor times the product of matrices, whose axes may be in another order before."""
    a, b = _in_order(net, node, net.computed(node, 0), "A"), net.values[node.input(1)]
    alpha, turned = node.real("alpha", 1.0), bool(node.integer("transB", 0))
    if isinstance(b, Value) or len(b.shape) > _PLANE:
        other = _in_order(net, node, net.computed(node, 1), "B")
        a, other = _same_items(net, node, a, other)
        scaled = replace(a, factor=a.factor * alpha, origin=node)
        return product(net, node, scaled, other, transposed=False)
    return linear(net, node, a, _times(b.transposed() if turned else b, alpha), [])


def _in_order(net: Importer, node: FileNode, x: Value, operand: str) -> Value:
    """Return an operand (..., rows, columns).

    ``transBatch`` of a node says that the rows are the first axis, ``trans`` that the last two axes
    are in the other order then.
    """
    axes = [*range(len(x.shape))]
    if len(axes) < _PLANE:
        raise node.refused(f"{x.shape} is not a matrix")
    if node.integer(f"transBatch{operand}", 0):
        axes[:-1] = [*axes[1:-1], axes[0]]
    if node.integer(f"trans{operand}", 0):
        axes[-2:] = axes[:-3:-1]
    return transposed(net, node, x, tuple(axes), operand.lower())


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
    "FusedMatMul": _fused_product,
    "Gemm": _gemm,
    "MatMul": _matmul,
    LINEAR: _linear,
}
