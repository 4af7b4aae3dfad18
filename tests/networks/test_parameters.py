"""Weights drawn from a seed."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from convprof import networks
from convprof.networks.parameters import BRANCH, HALF, SECOND_MOMENT, draw, elements
from convprof.networks.summary import summarise
from convprof.problems.graph import Network, Node
from convprof.problems.ops import Activation, Convolution, Linear

SMALL = ("mobilenet-v2", 1, 32)


@pytest.fixture(scope="module")
def mobilenet():
    net = networks.network(*SMALL)
    return net, draw(net, 3)


def test_every_tensor_is_there_in_f32(mobilenet):
    net, weights = mobilenet
    for node in net.nodes:
        inputs = net.reads(node)
        shapes = {**node.op.weights(*inputs), **node.op.buffers(*inputs)}
        drawn = weights.get(node.name, {})
        assert shapes == {name: array.shape for name, array in drawn.items()}
        assert all(array.dtype == np.float32 for array in drawn.values())
        assert all(array.flags.c_contiguous for array in drawn.values())
    sizes = sum(array.size for known in weights.values() for array in known.values())
    assert sizes == elements(net)


@pytest.mark.parametrize("name", networks.names())
def test_elements_are_parameters_and_buffers(name):
    net = networks.network(name)
    buffers = sum(
        math.prod(shape)
        for node in net.nodes
        for shape in node.op.buffers(*net.reads(node)).values()
    )
    assert summarise(net).total.parameters + buffers == elements(net)


def test_the_same_seed_draws_the_same_and_another_does_not(mobilenet):
    net, weights = mobilenet
    again, other = draw(net, 3), draw(net, 4)
    for node, known in weights.items():
        for name, array in known.items():
            np.testing.assert_array_equal(array, again[node][name])
            assert (array != other[node][name]).any()


def test_a_tensor_does_not_depend_on_the_network_around_it(mobilenet):
    net, weights = mobilenet
    part = draw(Network("another", net.input, net.nodes[:3]), 3)
    assert len(part) == 2
    for node, known in part.items():
        for name, array in known.items():
            np.testing.assert_array_equal(weights[node][name], array)


def test_what_would_hide_a_mistake_is_not_drawn(mobilenet):
    """No two tensors are alike, no bias or mean is 0, no factor is 1, no variance tiny."""
    _, weights = mobilenet
    seen = set()
    for known in weights.values():
        for name, array in known.items():
            assert array.tobytes() not in seen
            seen.add(array.tobytes())
            assert array.ndim > 1 or np.all(array != 0)
            if name == "running_var":
                assert array.min() >= 0.5
                assert array.max() <= 1.5
            elif name in ("bias", "running_mean"):
                assert np.abs(array).max() < 1


def layers(*ops_and_inputs):
    nodes = tuple(Node(name, op, inputs) for name, op, *inputs in ops_and_inputs)
    return Network("small", (1, 64, 8, 8), tuple(replace(n, inputs=tuple(n.inputs)) for n in nodes))


def test_the_variance_is_by_fan_in_and_what_reads_the_layer():
    net = layers(
        ("relu_next", Convolution.square(64, 3, groups=2), "input"),
        ("relu", Activation("relu"), "relu_next"),
        ("plain", Convolution.square(64, 1), "relu"),
    )
    weights = draw(net, 0)
    fan = 32 * 9
    expected = 1 / SECOND_MOMENT["relu"] / fan
    assert weights["relu_next"]["weight"].var() == pytest.approx(expected, rel=0.05)
    assert weights["plain"]["weight"].var() == pytest.approx(1 / 64, rel=0.1)
    net = networks.network("vit-b16", 1, 16)
    part = Network("vit", net.input, net.nodes[:14])
    weights = draw(part, 0)
    out, hidden = (f"encoder.layers.0.{name}" for name in ("self_attention.out_proj", "mlp.0"))
    assert isinstance(part.nodes[9].op, Linear)
    assert weights[out]["weight"].var() == pytest.approx(BRANCH / 768, rel=0.02)
    expected = 1 / SECOND_MOMENT["gelu"] / 768
    assert weights[hidden]["weight"].var() == pytest.approx(expected, rel=0.02)


def test_two_layers_that_are_added_up_keep_their_size():
    net = networks.network("resnet50", 1, 32)
    part = Network("resnet", net.input, net.nodes[:16])
    weights = draw(part, 0)
    for name in ("layer1.0.conv3", "layer1.0.downsample.0"):
        assert weights[name]["weight"].var() == pytest.approx(HALF / 1.11 / 64, rel=0.03)


def test_no_temporary_is_larger_than_what_is_drawn():
    net = layers(("wide", Convolution.square(1024, 3), "input"))
    tracemalloc.start()
    try:
        weights = draw(net, 0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1.1 * weights["wide"]["weight"].nbytes
