"""Activations, and sums and products with activations, vectors and numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from convprof.networks.onnx.activation_patterns import FUNCTION
from convprof.networks.onnx.converters.broadcasting import (
    along_one_axis,
    number_in,
    operands,
    pair,
    per_element,
    per_token,
    widened,
)
from convprof.networks.onnx.converters.masks import is_mask, masked
from convprof.networks.onnx.converters.rearranging import reshaped
from convprof.networks.onnx.converters.volumes import element_by_element
from convprof.networks.onnx.node import Constant, Value
from convprof.networks.onnx.type_names import WHOLE_TYPES
from convprof.problems.ops import (
    Activation,
    Add,
    Affine,
    Bias,
    Clip,
    Convolution,
    Divide,
    Elementary,
    Elu,
    LayerScale,
    Linear,
    MatMul,
    Maximum,
    Minimum,
    Multiply,
    Power,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.epilogue import Function
    from convprof.problems.ops.elementary import ElementaryFunction

_BROADCAST_BY_SHAPE = 7
_ELEMENTARY = ("Ceil", "Cos", "Exp", "Floor", "Log", "Mish", "Round", "Sign", "Sin", "Softplus")
_POWERS, _ROOTS = (1, 2, 3, 4), (0.5, -0.5, -1)
_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
"""ONNX's defaults, which are exact in f32."""
_DIRECT: dict[str, Function] = {
    "HardSwish": "hardswish",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}


def _direct(net: Importer, node: FileNode) -> Value:
    return element_by_element(net, node, Activation(_DIRECT[node.kind]), net.activation(node))


def _elementary(net: Importer, node: FileNode) -> Value:
    name = cast("ElementaryFunction", node.kind.lower())
    return element_by_element(net, node, Elementary(name), net.activation(node))


def _named(net: Importer, node: FileNode) -> Value:
    """Convert an activation that a pattern has found."""
    name = cast("Function", node.text("function", ""))
    return element_by_element(net, node, Activation(name), net.activation(node))


def _gelu(net: Importer, node: FileNode) -> Value:
    function: Function = "gelu" if node.text("approximate", "none") == "none" else "gelu_tanh"
    return net.emit(node, Activation(function), net.activation(node))


def _sum(net: Importer, node: FileNode) -> Value:
    return _plus(net, node, *_operands(net, node))


def _plus(net: Importer, node: FileNode, a: Value, b: Value | Constant) -> Value:
    """Return the sum of an activation and another one, a vector or a number."""
    if isinstance(b, Value) and a.shape == b.shape:
        return element_by_element(net, node, Add(), a, b)
    if isinstance(b, Value):
        return pair(net, node, Add(), a, b)
    number = number_in(b)
    if number is not None:
        return _shifted(net, node, a, number, b)
    if is_mask(b, a.shape):
        return masked(net, node, a, b)
    return along_one_axis(net, node, Bias(), a, b) or per_token(net, node, a, b)


def _total(net: Importer, node: FileNode) -> Value:
    """Sum or Mean of any number of inputs: one sum after the other."""
    values = operands(net, node)
    total, *others = sorted(values, key=lambda value: isinstance(value, Constant))
    if isinstance(total, Constant):
        raise node.refused("all its inputs are constants")
    if not others:
        net.leave_out(node)
    for other in others:
        total = _plus(net, node, total, other)
    return total if node.kind == "Sum" else _scaled(net, node, total, 1 / len(values))


def _difference(net: Importer, node: FileNode) -> Value:
    a, b = _both(net, node)
    if isinstance(a, Value) and isinstance(b, Value):
        return pair(net, node, Add(), a, _scaled(net, node, b, -1.0))
    if isinstance(a, Value) and isinstance(b, Constant):
        return _plus(net, node, a, b.mapped(_negative_of))
    if isinstance(a, Constant) and isinstance(b, Value):
        return _plus(net, node, _scaled(net, node, b, -1.0), a)
    raise node.refused("both inputs are constants")


