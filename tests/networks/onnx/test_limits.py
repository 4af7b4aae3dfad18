"""Clip, HardSigmoid, Max and Min: any numbers, as ONNX Runtime computes them."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.problems.ops import Activation, Clip, HardSigmoid

LARGEST = float(np.finfo(np.float32).max)
SHAPE = (1, 3, 4, 5)


def f32(value):
    return np.array(value, np.float32)


def limits(low, high):
    """Return the limits that are given, by name."""
    return {key: f32(end) for key, end in (("low", low), ("high", high)) if end is not None}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1, 1, Clip(-1.0, 1.0)),
        (0, 0.5, Clip(0.0, 0.5)),
        (0.25, None, Clip(0.25, None)),
        (-LARGEST, 0.5, Clip(None, 0.5)),
        (-np.inf, -0.5, Clip(None, -0.5)),
        (-0.5, LARGEST, Clip(-0.5, None)),
        (-0.0, LARGEST, Activation("relu")),
    ],
)
def test_clip(same_as_runtime, node, low, high, expected):
    nodes = [node("Clip", "x low" if high is None else "x low high")]
    network = same_as_runtime(nodes, SHAPE, limits(low, high))
    assert [each.op for each in network.nodes] == [expected]


def test_clip_by_attributes(same_as_runtime, node):
    network = same_as_runtime([node("Clip", "x", min=-1.0, max=0.5)], SHAPE, opset=10)
    assert [each.op for each in network.nodes] == [Clip(-1.0, 0.5)]


@pytest.mark.parametrize("inputs", ["x", "x low high"])
def test_clip_without_limits_is_left_out(imported, node, inputs):
    nodes = [node("Clip", inputs, "a"), node("Relu", "a")]
    made = imported(nodes, weights=limits(-LARGEST, LARGEST))
    assert [each.op for each in made.network.nodes] == [Activation("relu")]
    assert made.notes[0] == "left out: 1 Clip"


def test_the_largest_half_is_no_limit(ops, node):
    weights = {"low": np.float16(0), "high": np.finfo(np.float16).max}
    assert ops([node("Clip", "x low high")], weights=weights, dtype=10) == [Activation("relu")]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (2, 1, r"Clip node number 1: limits 2\.0 and 1\.0: use a finite lower limit"),
        (1, 1, r"limits 1\.0 and 1\.0"),
        (np.nan, 1, "its limits must be known"),
        (np.inf, None, "limits inf and None"),
    ],
)
def test_impossible_limits(imported, node, low, high, said):
    inputs = "x low" if high is None else "x low high"
    with pytest.raises(InputError, match=said):
        imported([node("Clip", inputs)], weights=limits(low, high))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, HardSigmoid()),
        ({"alpha": 0.25, "beta": 0.1}, HardSigmoid(0.25, float(f32(0.1)))),
        ({"alpha": 1 / 6}, Activation("hardsigmoid")),
    ],
)
def test_hard_sigmoid(same_as_runtime, node, numbers, expected):
    network = same_as_runtime([node("HardSigmoid", "x", **numbers)], SHAPE)
    assert [each.op for each in network.nodes] == [expected]


def test_a_slope_that_is_not_finite(imported, node):
    with pytest.raises(InputError, match="HardSigmoid node number 1: alpha=nan: must be finite"):
        imported([node("HardSigmoid", "x", alpha=float("nan"))])


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("Max", "x zero", Activation("relu")),
        ("Max", "zero x one", Clip(1.0, None)),
        ("Min", "one x", Clip(None, 1.0)),
        ("Min", "wide x", Clip(None, 1.0)),
    ],
)
def test_max_and_min_with_numbers(same_as_runtime, node, kind, inputs, expected):
    numbers = {"zero": f32(0), "one": f32(1), "wide": f32([[[1]]])}
    given = {name: value for name, value in numbers.items() if name in inputs.split()}
    network = same_as_runtime([node(kind, inputs)], (2, 5), given)
    assert network.nodes[0].op == expected


@pytest.mark.parametrize(
    ("inputs", "kinds"),
    [
        ("a x", ["activation", "PAIR"]),
        ("a x t", ["activation", "activation", "PAIR", "PAIR"]),
        ("half x a", ["activation", "clip", "PAIR"]),
        ("x row", ["slice", "PAIR"]),
    ],
)
@pytest.mark.parametrize(("kind", "pair"), [("Max", "maximum"), ("Min", "minimum")])
def test_max_and_min_of_activations(same_as_runtime, node, *, kind, pair, inputs, kinds):
    nodes = [
        node("HardSwish", "x", "a"), node("Tanh", "x", "t"),
        node("Slice", "x zero one axis", "row"), node(kind, inputs),
    ]  # fmt: skip
    weights = {"half": f32(0.5), "zero": [0], "one": [1], "axis": [2]}
    network = same_as_runtime(nodes, SHAPE, weights)
    made = [each.op.kind for each in network.nodes]
    assert [each.replace("PAIR", pair) for each in kinds] == made


def test_max_of_one_is_left_out(imported, node):
    made = imported([node("Max", "x", "a"), node("Relu", "a")])
    assert [each.op for each in made.network.nodes] == [Activation("relu")]
    assert made.notes[0] == "left out: 1 Max"
