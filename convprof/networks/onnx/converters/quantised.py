"""Operators of bytes, read as operations on the numbers that the bytes mean.

An activation of bytes becomes the activation in f32; the file's scale and zero point of it are
kept, so that a chain in int8 computes with the file's own bytes. Rounding to a range that begins
at 0 removes what is negative, and exporters leave out the ReLU before it: here it is one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.byte_values import SIGNED, SIGNED_ZERO, UNSIGNED, Bytes
from convprof.networks.onnx.converters import (
    elementwise,
    normalising,
    pooling,
    products,
    selecting,
)
from convprof.networks.onnx.converters.windows import is_not_negative
from convprof.networks.onnx.folding import one_number
from convprof.networks.onnx.node import Constant, Recipe, Value
from convprof.networks.onnx.weights import dequantized
from convprof.problems.checks import shown
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    Concat,
    Maximum,
    Minimum,
    Multiply,
    Pool2d,
)
from convprof.problems.quantisation import Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.networks.onnx.importer import Converter, Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.epilogue import Function
    from convprof.problems.ops import Op

    Array = np.ndarray[Any, Any]

NOTE = "rounding to bytes: f32 here, or the file's bytes in int8 with real weights"
OTHER_BYTES = "rounding to other numbers than bytes of one scale: f32 here"
OTHER_ZERO = "its zero point is not the one that its bytes were made with"
OTHER_SCALE = "its scale or zero point is not the one that its bytes were made with"
_TYPES = {0: UNSIGNED, 2: UNSIGNED, 3: SIGNED, 4: np.dtype(np.uint16)}
"""By the number of ONNX, the types of rounded numbers; 0: the node does not say its type."""
_OTHER = np.dtype(np.int16)
"""Instead of all other types: their numbers are computed in f32."""
DYNAMIC = "DynamicQuantizeLinear: f32 here, or bytes by one calibration in int8"
SIX = 6.0


def _quantise(net: Importer, node: FileNode) -> Value:
    """Return the input, and keep its scale; the node may say the type without a zero point."""
    dtype = _TYPES.get(node.integer("output_dtype", 0), _OTHER)
    zero = net.constant(node, 2) if node.has(2) else Constant.of(np.zeros((), dtype))
    return _rounded(net, node, net.activation(node), net.values[node.input(1)], zero)


def _dequantise(net: Importer, node: FileNode) -> Value:
    """Return the input, which QuantizeLinear gave with the same scale."""
    return _bytes(net, node, 0)


def _bytes(net: Importer, node: FileNode, at: int) -> Value:
    """Return the activation at ``at``, which was made with the scale and zero point after it."""
    x = net.activation(node, at)
    scale = _scale(net.values[node.input(at + 1)], _zero(net, node, at + 2))
    meaning = net.bytes_of.get(node.input(at), Bytes(None))
    known = meaning.scale
    is_other = known is not None and scale is not None and not _same(known, scale)
    if is_other or not meaning.has_zero(node, at + 2):
        raise node.refused(OTHER_SCALE)
    return x


def _zero(net: Importer, node: FileNode, at: int, like: int | None = None) -> Constant:
    """Return the zero point at ``at``; 0 without one, of the type of the bytes before it.

    ``like``: the place of the bytes, if these are not two places before.
    """
    known = net.bytes_of.get(node.input(at - 2 if like is None else like), Bytes(None))
    if node.has(at):
        return net.constant(node, at)
    return Constant.of(np.zeros((), known.dtype))


def _same(a: Scale, b: Scale) -> bool:
    return a.zero == b.zero and math.isclose(a.scale, b.scale, rel_tol=1e-6)


def _scale(scale: Value | Constant, zero: Value | Constant) -> Scale | None:
    """Return one scale and zero point of unsigned bytes; None for anything else.

    Signed bytes are the unsigned ones less 128, so their zero point moves.
    """
    numbers = [each.values if isinstance(each, Constant) else None for each in (scale, zero)]
    step, point = numbers
    if step is None or point is None or step.size != 1 or point.size != 1:
        return None
    if point.dtype not in (UNSIGNED, SIGNED):
        return None
    size = float(step.reshape(-1)[0])
    if not math.isfinite(size) or size <= 0:
        return None
    moved = SIGNED_ZERO if point.dtype == SIGNED else 0
    return Scale(size, int(point.reshape(-1)[0]) + moved)


def _rounded(
    net: Importer, node: FileNode, x: Value, scale: Value | Constant, zero: Value | Constant
) -> Value:
    """Return an activation that the file rounds to bytes, after a ReLU where the bytes are one."""
    known = _scale(scale, zero)
    signed = isinstance(zero, Constant) and zero.values is not None and zero.values.dtype == SIGNED
    net.bytes_of[node.outputs[0]] = Bytes(known, SIGNED if signed else UNSIGNED)
    net.note(NOTE if known else OTHER_BYTES)
    is_relu = known.zero == 0 if known else _is_relu(zero)
    if is_relu and not _is_not_negative(net, x):
        function: Function = _limiting(known) if known else "relu"
        x = net.emit(node, Activation(function), x, part="relu")
    if known is None:
        return x
    settled = net.value(net.settled(x))
    net.keep_scale(settled, known)
    return settled


def _is_relu(zero: Value | Constant) -> bool:
    """Whether rounding makes negative numbers 0: unsigned numbers, of which 0 means 0."""
    values = zero.values if isinstance(zero, Constant) else None
    return values is not None and values.dtype.kind == "u" and not values.any()


def _is_not_negative(net: Importer, value: Value) -> bool:
    """Whether no element of an activation is below 0, as far as the operations before it show."""
    pending, seen = [value.name], {value.name}
    while pending:
        name = pending.pop()
        kept, node = net.scales.get(name), net.nodes.get(name)
        if (kept is not None and kept.zero == 0) or (node and is_not_negative(node.op)):
            continue
        if node is None or not _keeps_signs(node.op):
            return False
        pending += [name for name in node.inputs if name not in seen]
        seen.update(node.inputs)
    return value.factor > 0


def _keeps_signs(op: Op) -> bool:
    """Whether the result of an operation is not negative where all its inputs are not."""
    match op:
        case Add() | AdaptiveAverage() | Concat() | Maximum() | Minimum() | Multiply() | Pool2d():
            return True
    return op.only_rearranges


def _limiting(scale: Scale) -> Function:
    """Return the ReLU that rounding is: ReLU6 where the largest byte means 6."""
    most = scale.scale * np.iinfo(UNSIGNED).max
    return "relu6" if abs(most - SIX) <= scale.scale else "relu"


def _dynamic(net: Importer, node: FileNode) -> Sequence[Value | Constant | None]:
    """Return the input, a scale of 1 and a zero point of 0: what follows then computes in f32."""
    net.note(DYNAMIC)
    zero_name = node.outputs[2] if len(node.outputs) == len(("y", "scale", "zero")) else ""
    net.bytes_of[node.outputs[0]] = Bytes(Scale(1.0, 0), zero_name=zero_name)
    return [net.activation(node), Constant.of(np.float32(1)), Constant.of(np.uint8(0))]


def _weight(net: Importer, node: FileNode, at: int, axis: int) -> Constant:
    """Return a constant operand (bytes, scale, zero point) from the input ``at`` on, in f32."""
    whole, factors = net.constant(node, at), net.constant(node, at + 1)
    zero = [net.constant(node, at + 2)] if node.has(at + 2) else []

    def compute(*arrays: Array) -> Array:
        try:
            return dequantized(*arrays, axis=axis)
        except (IndexError, ValueError):
            raise node.refused("its scale or zero point does not fit the weights") from None

    recipe = Recipe(compute, (whole, factors, *zero))
    if whole.elements == 1 and all(each.values is not None for each in recipe.reads):
        return replace(one_number(whole, recipe), scale=factors)
    return Constant(whole.shape, stored=whole.stored, recipe=recipe, name=whole.name, scale=factors)


def _bias(
    net: Importer, node: FileNode, at: int, scales: tuple[Constant, Constant], outputs: int
) -> list[Constant]:
    """Return the bias in f32: whole numbers of the product of both scales; none if left out."""
    if not node.has(at):
        return []
    whole = net.constant(node, at)
    if whole.elements != outputs:
        raise node.refused(f"a bias of {whole.shape} does not fit {outputs} outputs")
    flat = whole.reshaped((outputs,))

    if scales[0].elements != 1 or scales[1].elements not in (1, outputs):
        raise node.refused("its scales do not fit the bias")

    def compute(bias: Array, x_scale: Array, w_scale: Array) -> Array:
        factors = x_scale.astype(np.float64).reshape(-1) * w_scale.astype(np.float64).reshape(-1)
        return bias.astype(np.float64) * factors

    return [Constant((outputs,), stored=whole.stored, recipe=Recipe(compute, (flat, *scales)))]


def _conv(net: Importer, node: FileNode) -> Value:
    """QLinearConv: x, w and y with scale and zero point each, and a bias."""
    weight = _weight(net, node, 3, axis=0)
    outputs = weight.shape[0] if weight.shape else 0
    scales = net.constant(node, 1), net.constant(node, 4)
    bias = _bias(net, node, 8, scales, outputs)
    y = products.convolved(net, node, _bytes(net, node, 0), weight, bias)
    return _rounded(net, node, y, net.constant(node, 6), _zero(net, node, 7, like=0))


def _matmul(net: Importer, node: FileNode) -> Value:
    """QLinearMatMul: a, b and y with scale and zero point each."""
    a = _bytes(net, node, 0)
    if isinstance(net.values[node.input(3)], Value):
        y = products.product(net, node, a, _bytes(net, node, 3), transposed=False)
    else:
        y = products.linear(net, node, a, _weight(net, node, 3, axis=-1), [])
    return _rounded(net, node, y, net.constant(node, 6), _zero(net, node, 7, like=0))


def _gemm(net: Importer, node: FileNode) -> Value:
    """QGemm: a and b with scale and zero point each, a bias, then the result's, if it is bytes."""
    if node.integer("transA", 0) or node.real("alpha", 1.0) != 1.0:
        raise node.unsupported("transA and alpha are not supported")
    turned = bool(node.integer("transB", 0))
    weight = _weight(net, node, 3, axis=0 if turned else -1)
    matrix = weight.transposed() if turned else weight
    outputs = matrix.shape[-1] if matrix.shape else 0
    bias = _bias(net, node, 6, (net.constant(node, 1), net.constant(node, 4)), outputs)
    y = products.linear(net, node, _bytes(net, node, 0), matrix, bias)
    if not node.has(7):
        return y
    return _rounded(net, node, y, net.constant(node, 7), _zero(net, node, 8, like=0))


