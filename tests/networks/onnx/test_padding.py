"""Pad as a node of its own, as ONNX Runtime computes it."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError, ProblemError
from convprof.problems.ops import Pad, Pool2d

AROUND, LATER = [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1]
NOTE = "1 x Pad before a convolution or pool: here it is their own padding"


def pad_of(node, opset, pads, *, x="x", y="a", value=None):
    """Return a Pad node and its weights: inputs since operator set 11, attributes before."""
    if opset < 11:
        more = {} if value is None else {"value": float(value)}
        return node("Pad", x, y, mode="constant", pads=pads, **more), {}
    weights = {"pads": np.array(pads)}
    weights |= {} if value is None else {"value": np.float32(value)}
    return node("Pad", " ".join([x, *weights]), y), weights


def conv(node, x="a", **attributes):
    return node("Conv", f"{x} w", kernel_shape=[3, 3], **attributes)


@pytest.mark.parametrize("opset", [9, 11, 18])
def test_zeros_alone_are_left_out(imported, node, opset):
    nothing, weights = pad_of(node, opset, [0] * 8)
    pool = node("AveragePool", "a", kernel_shape=[2, 2], strides=[2, 2])
    made = imported([nothing, pool], (1, 8, 16, 16), weights, opset=opset)
    assert [each.op.kind for each in made.network.nodes] == ["pool"]
    assert made.network.output == (1, 8, 8, 8)
    assert made.notes[0] == "left out: 1 Pad"


@pytest.mark.parametrize(
    ("pads", "attributes", "sides"),
    [
        (AROUND, {"strides": [2, 2]}, (1, 1, 1, 1)),
        (LATER, {"strides": [2, 2], "auto_pad": "VALID"}, (0, 0, 1, 1)),
        ([0, 0, 3, 0, 0, 0, 1, 2], {"pads": [1, 0, 0, 2]}, (4, 0, 1, 4)),
        (AROUND, {"dilations": [2, 2]}, (1, 1, 1, 1)),
        (LATER, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, (1, 1, 2, 2)),
    ],
)
@pytest.mark.parametrize("opset", [9, 11])
def test_convolutions_take_it_up(same_as_runtime, node, *, opset, pads, attributes, sides):
    padded, weights = pad_of(node, opset, pads)
    w = np.random.default_rng(1).standard_normal((4, 3, 3, 3), np.float32)
    network = same_as_runtime(
        [padded, conv(node, **attributes)], (1, 3, 32, 32), {**weights, "w": w}, opset=opset
    )
    assert [each.op.kind for each in network.nodes] == ["conv"]
    assert network.nodes[0].op.pad == sides


def test_it_is_said(imported, node):
    padded, weights = pad_of(node, 17, AROUND)
    made = imported([padded, conv(node)], weights={**weights, "w": (4, 3, 3, 3)})
    assert made.notes[0] == NOTE


@pytest.mark.parametrize(
    ("before", "kind", "pads", "own", "folds"),
    [
        ("Relu", "MaxPool", AROUND, {}, True),
        ("Sigmoid", "MaxPool", LATER, {"ceil_mode": 1}, True),
        ("Relu", "MaxPool", LATER, {"pads": [1, 1, 0, 0]}, True),
        ("Tanh", "MaxPool", AROUND, {}, False),
        ("Relu", "MaxPool", [0, 0, 3, 0, 0, 0, 0, 0], {}, False),
        ("Tanh", "AveragePool", AROUND, {}, True),
        ("Tanh", "AveragePool", AROUND, {"pads": [1, 0, 0, 1]}, False),
        ("Tanh", "AveragePool", AROUND, {"pads": [1, 0, 0, 1], "count_include_pad": 1}, True),
        ("Tanh", "AveragePool", LATER, {"ceil_mode": 1}, True),
        ("Relu", "MaxPool", [0, 0, 0, 0, 0, 0, 2, 2], {"ceil_mode": 1}, False),
        ("Relu", "MaxPool", [0, 1, 1, 1, 0, 1, 1, 1], {}, False),
    ],
)
def test_pools_take_it_up_where_values_stay(
    same_as_runtime, node, *, before, kind, pads, own, folds
):
    padded, weights = pad_of(node, 17, pads, x="b")
    pool = node(kind, "a", kernel_shape=[3, 3], strides=[2, 2], **own)
    nodes = [node(before, "x", "b"), padded, pool]
    network = same_as_runtime(nodes, (1, 2, 10, 10), weights)
    assert folds == (len(network.nodes) == 2)
    assert isinstance(network.nodes[-1].op, Pool2d)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_a_factor_after_the_zeros(same_as_runtime, node, kind):
    """Less than 0 everywhere but in the padding, which is then the largest."""
    padded, weights = pad_of(node, 17, AROUND, x="b")
    pool = node(kind, "m", kernel_shape=[3, 3], strides=[2, 2])
    nodes = [node("Sigmoid", "x", "b"), padded, node("Mul", "a minus", "m"), pool]
    same_as_runtime(nodes, (1, 2, 10, 10), {**weights, "minus": np.float32(-1)})


@pytest.mark.parametrize("lowest", [-np.inf, float(np.finfo(np.float32).min)])
def test_minus_infinity_before_a_max_pool(same_as_runtime, node, lowest):
    """PyTorch models with TensorFlow's padding have it."""
    padded, weights = pad_of(node, 17, LATER, value=lowest)
    pool = node("MaxPool", "a", kernel_shape=[3, 3], strides=[2, 2])
    network = same_as_runtime([padded, pool], (1, 2, 10, 10), weights)
    assert [each.op.pad for each in network.nodes] == [(0, 0, 1, 1)]


