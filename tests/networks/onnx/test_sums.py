"""Sum and Mean of any number of inputs, as ONNX Runtime computes them."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.problems.ops import Activation, Add, Affine

SHAPE = (1, 3, 4, 5)
RELU, TANH = Activation("relu"), Activation("tanh")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("a x", [RELU, Add()]),
        ("a x b", [RELU, TANH, Add(), Add()]),
        ("x x x x", [Add(), Add(), Add()]),
        ("one a x", [RELU, Add(), Affine(term=1.0)]),
    ],
)
@pytest.mark.parametrize("kind", ["Sum", "Mean"])
def test_several(same_as_runtime, node, kind, inputs, expected):
    nodes = [node("Relu", "x", "a"), node("Tanh", "x", "b"), node(kind, inputs)]
    weights = {"one": np.float32(1)} if "one" in inputs else {}
    made = [each.op for each in same_as_runtime(nodes, SHAPE, weights).nodes]
    mean = [Affine(factor=1 / len(inputs.split()))] if kind == "Mean" else []
    assert made == [*expected, *mean]


@pytest.mark.parametrize("kind", ["Sum", "Mean"])
def test_one_is_left_out(imported, node, kind):
    made = imported([node(kind, "x", "a"), node("Relu", "a")])
    assert [each.op for each in made.network.nodes] == [RELU]
    assert made.notes[0] == f"left out: 1 {kind}"


@pytest.mark.parametrize("kind", ["Sum", "Mean", "Max", "Min"])
def test_more_inputs_than_anybody_writes(imported, node, kind):
    with pytest.raises(InputError, match=f"{kind} node number 1: it has 5000 inputs; at most 4096"):
        imported([node(kind, " ".join(["x"] * 5000))])


def test_a_residual_of_sum_is_fused_like_one_of_add(imported, node):
    from convprof.networks.steps import steps

    nodes = [
        node("Conv", "x w", "a", pads=[1] * 4), node("Sum", "a x", "b"), node("Relu", "b")
    ]  # fmt: skip
    network = imported(nodes, (1, 4, 6, 6), {"w": (4, 4, 3, 3)}).network
    assert [step.nodes for step in steps(network, fuse=True)] == [("Conv_1", "Sum_1", "Relu_1")]


def test_a_sum_of_constants_is_one(ops, node):
    nodes = [node("Sum", "a b", "c"), node("Reshape", "x c")]
    made = ops(nodes, (2, 3), {"a": np.array([2]), "b": np.array([4])})
    assert [op.shape for op in made] == [(6,)]


def test_shapes_that_do_not_fit(imported, node):
    nodes = [node("Transpose", "x", "a", perm=[0, 1, 3, 2]), node("Sum", "x a")]
    with pytest.raises(InputError, match=r"Sum node number 2: .*does not fit the first input"):
        imported(nodes, SHAPE)