def _negative(net: Importer, node: FileNode) -> Value:
    return _scaled(net, node, net.activation(node), -1.0)


def _absolute(net: Importer, node: FileNode) -> Value:
    """Return the larger of x and -x."""
    x = net.activation(node)
    return net.emit(node, Maximum(), x, _scaled(net, node, x, -1.0))


def _power(net: Importer, node: FileNode) -> Value:
    """Whole powers up to 4 are products."""
    x, exponent = net.activation(node), number_in(net.values[node.input(1)])
    if exponent is None or exponent not in (*_POWERS, *_ROOTS):
        known = ", ".join(map(str, (*_POWERS, *_ROOTS)))
        raise node.unsupported(f"only powers of {known} are supported")
    if exponent in _ROOTS:
        return net.emit(node, Power(exponent), x)
    y = x
    for place in range(int(exponent) - 1):
        y = net.emit(node, Multiply(), y, x, part="" if place == 0 else str(place + 1))
    return y


def _elu(net: Importer, node: FileNode) -> Value:
    alpha = node.real("alpha", 1.0 if node.kind == "Elu" else _SELU_ALPHA)
    factor = node.real("gamma", _SELU_GAMMA) if node.kind == "Selu" else 1.0
    return net.emit(node, Elu(alpha, factor), net.activation(node))


def _celu(net: Importer, node: FileNode) -> Value:
    """Return alpha elu(x / alpha)."""
    alpha = node.real("alpha", 1.0)
    if not alpha > 0:
        raise node.unsupported("only an alpha of more than 0 is supported")
    x = _scaled(net, node, net.activation(node), 1 / alpha)
    return _scaled(net, node, net.emit(node, Elu(), x), alpha)


def _leaky(net: Importer, node: FileNode) -> Value:
    """Return the larger of x and its part below 1, or for a slope over 1 the smaller one."""
    x, slope = net.activation(node), node.real("alpha", 0.01)
    if slope == 0:
        return net.emit(node, Activation("relu"), x)
    if slope == 1:
        net.leave_out(node)
        return x
    op = Maximum() if slope < 1 else Minimum()
    return net.emit(node, op, x, _scaled(net, node, x, slope))


def _parametric(net: Importer, node: FileNode) -> Value:
    """Add what is above 0 and what is below 0 times a learned factor, per channel or alone."""
    x, slope = net.activation(node), net.constant(node, 1)
    if net.opset < _BROADCAST_BY_SHAPE and slope.shape == x.shape[1:2]:
        slope = slope.reshaped((slope.elements, *(1 for _ in x.shape[2:])))
    above = net.emit(node, Activation("relu"), x, part="above")
    below = net.emit(node, Clip(None, 0.0), x, part="below")
    scaled = per_element if slope.elements == 1 else _times
    return pair(net, node, Add(), above, scaled(net, node, below, slope))


def _product(net: Importer, node: FileNode) -> Value:
    a, b = _operands(net, node)
    if isinstance(b, Value):
        return pair(net, node, Multiply(), a, b)
    return _times(net, node, a, b)


def _times(net: Importer, node: FileNode, a: Value, b: Constant) -> Value:
    """Return an activation times a number or a vector."""
    number = number_in(b)
    if number is not None:
        return widened(net, node, _scaled(net, node, a, number), b)
    scaled = along_one_axis(net, node, LayerScale(), a, b)
    return per_element(net, node, a, b) if scaled is None else scaled


def _quotient(net: Importer, node: FileNode) -> Value:
    """Division by a constant, which is a factor; of activations, and of a constant by one."""
    if any(net.types.of(name) in WHOLE_TYPES for name in node.inputs):
        raise node.unsupported("a division of whole numbers is not supported")
    dividend, divisor = (net.values[node.input(at)] for at in (0, 1))
    if isinstance(divisor, Value):
        if isinstance(dividend, Constant):
            return _times(net, node, net.emit(node, Power(-1.0), divisor), dividend)
        return pair(net, node, Divide(), dividend, divisor)
    if number_in(divisor) == 0:
        raise node.refused("division by 0")
    return _times(net, node, net.activation(node), divisor.mapped(_reciprocal))


