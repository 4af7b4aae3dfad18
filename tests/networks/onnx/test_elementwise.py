"""Activations, whole or written out in steps; sums and products."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.problems.ops import (
    Activation,
    Add,
    Affine,
    Bias,
    LayerScale,
    Multiply,
    PositionEmbedding,
    Reshape,
)


def f32(value):
    return np.array(value, np.float32)


@pytest.mark.parametrize(
    ("kind", "attributes", "function"),
    [
        ("Relu", {}, "relu"),
        ("Sigmoid", {}, "sigmoid"),
        ("Tanh", {}, "tanh"),
        ("HardSwish", {}, "hardswish"),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, "hardsigmoid"),
        ("Gelu", {}, "gelu"),
    ],
)
def test_activations(ops, node, kind, attributes, function):
    opset = 20 if kind == "Gelu" else 17
    assert ops([node(kind, "x", **attributes)], opset=opset) == [Activation(function)]


def test_gelu_by_tanh(ops, node):
    assert ops([node("Gelu", "x", approximate="tanh")], opset=20) == [Activation("gelu_tanh")]


@pytest.mark.parametrize(
    ("inputs", "attributes", "opset", "function"),
    [
        ("x low high", {}, 17, "relu6"),
        ("x low", {}, 17, "relu"),
        ("x", {"min": 0.0, "max": 6.0}, 7, "relu6"),
        ("x low largest", {}, 17, "relu"),
        ("x low infinite", {}, 17, "relu"),
        ("x", {"min": 0.0}, 7, "relu"),
        ("x", {"min": 0.0, "max": 3.4028234663852886e38}, 7, "relu"),
    ],
)
def test_clip(ops, node, *, inputs, attributes, opset, function):
    clip = node("Clip", inputs, **attributes)
    weights = {"low": f32(0), "high": f32(6)}
    weights |= {"largest": np.finfo(np.float32).max, "infinite": f32(np.inf)}
    assert ops([clip], weights=weights, opset=opset) == [Activation(function)]


NUMBERS = {
    "sqrt2": f32(2**0.5), "root": f32(0.5**0.5), "one": f32(1), "half": f32(0.5),
    "three": f32(3), "zero": f32(0), "six": f32(6), "sixth": f32(1 / 6),
}  # fmt: skip
GELU = {
    "torch": ["Div x sqrt2 a", "Erf a b", "Add b one c", "Mul x c d", "Mul d half y"],
    "half first": ["Mul x half h", "Mul root x a", "Erf a b", "Add one b c", "Mul h c y"],
    "half inside": ["Div x sqrt2 a", "Erf a b", "Add b one c", "Mul half c d", "Mul d x y"],
}
GATES = {
    "silu": ["Sigmoid x a", "Mul a x y"],
    "hardswish": ["Add x three a", "Clip a zero six b", "Mul x b c", "Div c six y"],
    "hardsigmoid": ["Add three x a", "Clip a zero six b", "Mul b sixth y"],
}


def steps(node, lines):
    for line in lines:
        kind, *inputs, output = line.split()
        yield node(kind, " ".join(inputs), output)


@pytest.mark.parametrize("form", GELU)
def test_exact_gelu_in_steps(ops, node, form):
    assert ops(list(steps(node, GELU[form])), weights=NUMBERS) == [Activation("gelu")]


@pytest.mark.parametrize("function", GATES)
def test_other_activations_in_steps(ops, node, function):
    assert ops(list(steps(node, GATES[function])), weights=NUMBERS) == [Activation(function)]


def test_hardswish_of_a_hardsigmoid(ops, node):
    lines = [*GATES["hardsigmoid"][:-1], "Div b six s", "Mul s x y"]
    assert ops(list(steps(node, lines)), weights=NUMBERS) == [Activation("hardswish")]


def test_what_only_resembles_gelu(same_as_runtime, node):
    lines = ["Div x three a", *GELU["torch"][1:]]
    numbers = {name: np.float32(number) for name, number in NUMBERS.items()}
    network = same_as_runtime(list(steps(node, lines)), (2, 5), numbers)
    assert "Erf (opaque)" in [each.op.text for each in network.nodes]


@pytest.mark.parametrize("operator", ["Add", "Sub"])
@pytest.mark.parametrize(
    ("shape", "constant", "expected"),
    [
        ((2, 5, 6), (6,), [Bias()]),
        ((2, 5, 6), (1, 1, 6), [Bias()]),
        ((2, 3, 4, 4), (3, 1, 1), [Bias()]),
        ((2, 3, 4, 4), (1, 3, 1, 1), [Bias()]),
        ((2, 3, 4, 4), (4,), [Reshape((2, 12, 4)), Bias(), Reshape((2, 3, 4, 4))]),
        ((2, 5, 6), (5, 1), [Reshape((2, 5, 6, 1)), Bias(), Reshape((2, 5, 6))]),
        ((2, 5, 6), (1, 5, 6), [PositionEmbedding()]),
        (
            (2, 3, 4, 4),
            (1, 3, 4, 4),
            [Reshape((2, 12, 4)), PositionEmbedding(), Reshape((2, 3, 4, 4))],
        ),
    ],
)
def test_terms(imported, node, *, operator, shape, constant, expected):
    made = imported([node(operator, "x t")], shape, {"t": constant})
    assert [each.op for each in made.network.nodes] == expected
    assert made.network.output == shape


def test_parameters_equal_the_files(imported, node):
    network = imported([node("Add", "x t")], (2, 3, 4, 4), {"t": (1, 3, 4, 4)}).network
    assert sum(each.op.parameters(*network.reads(each)) for each in network.nodes) == 48


@pytest.mark.parametrize("operator", ["Mul", "Div"])
def test_factors(ops, node, operator):
    assert ops([node(operator, "x f")], (2, 3, 4, 4), {"f": (3, 1, 1)}) == [LayerScale()]


@pytest.mark.parametrize(
    ("operator", "number", "expected"),
    [
        ("Mul", 0.5, Affine(factor=0.5)),
        ("Div", 4.0, Affine(factor=0.25)),
        ("Add", 3.0, Affine(term=3.0)),
        ("Sub", 3.0, Affine(term=-3.0)),
    ],
)
def test_numbers(ops, node, operator, number, expected):
    assert ops([node(operator, "x f")], weights={"f": f32(number)}) == [expected]


def test_factors_of_factors_are_one(ops, node):
    nodes = [node("Mul", "x f", "a"), node("Reshape", "a s", "b"), node("Mul", "b f")]
    made = ops(nodes, (2, 3, 4), {"f": f32(0.5), "s": [2, 12]})
    assert made[1] == Affine(factor=0.25)


def test_activations_of_different_ranks(ops, node):
    nodes = [node("Relu", "x", "a"), node("Reshape", "a s", "b"), node("Add", "a b")]
    made = ops(nodes, (1, 3, 4), {"s": [3, 4]})
    assert made[0] == Activation("relu")
    assert made[-1] == Add()


def test_squeeze_and_excitation(ops, node):
    nodes = [node("GlobalAveragePool", "x", "p"), node("Sigmoid", "p", "g"), node("Mul", "x g")]
    assert ops(nodes)[-1] == Multiply()


@pytest.mark.parametrize(
    ("line", "constant", "said"),
    [
        ("Add x c", (5,), "does not fit"),
        ("Div x c", f32(0), "division by 0"),
        ("Mul x c", f32(np.nan), "must be finite and not 0"),
        ("Mul x c", f32(0), "must be finite and not 0"),
        ("Add x c", f32(np.inf), "must be finite"),
    ],
)
def test_refused(imported, node, line, constant, said):
    kind, *inputs = line.split()
    with pytest.raises(InputError, match=said):
        imported([node(kind, " ".join(inputs))], weights={"c": constant})