def test_minus_infinity_stays_a_layer_before_anything_else(ops, node):
    padded, weights = pad_of(node, 17, LATER, value=-np.inf)
    made = ops([padded, node("Relu", "a")], (1, 2, 10, 10), weights)
    lowest = float(np.finfo(np.float32).min)
    assert made[0] == Pad((0, 0, 0, 0), (0, 0, 1, 1), lowest)


@pytest.mark.parametrize(
    ("shape", "pads", "value", "expected"),
    [
        ((1, 2, 4, 5), AROUND, None, [Pad((0, 0, 1, 1), (0, 0, 1, 1))]),
        ((1, 2, 4, 5), [0, 1, 0, 0, 0, 3, 0, 0], 0, [Pad((0, 1, 0, 0), (0, 3, 0, 0))]),
        ((2, 5), [1, 0, 0, 2], 0.5, [Pad((1, 0), (0, 2), 0.5)]),
        ((2, 5, 6), [0, -1, 2, 0, 0, -3], 0, ["slice", "slice", "pad"]),
    ],
)
@pytest.mark.parametrize("opset", [9, 13])
def test_by_itself(same_as_runtime, node, *, opset, shape, pads, value, expected):
    padded, weights = pad_of(node, opset, pads, value=value)
    nodes = [padded, node("Tanh", "a")]
    made = [each.op for each in same_as_runtime(nodes, shape, weights, opset=opset).nodes][:-1]
    assert [op.kind if isinstance(each, str) else op for op, each in zip(made, expected, strict=True)] == expected  # noqa: E501  # fmt: skip


def test_axes_since_operator_set_18(same_as_runtime, node):
    nodes = [node("Pad", "x pads value axes", "a"), node("Tanh", "a")]
    weights = {"pads": [1, 2, 3, 0], "value": np.float32(0.25), "axes": [-1, 1]}
    network = same_as_runtime(nodes, (1, 2, 4, 5), weights, opset=18)
    assert network.nodes[0].op == Pad((0, 2, 0, 1), (0, 0, 0, 3), 0.25)


def test_channels_last_and_then_a_convolution(same_as_runtime, node):
    """TensorFlow pads (n, h, w, c), and the transposition comes after."""
    padded, weights = pad_of(node, 13, [0, 1, 1, 0, 0, 1, 1, 0])
    w = np.random.default_rng(1).standard_normal((4, 3, 3, 3), np.float32)
    nodes = [padded, node("Transpose", "a", "b", perm=[0, 3, 1, 2]), conv(node, "b")]
    network = same_as_runtime(nodes, (1, 8, 9, 3), {**weights, "w": w})
    assert [each.op.kind for each in network.nodes] == ["transpose", "conv"]


def test_what_two_read_is_padded_once_more(same_as_runtime, node):
    padded, weights = pad_of(node, 17, AROUND, x="b")
    nodes = [
        node("Relu", "x", "b"), padded, node("MaxPool", "a", "p", kernel_shape=[2, 2]),
        node("Slice", "a one ten both", "s"), node("Add", "p s"),
    ]  # fmt: skip
    more = {"one": [1, 1], "ten": [10, 10], "both": [2, 3]}
    network = same_as_runtime(nodes, (1, 2, 8, 8), {**weights, **more})
    assert [each.op.kind for each in network.nodes].count("pad") == 1


@pytest.mark.parametrize(
    ("weights", "attributes", "said"),
    [
        ({"p": [1, 1]}, {}, "2 pads do not fit 4 axes"),
        ({"p": [0, 0, -4, 0, 0, 0, -4, 0]}, {}, "its pads leave nothing of axis 2"),
        ({"p": AROUND, "v": np.float32(np.inf)}, {}, "value=inf: must be finite"),
        ({"p": AROUND, "v": np.ones(20, np.float32)}, {}, "its value must be known"),
        ({"p": [2**62] * 8}, {}, "Pad node number 1: "),
    ],
)
def test_refused(imported, node, weights, attributes, said):
    nodes = [node("Pad", " ".join(["x", *weights]), **attributes)]
    given = {name: np.array(value) for name, value in weights.items()}
    with pytest.raises(InputError, match=said):
        imported(nodes, weights=given)


def test_nothing_negative_and_every_axis():
    with pytest.raises(ProblemError, match="must be as many, and not negative"):
        Pad((1, 0), (1,))
    with pytest.raises(ProblemError, match="must be as many, and not negative"):
        Pad((1, -1), (1, 0))
    with pytest.raises(ProblemError, match="it needs 2 axes"):
        Pad((1, 0), (1, 0)).output((2, 3, 4))
    assert (Pad((0, 0, 1, 2), (0, 0, 3, 4)).text, Pad((1, 0), (0, 2)).text) == (
        "pad 1,2,3,4", "pad 1,0,0,2"
    )  # fmt: skip
    assert Pad((1, 0), (0, 2)).flops((3, 4)) == 0
