from __future__ import annotations

import json

import pytest

from convprof.logs.model_nodes import ModelNode, ModelNodes


def problem(node, x, weights):
    made = node.convolution(x, weights)
    return made and made.descriptor


@pytest.mark.parametrize(
    ("fields", "x", "weights", "descriptor"),
    [
        ({"strides": (2, 2), "pads": (0, 0, 1, 1)}, [1, 3, 8, 8], [4, 3, 3, 3],
         "mb1ic3ih8oc4oh4kh3sh2ph0"),
        ({"dilations": (2, 2), "pads": (2, 2, 2, 2)}, [1, 3, 8, 8], [4, 3, 3, 3],
         "mb1ic3ih8oc4oh8kh3ph2dh1"),
        ({"groups": 4}, [1, 8, 4, 4], [8, 2, 1, 1], "g4mb1ic8ih4oc8oh4kh1ph0"),
        ({"padding": "SAME_UPPER", "strides": (2, 2)}, [1, 3, 8, 8], [4, 3, 3, 3],
         "mb1ic3ih8oc4oh4kh3sh2ph0"),
        ({"padding": "SAME_LOWER", "strides": (2, 2)}, [1, 3, 8, 8], [4, 3, 3, 3],
         "mb1ic3ih8oc4oh4kh3sh2ph1"),
        ({"padding": "VALID", "pads": (9, 9, 9, 9)}, [1, 3, 8, 8], [4, 3, 3, 3],
         "mb1ic3ih8oc4oh6kh3ph0"),
        ({"groups": 2}, [1, 8, 4, 4], [8, 2, 1, 1], None),
        ({"weights": (8, 8, 1, 1)}, [1, 8, 4, 4], [9, 8, 1, 1], None),
        ({}, [1, 8, 4], [8, 8, 1], None),
        ({}, [1, 0, 4, 4], [8, 0, 1, 1], None),
    ],
)  # fmt: skip
def test_convolutions(fields, x, weights, descriptor):
    assert problem(ModelNode(True, **fields), x, weights) == descriptor


@pytest.mark.parametrize(
    ("x", "weights", "result", "descriptor"),
    [
        ((4, 8), (8, 2), (4, 2), "4x8:8x2"),
        ((3, 4, 8), (3, 8, 2), (3, 4, 2), "3x4x8:3x8x2"),
        ((3, 4, 8), (8, 2), (3, 4, 2), "12x8:8x2"),
        ((8, 4), (8, 2), (4, 2), None),
        ((), (8, 2), (4, 2), None),
    ],
)
def test_products(x, weights, result, descriptor):
    made = ModelNode(False, x, weights, result).problem()
    assert (made and made.descriptor) == descriptor


def test_impossible_sizes_are_no_problem():
    assert ModelNode(True, (1, 3, 2, 2), (4, 3, 3, 3)).problem() is None


def test_names():
    nodes, one, two = ModelNodes(), ModelNode(True, groups=1), ModelNode(True, groups=2)
    for name, node in (("a", one), ("a", one), ("b", one), ("b", two), ("", one)):
        nodes.add(name, node)
    assert nodes.find("a") == nodes.find("a_nchwc") == nodes.find("a/WithoutBiases") == one
    assert nodes.find("b") is nodes.find("c") is nodes.find("_nchwc") is None
    assert len(nodes) == 2
    assert nodes.found == 3


def event(x, weights, y):
    arguments = {
        "op_name": "Conv", "input_type_shape": [{"float": x}, {"float": weights}],
        "output_type_shape": [{"float": y}],
    }  # fmt: skip
    return json.dumps([{"cat": "Node", "dur": 5, "name": "c_nchwc_kernel_time", "args": arguments}])


@pytest.mark.parametrize(
    ("y", "descriptor"), [([1, 4, 4, 4], "mb1ic3ih8oc4oh4kh3sh2ph0"), ([1, 4, 5, 5], None)]
)
def test_a_profile_has_the_attributes_of_the_model(calls_of, y, descriptor):
    model = ModelNodes()
    model.add("c", ModelNode(True, strides=(2, 2), pads=(0, 0, 1, 1)))
    calls, _ = calls_of(event([1, 3, 8, 8], [4, 3, 3, 3], y), model=model)
    made = calls[0].operation.problem
    assert (made and made.descriptor) == descriptor
