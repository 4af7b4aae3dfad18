"""Pooling, means and normalisations."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError, ProblemError
from convprof.problems.ops import (
    AdaptiveAverage,
    BatchNorm,
    Flatten,
    LayerNorm,
    Pool2d,
    Softmax,
)


def test_max_pool(ops, node):
    pool = node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    expected = Pool2d(which="max", r=3, s=3, stride=(2, 2), pad=(1, 1, 1, 1), ceil=True)
    assert ops([pool]) == [expected]


@pytest.mark.parametrize("counted", [0, 1])
def test_average_pool(ops, node, counted):
    pool = node(
        "AveragePool", "x", kernel_shape=[3, 3], auto_pad="SAME_UPPER", count_include_pad=counted
    )
    assert ops([pool]) == [
        Pool2d(which="avg", r=3, s=3, stride=(1, 1), pad=(1, 1, 1, 1), count_padding=bool(counted))
    ]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, "kernel_shape is missing"),
        ({"kernel_shape": [3]}, "must have 2 numbers"),
        ({"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}, "must be less than the window"),
        ({"kernel_shape": [2, 2], "strides": [0, 1]}, "must be at least 1"),
        ({"kernel_shape": [9, 9]}, "the window does not fit"),
    ],
)
def test_refused_pools(imported, node, attributes, said):
    with pytest.raises(InputError, match=said):
        imported([node("MaxPool", "x", **attributes)])


def test_indices_of_a_pool_are_refused_where_they_are_used(imported, node):
    pool = node("MaxPool", "x", "y i", kernel_shape=[2, 2])
    assert len(imported([pool]).network.nodes) == 1
    with pytest.raises(InputError, match="its output 2 is used"):
        imported([pool, node("Add", "y i", "z")], outputs=("z",))


@pytest.mark.parametrize(
    ("shape", "axes", "keep", "result"),
    [
        ((2, 3, 4, 5), [2, 3], 1, (2, 3, 1, 1)),
        ((2, 3, 4, 5), [-1, -2], 0, (2, 3)),
        ((2, 4, 5, 3), [1, 2], 0, (2, 3)),
        ((2, 5, 6), [1], 0, (2, 6)),
        ((2, 5, 6), [-1], 1, (2, 5, 1)),
    ],
)
@pytest.mark.parametrize("opset", [13, 18])
def test_means(imported, node, *, shape, axes, keep, result, opset):
    if opset == 13:
        mean = node("ReduceMean", "x", axes=axes, keepdims=keep)
    else:
        mean = node("ReduceMean", "x a", keepdims=keep)
    network = imported([mean], shape, {"a": np.array(axes)}, opset=opset).network
    assert network.output == result
    assert AdaptiveAverage(1, 1) in [each.op for each in network.nodes]


def test_global_average(ops, node):
    nodes = [node("GlobalAveragePool", "x", "a"), node("Flatten", "a")]
    assert ops(nodes) == [AdaptiveAverage(1, 1), Flatten()]


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3)])
def test_batch_norm(ops, node, shape):
    norm = node("BatchNormalization", "x w b m v", epsilon=1e-3)
    (op,) = ops([norm], shape, dict.fromkeys("wbmv", (3,)))
    assert op == BatchNorm(op.eps)
    assert op.eps == pytest.approx(1e-3)


def test_batch_norm_that_does_not_fit(imported, node):
    weights = dict.fromkeys("wbm", (3,)) | {"v": (4,)}
    with pytest.raises(InputError, match=r"input 5 of \(4,\) does not fit"):
        imported([node("BatchNormalization", "x w b m v")], weights=weights)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 2, 4), (2, 3, 1, 4, 4, 2)])
def test_batch_norm_of_other_axes(same_as_runtime, node, shape):
    numbers = {key: np.arange(1, 4, dtype=np.float32) + at for at, key in enumerate("wbmv")}
    same_as_runtime([node("BatchNormalization", "x w b m v")], shape, numbers)


def test_batch_norm_needs_channels(imported, node):
    with pytest.raises(InputError, match="BatchNormalization node number 1: input 2 of"):
        imported([node("BatchNormalization", "x w w w w")], (3,), {"w": (3,)})


def test_what_an_operation_cannot_answer_is_refused_with_file_and_node(imported, node, monkeypatch):
    def weights(_, *shapes):
        raise ProblemError(f"cannot read {shapes}")

    monkeypatch.setattr(LayerNorm, "weights", weights)
    norm = node("LayerNormalization", "x w b", name="ln")
    with pytest.raises(InputError, match=r"\.onnx: LayerNormalization node 'ln': cannot read"):
        imported([norm], (2, 5, 6), {"w": (6,), "b": (6,)})


def test_layer_norm(ops, node):
    norm = node("LayerNormalization", "x w b", epsilon=1e-6)
    (op,) = ops([norm], (2, 5, 6), {"w": (6,), "b": (6,)})
    assert op == LayerNorm(op.eps)
    assert op.eps == pytest.approx(1e-6)


@pytest.mark.parametrize("size", [1, 3, 5, 9])
@pytest.mark.parametrize("numbers", [{}, {"alpha": 0.5, "beta": 0.5, "bias": 2.0}])
def test_response_norm(same_as_runtime, node, size, numbers):
    network = same_as_runtime([node("LRN", "x", size=size, **numbers)], (2, 6, 3, 4))
    (made,) = network.nodes
    assert (made.op.size, made.op.beta) == (size, numbers.get("beta", 0.75))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({}, "LRN node number 1: size=0: must be 1 to 64"),
        ({"size": 2**40}, "must be 1 to 64"),
        ({"size": 5, "beta": 0.7}, r"beta=0\.69.*: must be a multiple of 1/4 up to 2"),
        ({"size": 5, "alpha": float("nan")}, "alpha=nan and bias=1.0: must be finite"),
        ({"size": 5, "bias": 0.0}, "bias more than 0"),
    ],
)
def test_refused_response_norms(imported, node, numbers, said):
    with pytest.raises(InputError, match=said):
        imported([node("LRN", "x", **numbers)])


def test_response_norm_of_what_is_no_image(imported, node):
    with pytest.raises(InputError, match=r"LRN node number 1: .*needs an image"):
        imported([node("LRN", "x", size=5)], (2, 6, 3))


def test_layer_norm_without_bias(same_as_runtime, node):
    w = np.arange(1, 7, dtype=np.float32)
    norm = node("LayerNormalization", "x w", name="n")
    network = same_as_runtime([norm], (2, 5, 6), {"w": w})
    (made,) = network.nodes
    assert made.op == LayerNorm(made.op.eps, bias=False)
    assert made.op.eps == pytest.approx(1e-5)
    assert (made.op.parameters((2, 5, 6)), made.op.flops((2, 5, 6))) == (6, 6 * 60)


@pytest.mark.parametrize("square", ["Pow", "Mul"])
def test_layer_norm_in_steps(ops, node, square):
    nodes = [
        node("ReduceMean", "x", "mean", axes=[-1]),
        node("Sub", "x mean", "d"),
        node("Pow", "d two", "p") if square == "Pow" else node("Mul", "d d", "p"),
        node("ReduceMean", "p", "variance", axes=[-1]),
        node("Add", "variance eps", "a"),
        node("Sqrt", "a", "root"),
        node("Div", "d root", "q"),
        node("Mul", "q w", "s"),
        node("Add", "s b"),
    ]
    numbers = {"two": np.float32(2), "eps": np.float32(1e-6)}
    made = ops(nodes, (2, 5, 6), {"w": (6,), "b": (6,), **numbers}, opset=13)
    assert made == [LayerNorm(made[0].eps)]
    assert made[0].eps == pytest.approx(1e-6)


def test_channels_last_pixels_are_tokens(ops, node):
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("LayerNormalization", "t w b", "n"),
        node("MatMul", "n m"),
    ]
    made = ops(nodes, (2, 6, 4, 4), {"w": (6,), "b": (6,), "m": (6, 8)})
    assert [op.kind for op in made] == ["tokens", "layer norm", "linear", "reshape"]


@pytest.mark.parametrize(
    ("opset", "shape", "axis", "kinds"),
    [
        (17, (2, 5, 6), None, "softmax"),
        (17, (2, 5, 6), 1, "transpose, softmax, transpose"),
        (17, (2, 3, 4, 5), 1, "transpose, softmax, transpose"),
        (17, (2, 3, 4, 5), 0, "transpose, softmax, transpose"),
        (13, (2, 7, 1, 1), 1, "flatten, softmax, reshape"),
        (13, (5,), 0, "reshape, softmax, reshape"),
        (13, (1, 5, 6), 0, "reshape, softmax, reshape"),
        (11, (2, 5, 6), None, "flatten, softmax, reshape"),
        (9, (2, 7, 1, 1), None, "flatten, softmax, reshape"),
        (9, (2, 3, 4, 5), 2, "reshape, softmax, reshape"),
        (9, (2, 3, 4, 5), 0, "reshape, softmax, reshape"),
        (11, (2, 5, 6), -1, "softmax"),
        (9, (2, 7), None, "softmax"),
    ],
)
def test_softmax(same_as_runtime, node, *, opset, shape, axis, kinds):
    softmax = node("Softmax", "x", **({} if axis is None else {"axis": axis}))
    network = same_as_runtime([softmax], shape, opset=opset)
    made = [each.op.kind for each in network.nodes]
    if shape != (1, 5, 6):  # whose first axis of size 1 moves without a copy
        assert ", ".join(made) == kinds
    assert Softmax() in [each.op for each in network.nodes]


def test_softmax_along_no_axis(imported, node):
    with pytest.raises(InputError, match="axis=3: the tensor has 3 axes"):
        imported([node("Softmax", "x", axis=3)], (2, 5, 6))