def _sums(net: Importer, node: FileNode) -> float:
    """Return the factor from sums of real numbers to sums of bytes, if the zero point fits."""
    known = net.bytes_of.get(node.input(0))
    if known is None or known.scale is None:
        raise node.refused("the scale and the zero point of its bytes are unknown")
    scale = _scale(Constant.of(np.float32(known.scale.scale)), _zero(net, node, 2, like=0))
    if scale is None or scale.zero != known.scale.zero or not known.has_zero(node, 2):
        raise node.refused(OTHER_ZERO)
    return 1 / known.scale.scale


def _whole_weight(net: Importer, node: FileNode, axis: int) -> Constant:
    """Return the weights of ConvInteger and MatMulInteger less their zero point."""
    whole = net.constant(node, 1)
    zero = [net.constant(node, 3)] if node.has(3) else []

    def compute(*arrays: Array) -> Array:
        try:
            return dequantized(arrays[0], np.array(1, np.float32), *arrays[1:], axis=axis)
        except (IndexError, ValueError):
            raise node.refused("its zero point does not fit the weights") from None

    recipe = Recipe(compute, (whole, *zero))
    return Constant(whole.shape, stored=whole.stored, recipe=recipe, name=whole.name)


def _conv_sums(net: Importer, node: FileNode) -> Value:
    """ConvInteger: x, w, and their zero points."""
    x = net.activation(node)
    factor = _sums(net, node)
    y = products.convolved(net, node, x, _whole_weight(net, node, axis=0), [])
    return y if factor == 1 else replace(y, factor=y.factor * factor, origin=node)


