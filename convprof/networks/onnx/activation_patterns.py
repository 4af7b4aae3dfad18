"""Activations written out in steps: SiLU, hard sigmoid, hard swish, both forms of GELU."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.networks.onnx.node import PATTERN_KIND
from convprof.networks.onnx.view import TOLERANCE
from convprof.problems.functions import GELU_CUBE, GELU_SLOPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.view import View

FUNCTION = f"{PATTERN_KIND}Activation"
"""An activation of several nodes as one; the attribute ``function`` names it."""
_SQRT2 = math.sqrt(2)


def function(node: FileNode, name: str, x: str) -> FileNode:
    """Return the node that replaces the steps of an activation of x."""
    return replace(node, kind=FUNCTION, inputs=(x,), attributes={"function": name})


def find_activation(net: View, node: FileNode) -> FileNode | None:
    """Find x sigmoid(x), x hardsigmoid(x) and the two forms of GELU at their last product."""
    return _gated(net, node) or _gelu(net, node)


def _gated(net: View, node: FileNode) -> FileNode | None:
    for x, gate in net.pairs(node):
        if (inner := net.producer(gate, "Sigmoid")) and inner.inputs == (x,):
            return function(node, "silu", x)
        hard = _hard_sigmoid_input(net, gate)
        if hard == x:
            return function(node, "hardswish", x)
    return _hard_swish_in_steps(net, node)


def _hard_sigmoid_input(net: View, name: str) -> str | None:
    """Return x where the value is min(max(x + 3, 0), 6) / 6."""
    node = net.producer(name, "HardSigmoid")
    if node is not None:
        sixth = math.isclose(node.real("alpha", 0.2), 1 / 6, rel_tol=TOLERANCE)
        return node.input(0) if sixth and node.real("beta", 0.5) == 1 / 2 else None
    named = net.producer(name, FUNCTION)
    if named is not None and named.attributes["function"] == "hardsigmoid":
        return named.input(0)
    return None


def _shifted(net: View, clip: FileNode, sixth: float) -> str | None:
    """Return x where a Clip is min(max(x + 3, 0), 6) and the other factor is 1 / 6."""
    low, high = bounds(clip, net.number)
    if (low, high) != (0, 6) or not math.isclose(sixth, 1 / 6, rel_tol=TOLERANCE):
        return None
    add = net.producer(clip.input(0), "Add")
    shifted = net.pairs(add) if add else []
    return next((x for x, three in shifted if net.is_number(three, 3)), None)


def _hard_swish_in_steps(net: View, node: FileNode) -> FileNode | None:
    """Find x min(max(x + 3, 0), 6) / 6, and the same without the first x."""
    factor, values = net.factors(node.outputs[0], frozenset())
    for value in values:
        clip = net.producer(value, "Clip")
        x = _shifted(net, clip, factor) if clip else None
        others = [other for other in values if other != value]
        if x is not None and others in ([], [x]):
            return function(node, "hardswish" if others else "hardsigmoid", x)
    return None


def _gelu(net: View, node: FileNode) -> FileNode | None:
    """Find both forms of GELU, whatever the order of their three factors.

    x / 2 (1 + erf(x / sqrt 2)) and x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
    """
    _, values = net.factors(node.outputs[0], frozenset())
    for value in values:
        add = net.producer(value, "Add")
        for inner, one in net.pairs(add) if add else []:
            if not net.is_number(one, 1):
                continue
            for name, x in _gelu_inputs(net, inner):
                factor, both = net.factors(node.outputs[0], frozenset({x, value}))
                if sorted(both) == sorted((x, value)) and math.isclose(
                    factor, 1 / 2, rel_tol=TOLERANCE
                ):
                    return function(node, name, x)
    return None


def _gelu_inputs(net: View, inner: str) -> list[tuple[str, str]]:
    """Return the form of GELU and x that the function within the sum with 1 suggests."""
    erf, tanh = net.producer(inner, "Erf"), net.producer(inner, "Tanh")
    if erf is not None:
        return [("gelu", x) for x in _scaled_inputs(net, erf.input(0))]
    return [("gelu_tanh", x) for x in _cubic_inputs(net, tanh.input(0))] if tanh else []


def _cubic_inputs(net: View, name: str) -> list[str]:
    """Return x where the value is sqrt(2 / pi) (x + 0.044715 x^3)."""
    factor, values = net.factors(name, frozenset())
    add = net.producer(values[0], "Add") if len(values) == 1 else None
    if add is None or not math.isclose(factor, GELU_SLOPE, rel_tol=TOLERANCE):
        return []
    return [x for x, cube in net.pairs(add) if _is_cube(net, cube, x)]


def _is_cube(net: View, name: str, x: str) -> bool:
    """Whether a value is 0.044715 x^3: a power, or products with x."""
    factor, values = net.factors(name, frozenset({x}))
    if not math.isclose(factor, GELU_CUBE, rel_tol=TOLERANCE):
        return False
    if values == [x] * 3:
        return True
    power = net.producer(values[0], "Pow") if len(values) == 1 else None
    return power is not None and power.input(0) == x and net.is_number(power.input(1), 3)


def _scaled_inputs(net: View, name: str) -> list[str]:
    """Return x where the value is x / sqrt 2."""
    node = net.producer(name, "Div")
    if node is not None and net.is_number(node.input(1), _SQRT2):
        return [node.input(0)]
    node = net.producer(name, "Mul")
    return [x for x, f in net.pairs(node) if net.is_number(f, 1 / _SQRT2)] if node else []


def bounds(
    clip: FileNode, number: Callable[[str], float | None]
) -> tuple[float | None, float | None]:
    """Return the least and the largest result of a Clip; None where it is not limited.

    NaN, which equals no number, where a limit is not a constant.
    """
    ends: list[float | None] = []
    for index, key in ((1, "min"), (2, "max")):
        if clip.has(index):
            value = number(clip.inputs[index])
            ends.append(math.nan if value is None else value)
        else:
            ends.append(clip.real(key, 0.0) if key in clip.attributes else None)
    return ends[0], ends[1]
