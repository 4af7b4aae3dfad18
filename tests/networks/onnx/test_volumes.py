"""3-D convolutions and pools: against ONNX Runtime, and as few layers as possible."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.networks.summary import summarise

VOLUME = (2, 4, 7, 6, 5)
CASES = {
    "cube": ({"w": (6, 4, 3, 3, 3)}, {}),
    "padded": ({"w": (6, 4, 3, 3, 3), "b": (6,)}, {"pads": [1, 1, 1, 1, 1, 1]}),
    "strided": (
        {"w": (6, 4, 3, 3, 3), "b": (6,)},
        {"pads": [1, 0, 1, 0, 1, 1], "strides": [2, 2, 1]},
    ),
    "long strides": ({"w": (6, 4, 2, 1, 2)}, {"strides": [5, 1, 2]}),
    "dilated": ({"w": (6, 4, 2, 3, 2)}, {"dilations": [3, 1, 2], "pads": [2, 1, 0, 1, 1, 0]}),
    "same": ({"w": (6, 4, 3, 2, 3)}, {"auto_pad": "SAME_UPPER", "strides": [2, 2, 2]}),
    "planes": ({"w": (6, 4, 1, 3, 3)}, {"pads": [0, 1, 1, 0, 1, 1]}),
    "every third plane": ({"w": (6, 4, 1, 3, 3)}, {"strides": [3, 1, 1]}),
    "depth": (
        {"w": (6, 4, 3, 1, 1), "b": (6,)},
        {"pads": [1, 0, 0, 1, 0, 0], "strides": [2, 1, 1]},
    ),
    "points": ({"w": (6, 4, 1, 1, 1)}, {}),
    "depthwise": ({"w": (4, 1, 3, 3, 3), "b": (4,)}, {"group": 4, "pads": [1, 1, 1, 1, 1, 1]}),
    "groups": ({"w": (6, 2, 3, 2, 2)}, {"group": 2, "strides": [2, 1, 1]}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [1, 2])
def test_convolutions(same_as_runtime, node, case, n):
    weights, attributes = CASES[case]
    shape = (n, *VOLUME[1:])
    inputs = " ".join(("x", *weights))
    network = same_as_runtime([node("Conv", inputs, **attributes)], shape, weights)
    kinds = [each.op.kind for each in network.nodes]
    assert "opaque" not in kinds
    assert kinds.count("conv") == (3 if attributes.get("group") else 1)
    total = summarise(network).total
    w = weights["w"]
    outputs = network.output[2] * network.output[3] * network.output[4]
    assert total.macs == n * outputs * w[0] * w[1] * w[2] * w[3] * w[4]
    assert total.parameters == w[0] * w[1] * w[2] * w[3] * w[4] + w[0] * ("b" in weights)


def test_a_convolution_along_the_depth_alone_moves_nothing(same_as_runtime, node):
    network = same_as_runtime([node("Conv", "x w")], VOLUME, {"w": (6, 4, 3, 1, 1)})
    assert [each.op.kind for each in network.nodes] == ["reshape", "conv", "reshape"]


def test_between_convolutions_nothing_is_moved(same_as_runtime, node):
    same = {"pads": [0, 1, 1, 0, 1, 1]}
    nodes = [
        node("Conv", "x v", "a", **same),
        node("Relu", "a", "b"),
        node("Conv", "b w", "c", **same),
        node("Add", "c b", "d"),
        node("Sigmoid", "d", "y"),
    ]
    network = same_as_runtime(nodes, VOLUME, {"v": (6, 4, 1, 3, 3), "w": (6, 6, 1, 3, 3)})
    kinds = [each.op.kind for each in network.nodes]
    assert kinds == [
        "transpose", "reshape", "conv", "activation", "conv", "add", "activation", "reshape",
        "transpose",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(6, 20), (4, 6, 5, 1), (3, 2, 4, 5)])
def test_volumes_that_no_convolution_made(same_as_runtime, node, shape):
    nodes = [
        node("Reshape", "x s", "a"),
        node("Transpose", "a", "b", perm=[1, 2, 0, 3, 4]),
        node("Tanh", "b"),
    ]
    network = same_as_runtime(nodes, shape, {"s": np.array([2, 3, 4, 5, 1])})
    assert [each.op.kind for each in network.nodes] == ["reshape", "transpose", "activation"]


def test_a_filter_of_too_many_planes_is_opaque(imported, node):
    same = {"pads": [70, 0, 0, 0, 0, 0]}
    network = imported([node("Conv", "x w", **same)], VOLUME, {"w": (1, 4, 65, 2, 2)}).network
    assert [each.op.text for each in network.nodes] == ["Conv (opaque)"]


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]},
        {"kernel_shape": [3, 2, 3], "strides": [2, 1, 2], "pads": [1, 1, 1, 1, 0, 1]},
        {"kernel_shape": [1, 3, 3], "strides": [1, 2, 2]},
        {"kernel_shape": [3, 3, 2], "strides": [2, 2, 2], "ceil_mode": 1},
    ],
)
def test_pools(same_as_runtime, node, kind, attributes):
    network = same_as_runtime([node(kind, "x", **attributes)], VOLUME)
    assert [each.op.kind for each in network.nodes if not each.op.is_view] == ["pool", "pool"]


def test_padding_that_counts(same_as_runtime, node):
    settings = {"kernel_shape": [3, 3, 3], "pads": [1, 1, 1, 0, 1, 1], "count_include_pad": 1}
    same_as_runtime([node("AveragePool", "x", **settings)], VOLUME)


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_global_pools(same_as_runtime, node, kind, rank):
    network = same_as_runtime([node(kind, "x")], VOLUME[:rank])
    assert not any(each.op.is_opaque for each in network.nodes)


@pytest.mark.parametrize(
    ("weight", "attributes", "said"),
    [
        ((6, 3, 3, 3, 3), {}, "in 1 groups do not fit 4 channels"),
        ((6, 4, 9, 3, 3), {}, "its window does not fit 7 planes"),
        ((6, 4, 3, 3, 3), {"kernel_shape": [1, 3, 3]}, "kernel_shape does not agree"),
        ((6, 4, 3, 3, 3), {"strides": [0, 1, 1]}, "its window does not fit 7 planes"),
        ((6, 4, 3, 3, 3), {"pads": [-1, 0, 0, 0, 0, 0]}, "its window does not fit 7 planes"),
        ((6, 4, 3, 3, 3), {"dilations": [-1, 1, 1]}, "its window does not fit 7 planes"),
        ((6, 4, 3, 3, 3), {"strides": [1, 1]}, "strides"),
    ],
)
def test_what_does_not_fit(imported, node, weight, attributes, said):
    with pytest.raises(InputError, match=said):
        imported([node("Conv", "x w", **attributes)], VOLUME, {"w": weight})