def _matmul_sums(net: Importer, node: FileNode) -> Value:
    """MatMulInteger: a, b, and their zero points."""
    a = net.activation(node)
    if isinstance(net.values[node.input(1)], Value):
        raise node.unsupported("two computed operands are not supported")
    factor = _sums(net, node)
    y = products.linear(net, node, a, _whole_weight(net, node, axis=-1), [])
    return y if factor == 1 else replace(y, factor=y.factor * factor, origin=node)


def _plain(net: Importer, node: FileNode, kind: str, operands: Sequence[int], result: int) -> Value:
    """Return what the operator of real numbers gives, rounded by the scale at ``result``."""
    inputs = tuple(_real_operand(net, node, place) for place in operands)
    y = _PLAIN[kind](net, replace(node, kind=kind, inputs=inputs))
    like = next((each for each in operands if node.input(each) in net.bytes_of), operands[0])
    zero = _zero(net, node, result + 1, like)
    return _rounded(net, node, y, net.constant(node, result), zero)


def _real_operand(net: Importer, node: FileNode, place: int) -> str:
    """Return the name of an operand (bytes, scale, zero point) in real numbers."""
    name = node.input(place)
    if isinstance(net.values[name], Value):
        _bytes(net, node, place)
        return name
    real = f"{node.outputs[0]} operand {place}"
    if real in net.values:
        raise node.refused(f"the file has another value {shown(real)}")
    net.values[real] = _weight(net, node, place, axis=0)
    return real