def _root(net: Importer, node: FileNode) -> Value:
    """Return the square root; its reciprocal is one operation."""
    return net.emit(node, Power(0.5), net.activation(node))


def _inverse(net: Importer, node: FileNode) -> Value:
    x = net.activation(node)
    match net.op(x):
        case Power(0.5) if x.factor == 1 and net.used_once(node.input(0)):
            return net.emit(node, Power(-0.5), net.source_of(x))
    return net.emit(node, Power(-1.0), x)


def _negative_of(numbers: Any) -> Any:
    return np.multiply(numbers, -1.0)  # a damaged file may have truth values


def _reciprocal(divisor: Any) -> Any:
    with np.errstate(divide="ignore"):  # infinite weights are refused when they are read
        return 1.0 / np.asarray(divisor, np.float64)


def _operands(net: Importer, node: FileNode) -> tuple[Value, Value | Constant]:
    """Return both inputs, an activation first."""
    if len(node.inputs) != len(("a", "b")):
        raise node.refused(f"it has {len(node.inputs)} inputs, must have 2")
    a, b = _both(net, node)
    if isinstance(a, Value):
        return a, b
    if isinstance(b, Value):
        return b, a
    raise node.refused("both inputs are constants")


def _both(net: Importer, node: FileNode) -> tuple[Value | Constant, Value | Constant]:
    """Return both inputs in order; before operator set 7 an attribute places the second's axes."""
    a, b = (net.values[node.input(index)] for index in (0, 1))
    if net.opset >= _BROADCAST_BY_SHAPE or not node.integer("broadcast", 0):
        return a, b
    missing = len(a.shape) - len(b.shape)
    axis = node.integer("axis", missing)
    if not 0 <= axis <= missing:
        raise node.refused(f"axis={axis}: {b.shape} does not fit {a.shape} there")
    shape = (*b.shape, *(1,) * (missing - axis))
    if isinstance(b, Constant):
        return a, b.reshaped(shape)
    return a, reshaped(net, node, b, shape, "axes")


def _scaled(net: Importer, node: FileNode, x: Value, number: float) -> Value:
    """Return an activation times a number, as a factor of a product before it or after it."""
    factor = x.factor * number
    if not math.isfinite(factor) or factor == 0:
        raise node.refused(f"the factor {number:g} must be finite and not 0")
    alone = all(net.used_once(name) for name in node.inputs if net.values.get(name) is x)
    match net.op(x):
        case MatMul() as op if x.factor == 1 and alone:
            net.swap(x, replace(op, scale=op.scale * number))
            return x
        case Convolution(bias=False) | Linear(bias=False) if alone and net.scale_weight(x, factor):
            return replace(x, factor=1.0, origin=None)
    return replace(x, factor=factor, origin=node)


def _shifted(net: Importer, node: FileNode, x: Value, number: float, b: Constant) -> Value:
    if not math.isfinite(number):
        raise node.refused(f"the term {number:g} must be finite")
    op = Affine(factor=x.factor, term=number)
    plain = replace(x, factor=1.0, origin=None)
    return widened(net, node, net.emit(node, op, plain), b)


CONVERTERS = {
    **dict.fromkeys(_DIRECT, _direct),
    **dict.fromkeys(_ELEMENTARY, _elementary),
    FUNCTION: _named,
    "Abs": _absolute,
    "Add": _sum,
    "Div": _quotient,
    "Celu": _celu,
    "Elu": _elu,
    "Gelu": _gelu,
    "LeakyRelu": _leaky,
    "Mean": _total,
    "Mul": _product,
    "Neg": _negative,
    "PRelu": _parametric,
    "Pow": _power,
    "Reciprocal": _inverse,
    "Selu": _elu,
    "Sqrt": _root,
    "Sub": _difference,
    "Sum": _total,
}
