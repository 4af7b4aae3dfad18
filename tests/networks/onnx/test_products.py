"""Conv, Gemm and MatMul, with everything that their attributes can say."""

from __future__ import annotations

import pytest

from convprof.errors import InputError
from convprof.problems.ops import (
    Bias,
    Convolution,
    Flatten,
    Linear,
    MatMul,
    Reshape,
    Transpose,
)


def test_convolution(imported, node):
    conv = node(
        "Conv", "x w b", kernel_shape=[3, 5], strides=[2, 1], pads=[1, 2, 0, 1], dilations=[1, 2],
        group=2, name="stem/conv 1",
    )  # fmt: skip
    network = imported([conv], (2, 4, 9, 16), {"w": (6, 2, 3, 5), "b": (6,)}).network
    (made,) = network.nodes
    expected = Convolution(
        k=6, r=3, s=5, stride=(2, 1), pad=(1, 2, 0, 1), dilation=(1, 2), groups=2, bias=True
    )
    assert (made.name, made.op, network.name) == ("stem/conv_1", expected, "model")
    assert network.output == (2, 6, 4, 11)


@pytest.mark.parametrize(
    ("auto", "pad"),
    [("SAME_UPPER", (0, 0, 1, 1)), ("SAME_LOWER", (1, 1, 0, 0)), ("VALID", (0, 0, 0, 0))],
)
def test_automatic_padding(ops, node, auto, pad):
    conv = node("Conv", "x w", strides=[2, 2], auto_pad=auto)
    (op,) = ops([conv], (1, 3, 8, 8), {"w": (4, 3, 3, 3)})
    assert op.pad == pad


@pytest.mark.parametrize(
    ("shape", "weight", "attributes", "said"),
    [
        ((1, 3, 8, 8), (4, 5, 3, 3), {}, "do not fit 3 channels"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"kernel_shape": [5, 5]}, "kernel_shape"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"strides": [1]}, "must have 2 numbers"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"strides": "one"}, "must be a list of whole numbers"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"strides": [0, 1]}, "must be at least 1"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"pads": [-1, 0, 0, 0]}, "must be at least 0"),
        ((1, 3, 8, 8), (4, 3, 9, 9), {}, "does not fit the padded input"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"auto_pad": "SAME"}, "auto_pad must be"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"auto_pad": "SAME_LOWER", "strides": [0, 0]}, "at least 1"),
        ((2**30, 3, 2**16, 2**16), (4, 3, 3, 3), {}, "more than 2"),
    ],
)
def test_refused_convolutions(imported, node, *, shape, weight, attributes, said):
    conv = node("Conv", "x w", name="conv1", **attributes)
    with pytest.raises(InputError, match=said) as error:
        imported([conv], shape, {"w": weight})
    assert "\n" not in str(error.value)


def test_a_convolution_bias_that_does_not_fit(imported, node):
    with pytest.raises(InputError, match=r"Conv node 'c': a bias of \(5,\) does not fit 4"):
        imported([node("Conv", "x w b", name="c")], weights={"w": (4, 3, 3, 3), "b": (5,)})


@pytest.mark.parametrize(
    ("weight", "transposed", "bias"), [((10, 6), 1, (6,)), ((6, 10), 0, (1, 10)), ((6, 6), 0, None)]
)
def test_gemm(ops, node, weight, transposed, bias):
    shape = (4, weight[1] if transposed else weight[0])
    outputs = weight[0] if transposed else weight[1]
    weights = {"w": weight} | ({"b": (outputs,)} if bias else {})
    gemm = node("Gemm", "x w b" if bias else "x w", transB=transposed)
    assert ops([gemm], shape, weights) == [Linear(outputs, bias=bias is not None)]


def test_matmul_takes_the_bias_that_follows(ops, node):
    nodes = [node("MatMul", "x w", "a"), node("Add", "b a")]
    made = ops(nodes, (2, 5, 6), {"w": (6, 8), "b": (8,)})
    assert made == [Linear(8, bias=True)]


def test_what_several_nodes_are_is_named_by_the_last(imported, node):
    nodes = [node("MatMul", "x w", "a"), node("Add", "a b", name="sum")]
    said = r"onnx: Linear ending in Add node 'sum': a matrix of \(9, 5\) does not fit \(2, 6\)"
    with pytest.raises(InputError, match=said):
        imported(nodes, (2, 6), {"w": (9, 5), "b": (5,)})


def test_a_product_that_is_read_twice_keeps_its_bias_apart(ops, node):
    nodes = [node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Add", "a c")]
    made = ops(nodes, (2, 5, 6), {"w": (6, 8), "b": (8,)})
    assert made[:2] == [Linear(8, bias=False), Bias()]


def test_rows_of_more_than_tokens(ops, node):
    made = ops([node("MatMul", "x w")], (2, 5, 7, 6), {"w": (6, 8)})
    assert made == [Reshape((2, 35, 6)), Linear(8, bias=False), Reshape((2, 5, 7, 8))]


@pytest.mark.parametrize("weight", [(7, 8), (2, 7, 8), (5,)])
def test_matrices_that_do_not_fit(imported, node, weight):
    with pytest.raises(InputError, match="MatMul node"):
        imported([node("MatMul", "x w")], (2, 5, 6), {"w": weight})


def attention(node, scale_nodes):
    return [
        node("Reshape", "x heads", "r"),
        node("Transpose", "r", "q", perm=[0, 2, 1, 3]),
        node("Transpose", "r", "k", perm=[0, 2, 3, 1]),
        *scale_nodes,
        node("Softmax", "s", "p", axis=-1),
        node("MatMul", "p q", "o"),
        node("Transpose", "o", "t", perm=[0, 2, 1, 3]),
        node("Reshape", "t back"),
    ]


@pytest.mark.parametrize("form", ["after", "both", "divided"])
def test_attention(imported, node, form):
    scaled = {
        "after": [node("MatMul", "q k", "s0"), node("Mul", "s0 half", "s")],
        "divided": [node("MatMul", "q k", "s0"), node("Div", "s0 two", "s")],
        "both": [
            node("Mul", "q two", "q2"),
            node("Mul", "quarter k", "k2"),
            node("MatMul", "q2 k2", "s"),
        ],
    }[form]
    numbers = {"half": 0.5, "two": 2.0, "quarter": 0.25}
    weights = {name: _f32(value) for name, value in numbers.items()}
    weights |= {"heads": [2, 5, 4, 6], "back": [2, 5, 24]}
    network = imported(attention(node, scaled), (2, 5, 24), weights).network
    products = [each for each in network.nodes if isinstance(each.op, MatMul)]
    assert [each.op for each in products] == [MatMul(transpose_b=True, scale=0.5), MatMul()]
    # Queries and keys are the same rows: the keys' transposition is undone and shared with them.
    assert products[0].inputs[0] != "input"
    assert {each.op.axes for each in network.nodes if isinstance(each.op, Transpose)} == {
        (0, 2, 1, 3)
    }
    assert network.output == (2, 5, 24)


def _f32(value):
    import numpy as np

    return np.array(value, np.float32)


def test_two_activations_as_gemm(ops, node):
    flat = node("Flatten", "x", "f")
    assert ops([flat, node("Gemm", "f f", transB=1)], (2, 3, 2, 2)) == [
        Flatten(),
        MatMul(transpose_b=True),
    ]
