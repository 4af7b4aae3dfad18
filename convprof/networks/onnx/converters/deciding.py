"""Comparisons, logic and choices: what masks are computed by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convprof.networks.onnx.converters.broadcasting import (
    aligned,
    expanded,
    joint_shape,
    number_in,
    pair,
)
from convprof.networks.onnx.converters.masks import LOW, chosen
from convprof.networks.onnx.node import LOWEST, Constant, Value
from convprof.networks.onnx.weights import numbers_within
from convprof.problems.ops import Compare, Maximum, Multiply, Select

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.networks.onnx.importer import Importer
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.ops import Op
    from convprof.problems.ops.deciding import Relation

_RELATIONS: dict[str, Relation] = {
    "Equal": "equal",
    "Greater": "more",
    "GreaterOrEqual": "at least",
    "Less": "less",
    "LessOrEqual": "at most",
}
_SWAPPED: dict[Relation, Relation] = {
    "equal": "equal",
    "not equal": "not equal",
    "less": "more",
    "more": "less",
    "at most": "at least",
    "at least": "at most",
}
"""The relation of b and a that is the relation of a and b."""


_PASSING = ("Cast", "Dropout", "Identity")
"""Operators that give what they read."""


def _relation(net: Importer, node: FileNode) -> Value:
    relation = _RELATIONS[node.kind]
    a, b = (net.values[node.input(at)] for at in (0, 1))
    if isinstance(a, Constant):
        a, b, relation = b, a, _SWAPPED[relation]
    number = _finite(number_in(b))
    if isinstance(a, Value) and number is not None and len(b.shape) <= len(a.shape):
        return net.emit(node, Compare(relation, number), a)
    first, second = (net.computed(node, at) for at in (0, 1))
    return pair(net, node, Compare(_RELATIONS[node.kind]), first, second)


def _both(net: Importer, node: FileNode) -> Value:
    """Combine truth values, which are 1 or 0: their product, the larger one, a difference.

    A constant that changes nothing is left out.
    """
    for at, other in ((0, 1), (1, 0)):
        constant, value = net.values[node.input(at)], net.values[node.input(other)]
        if isinstance(constant, Constant) and isinstance(value, Value):
            numbers = numbers_within(constant)
            if numbers is not None and np.all(numbers == (node.kind == "And")):
                net.leave_out(node)
                return expanded(net, node, value, constant.shape)
    ops: dict[str, Op] = {"And": Multiply(), "Or": Maximum(), "Xor": Compare("not equal")}
    return pair(net, node, ops[node.kind], net.computed(node, 0), net.computed(node, 1))


def _not(net: Importer, node: FileNode) -> Value:
    return net.emit(node, Compare("equal", 0.0), net.activation(node))


def _is_nan(net: Importer, node: FileNode) -> list[Constant]:
    """Return false: all numbers are defined here; minus infinity in a mask is a very low number."""
    net.leave_out(node)
    return [Constant.of(np.zeros((), bool))]


def _where(net: Importer, node: FileNode) -> Value:
    condition, a, b = (net.values[node.input(at)] for at in range(3))
    if isinstance(condition, Constant):
        known = _by_constant(net, node, condition, a, b)
        if known is not None:
            return known
    then, otherwise = _finite(number_in(a)), _finite(number_in(b))
    op = Select(then, otherwise)
    choices = [at for at, number in ((1, then), (2, otherwise)) if number is None]
    values = aligned(net, node, [net.computed(node, at) for at in (0, *choices)])
    return net.emit(node, op, *values)


def _by_constant(
    net: Importer, node: FileNode, condition: Constant, a: Value | Constant, b: Value | Constant
) -> Value | None:
    """Return the choice by a condition that is one number, or the mask of scores; else None.

    Scores plus a very low number are not the file's low number: only a softmax gives 0 for both.
    """
    number = number_in(condition)
    if number is not None:
        choice = a if number else b
        whole = joint_shape(node, condition.shape, a.shape, b.shape)
        if isinstance(choice, Value) and choice.shape == whole:
            net.leave_out(node)
            return choice
        return None
    if not _is_read_by_softmax(net, node):
        return None
    for scores, low, counts in ((a, b, condition), (b, a, condition.mapped(np.logical_not))):
        number = number_in(low)
        if number is None or number > LOW or not isinstance(scores, Value):
            continue
        if joint_shape(node, scores.shape, counts.shape, low.shape) == scores.shape:
            return chosen(net, node, scores, counts)
    return None


def _is_read_by_softmax(net: Importer, node: FileNode) -> bool:
    """Whether a softmax alone reads the result of a node."""
    reader = net.only_reader(node.outputs[0])
    while reader is not None and reader.kind in _PASSING:
        reader = net.only_reader(reader.outputs[0])
    return reader is not None and reader.kind == "Softmax"


def _finite(number: float | None) -> float | None:
    """Return a number within the range of f32; None for NaN and without a number."""
    if number is None or math.isnan(number):
        return None
    return min(max(number, LOWEST), -LOWEST)


CONVERTERS: dict[str, Callable[[Importer, FileNode], Value | list[Constant]]] = {
    **dict.fromkeys(_RELATIONS, _relation),
    **dict.fromkeys(("And", "Or", "Xor"), _both),
    "IsNaN": _is_nan,
    "Not": _not,
    "Where": _where,
}