def _of_one(net: Importer, node: FileNode) -> Value:
    """QLinearSigmoid, QLinearSoftmax and pools: x and y with scale and zero point each."""
    if node.integer("channels_last", 0):
        raise node.unsupported("channels_last is not supported")
    return _plain(net, node, node.kind.removeprefix("QLinear"), (0,), 3)


def _of_two(net: Importer, node: FileNode) -> Value:
    """QLinearAdd and QLinearMul: a, b and y with scale and zero point each."""
    return _plain(net, node, node.kind.removeprefix("QLinear"), (0, 3), 6)


def _concat(net: Importer, node: FileNode) -> Value:
    """QLinearConcat: the scale and zero point of y, then each part with its own."""
    return _plain(net, node, "Concat", range(2, len(node.inputs), 3), 0)


_PLAIN: dict[str, Callable[[Importer, FileNode], Value]] = {
    **{kind: elementwise.CONVERTERS[kind] for kind in ("Add", "LeakyRelu", "Mul", "Sigmoid")},
    **{kind: pooling.CONVERTERS[kind] for kind in ("AveragePool", "GlobalAveragePool")},
    "Concat": selecting.concat,
    "Softmax": normalising.CONVERTERS["Softmax"],
}
CONVERTERS: dict[str, Converter] = {
    "ConvInteger": _conv_sums,
    "DequantizeLinear": _dequantise,
    "DynamicQuantizeLinear": _dynamic,
    "MatMulInteger": _matmul_sums,
    "QGemm": _gemm,
    "QLinearAdd": _of_two,
    "QLinearAveragePool": _of_one,
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _of_one,
    "QLinearLeakyRelu": _of_one,
    "QLinearMatMul": _matmul,
    "QLinearMul": _of_two,
    "QLinearSigmoid": _of_one,
    "QLinearSoftmax": _of_one,
    "QuantizeLinear": _quantise,
}
