"""Layers in the operators that ``torch.compile`` uses when it freezes a model for the CPU.

oneDNN packs the weights once, and fuses a sum and an activation. The operators are internal to
PyTorch and may change, so callers must have another way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from convprof.strategies.peers.torch.ops import function_of
from convprof.strategies.peers.torch.state import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convprof.problems import Conv2d, Gemm, Problem
    from convprof.problems.epilogue import Epilogue

    Tensor = Any
    Run = Callable[..., Tensor]
    Calls = tuple[tuple[int, Run], ...]


class Attribute(NamedTuple):
    """An activation as the operators name it."""

    name: str
    scalars: tuple[float, ...] = ()
    algorithm: str = ""


NONE = Attribute("none")
ATTRIBUTES = {
    None: NONE,
    "relu": Attribute("relu"),
    "relu6": Attribute("hardtanh", (0.0, 6.0)),
    "gelu": Attribute("gelu", (), "none"),
    "gelu_tanh": Attribute("gelu", (), "tanh"),
    "silu": Attribute("swish"),
    "sigmoid": Attribute("sigmoid"),
    "tanh": Attribute("tanh"),
    "hardsigmoid": Attribute("hardsigmoid"),
    "hardswish": Attribute("hardswish"),
}
"""By name, the functions of ``problems.functions``."""


def pack(problem: Problem, w: Mapping[str, Tensor]) -> tuple[Run, Calls]:
    """Return the layer as a function of its input and perhaps a residual, and its calls in place.

    ``w`` is the result of ``torch_ops.tensors_of``.
    """
    return PACKERS[problem.kind](problem, w)


def _convolution(p: Conv2d, w: Mapping[str, Tensor]) -> tuple[Run, Calls]:
    t = torch().module
    operators = t.ops.mkldnn
    top, left, bottom, right = p.pads
    around, pad, h, width = (left, right, top, bottom), (top, left), p.h, p.w
    padded = (top, left) != (bottom, right)
    if padded:
        pad, h, width = (0, 0), h + top + bottom, width + left + right
    shape = [p.n, p.c, h, width]
    place = pad, p.stride, p.dilation, p.groups
    weight = operators._reorder_convolution_weight(w["weight"], *place, shape)  # noqa: SLF001
    bias = w.get("bias")

    def in_format(x: Tensor) -> Tensor:
        return t.nn.functional.pad(x, around) if padded else x

    attribute = ATTRIBUTES[p.epilogue.function]
    unary = operators._convolution_pointwise.default  # noqa: SLF001
    if not p.epilogue.add:
        return lambda x: unary(in_format(x), weight, bias, *place, *attribute), ()
    both = operators._convolution_pointwise.binary  # noqa: SLF001
    onto = operators._convolution_pointwise_.binary
    rest, after = _sum(p.epilogue)
    return (
        lambda x, y: after(both(in_format(x), y, weight, bias, *place, *rest)),
        ((1, lambda x, y: after(onto(y, in_format(x), weight, bias, *place, *rest))),),
    )


def _sum(epilogue: Epilogue) -> tuple[tuple[Any, ...], Run]:
    """Return the last arguments of a call that adds, and the function to compute after it.

    The operators fuse a ReLU with a sum, but no other activation.
    """
    function = epilogue.function
    if function in (None, "relu"):
        return ("add", 1.0, function, [], ""), lambda y: y
    return ("add", 1.0, None, [], ""), function_of(function)


def _linear(g: Gemm, w: Mapping[str, Tensor]) -> tuple[Run, Calls]:
    """Return a product by MKL, or by oneDNN if it can fuse an activation.

    On one core of a CPU with AVX-512, 197x3072:3072x768: 5.7 ms by MKL, 6.3 ms by oneDNN; 6.6 ms
    without packed weights.
    """
    t = torch().module
    turned, bias, epilogue = w["weight"], w.get("bias"), g.epilogue
    if epilogue.function is not None or not t.backends.mkl.is_available():
        return _linear_onednn(g, turned, bias), ()
    weight = t.ops.mkl._mkl_reorder_linear_weight(turned, g.m)  # noqa: SLF001
    call = t.ops.mkl._mkl_linear.default  # noqa: SLF001
    if epilogue.add:
        return lambda x, y: call(x, weight, turned, bias, g.m).add_(y), ()
    return lambda x: call(x, weight, turned, bias, g.m), ()


def _linear_onednn(g: Gemm, turned: Tensor, bias: Tensor | None) -> Run:
    operators = torch().module.ops.mkldnn
    weight = operators._reorder_linear_weight(turned, g.m)  # noqa: SLF001
    call = operators._linear_pointwise.default  # noqa: SLF001
    if not g.epilogue.add:
        attribute = ATTRIBUTES[g.epilogue.function]
        return lambda x: call(x, weight, bias, *attribute)
    both = operators._linear_pointwise.binary  # noqa: SLF001
    if g.epilogue.function is None:
        return lambda x, y: both(x, y, weight, bias, "add")
    after = function_of(g.epilogue.function)
    return lambda x, y: after(both(x, y, weight, bias, "add"))


PACKERS: dict[str, Callable[[Any, Mapping[str, Tensor]], tuple[Run, Calls]]] = {
    "conv2d": _convolution,
    "gemm": _linear,
}
