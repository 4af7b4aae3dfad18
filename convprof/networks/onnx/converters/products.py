"""Conv, Gemm and MatMul."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.networks.onnx.converters.packed import packed_attention
from convprof.networks.onnx.converters.rearranging import transposed
from convprof.networks.onnx.converters.rows import on_last_axis
from convprof.networks.onnx.converters.window import PAD_NOTE, before_padding, padding, widened_by
from convprof.networks.onnx.sum_patterns import LINEAR
from convprof.networks.onnx.value import Value
from convprof.networks.ops import Convolution, Linear, MatMul, Transpose

if TYPE_CHECKING:
    from convprof.networks.onnx.constant import Constant
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode

_PLANE = 2  # axes of an image that a 2-D filter moves along


def _conv(net: Importer, node: FileNode) -> Value:
    x, weight = net.activation(node), net.constant(node, 1)
    if len(x.shape) != _PLANE + 2 or len(weight.shape) != _PLANE + 2:
        raise node.refused(
            f"a {max(len(weight.shape) - 2, 0)}-D convolution of {x.shape}; "
            "only 2-D ones of (n, c, h, w) are supported"
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
    bias = _bias(net, node, 2, k)
    pads = padding(node, x.shape, (r, s), stride, dilation)
    image, around = before_padding(net, x)
    if image is not x:
        net.note(PAD_NOTE)
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
            bias=bias,
        ),
        image,
    )


def _bias(net: Importer, node: FileNode, index: int, outputs: int) -> bool:
    """Return whether a bias is given; InputError when it does not fit."""
    if not node.has(index):
        return False
    bias = net.constant(node, index)
    if bias.shape not in ((outputs,), (1, outputs)):
        raise node.refused(f"a bias of {bias.shape} does not fit {outputs} outputs")
    return True


def _gemm(net: Importer, node: FileNode) -> Value:
    """Features (n, c) times a matrix; of two activations, one product."""
    a, b = net.activation(node), net.values[node.input(1)]
    if node.integer("transA", 0):
        raise node.refused("transA=1 is not supported: the first operand must be (n, c)")
    if node.real("alpha", 1.0) != 1.0 or (node.has(2) and node.real("beta", 1.0) != 1.0):
        raise node.refused("alpha and beta other than 1 are not supported")
    turned = bool(node.integer("transB", 0))
    if isinstance(b, Value):
        if node.has(2):
            raise node.refused("two computed operands and a bias are not supported")
        return _both(net, node, a, b, turned=turned)
    if len(b.shape) != len(("k", "n")) or len(a.shape) != len(b.shape):
        raise node.refused(f"operands of {a.shape} and {b.shape}; both must be matrices")
    inputs, outputs = reversed(b.shape) if turned else b.shape
    _check_matrix(node, a, b, inputs)
    return net.emit(node, Linear(outputs, bias=_bias(net, node, 2, outputs)), a)


def _matmul(net: Importer, node: FileNode) -> Value:
    b = net.values[node.input(1)]
    if isinstance(b, Value):
        return _both(net, node, net.activation(node), b, turned=False)
    return _linear(net, node)


def _linear(net: Importer, node: FileNode) -> Value:
    """Every row times a matrix, and a bias as a third input if a pattern has found one."""
    a, b = net.activation(node), net.constant(node, 1)
    if len(b.shape) != len(("k", "n")):
        raise node.refused(f"a constant second operand of {b.shape} must be one matrix (k, n)")
    inputs, outputs = b.shape
    _check_matrix(node, a, b, inputs)
    return on_last_axis(net, node, Linear(outputs, bias=_bias(net, node, 2, outputs)), a)


def _check_matrix(node: FileNode, a: Value, b: Constant, inputs: int) -> None:
    if a.shape[-1:] != (inputs,):
        raise node.refused(f"a matrix of {b.shape} does not fit {a.shape}")


def _both(net: Importer, node: FileNode, a: Value, b: Value, *, turned: bool) -> Value:
    """Two activations: factors that exporters put on one or both become one of the product."""
    packed = None if turned else packed_attention(net, node, a, b)
    if packed is not None:
        return packed
    if not turned:
        b, turned = _untransposed(net, node, b)
    scale = a.factor * b.factor
    a, b = (replace(each, factor=1.0, origin=None) for each in (a, b))
    return net.emit(node, MatMul(transpose_b=turned, scale=scale), a, b)


def _untransposed(net: Importer, node: FileNode, b: Value) -> tuple[Value, bool]:
    """Return b (..., n, k) and True where the file transposes it just before; else b and False."""
    op = net.op(b)
    if not isinstance(op, Transpose):
        return b, False
    axes = (*op.axes[:-2], op.axes[-1], op.axes[-2])
    if axes[-1] != len(axes) - 1:
        return b, False
    return transposed(net, node, net.source_of(b), axes, "b"), True


CONVERTERS = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    LINEAR: _linear,
}
