from __future__ import annotations

import numpy as np
import pytest

from convprof import networks
from convprof.networks import parameters
from convprof.networks.fold import fold_weights, folded, folds
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import Activation, Add, BatchNorm, Convolution, LayerScale, Linear


def small(*adds):
    net = Builder()
    for add in adds:
        net.add(*add)
    return Network("small", (2, 4, 5, 5), tuple(net.nodes))


BOTH = small(
    ("a", Convolution.square(6, 3)),
    ("bn", BatchNorm()),
    ("r", Activation("relu")),
    ("b", Convolution.square(4, 1, bias=True)),
    ("scale", LayerScale()),
    ("sum", Add(), "scale", INPUT),
)


def test_what_folds_is_gone_and_its_layer_has_a_bias():
    inner = folded(BOTH)
    assert folds(BOTH) == {"bn": "a", "scale": "b"}
    assert [node.name for node in inner.nodes] == ["a", "r", "b", "sum"]
    assert [node.inputs for node in inner.nodes] == [(INPUT,), ("a",), ("r",), ("b", INPUT)]
    assert inner.nodes[0].op.bias


def test_the_folded_network_computes_the_same():
    weights = parameters.draw(BOTH, 3)
    x = np.random.default_rng(0).standard_normal(BOTH.input)
    before = BOTH.reference(x, weights)
    after = folded(BOTH).reference(x, fold_weights(BOTH, weights))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6 * np.abs(before).max())


def test_the_weights_given_stay_what_they_are():
    weights = parameters.draw(BOTH, 3)
    copies = {node: {k: v.copy() for k, v in own.items()} for node, own in weights.items()}
    fold_weights(BOTH, weights)
    for node, own in weights.items():
        for name, array in own.items():
            np.testing.assert_array_equal(array, copies[node][name])


def test_a_layer_whose_result_is_read_twice_keeps_it():
    net = small(
        ("a", Convolution.square(4, 3)),
        ("bn", BatchNorm()),
        ("sum", Add(), "a", "bn"),
    )
    assert folds(net) == {}
    assert folded(net) == net


def test_a_norm_after_something_else_stays():
    net = small(("r", Activation("relu")), ("bn", BatchNorm()), ("c", Convolution.square(4, 1)))
    assert folds(net) == {}


def test_a_linear_layer_takes_a_scale_by_columns():
    net = Builder()
    net.add("fc", Linear(3))
    net.add("scale", LayerScale())
    found = Network("small", (2, 5), tuple(net.nodes))
    weights = parameters.draw(found, 1)
    x = np.random.default_rng(0).standard_normal((2, 5))
    np.testing.assert_allclose(
        folded(found).reference(x, fold_weights(found, weights)),
        found.reference(x, weights),
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ["resnet50", "mobilenet-v2", "efficientnet-b0", "convnext-t"])
def test_no_batch_norm_and_no_layer_scale_is_left(name):
    inner = folded(networks.network(name))
    assert not [n.name for n in inner.nodes if isinstance(n.op, BatchNorm | LayerScale)]
    assert inner.output == networks.network(name).output
