from __future__ import annotations

import numpy as np
import pytest

from convprof.networks.fold import folded
from convprof.networks.parameters import draw
from convprof.networks.side_by_side import SideBySide, side_by_side
from convprof.networks.steps import steps
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Activation,
    Linear,
    MatMul,
    Multiply,
    Rearranged,
    Reshape,
    Slice,
    Transpose,
)

ROWS = (1, 6, 8)
HEADS = Transpose((0, 2, 1, 3))


def attention(shape=ROWS, *, bias=(True, True, True)):
    """Return an attention without its softmax; queries, keys and values have heads of 4."""
    net = Builder()
    n, t, _ = shape
    for name, biased in zip("qkv", bias, strict=True):
        net.add(f"layer.{name}", Linear(8, bias=biased), INPUT)
        net.add(f"{name}.apart", Reshape((n, t, 2, 4)))
        net.add(f"{name}.heads", HEADS)
    net.add("scores", MatMul(transpose_b=True), "q.heads", "k.heads")
    net.add("mixed", MatMul(), "scores", "v.heads")
    return Network("attention", shape, tuple(net.nodes))


def gated(shape, *, activated=False):
    """Return a product of two layers, of which one may have an activation."""
    net = Builder()
    gate = net.add("gate", Linear(8), INPUT)
    gate = net.add("silu", Activation("silu")) if activated else gate
    net.add("up", Linear(8), INPUT)
    net.add("both", Multiply(), gate, "up")
    return Network("gated", shape, tuple(net.nodes))


def test_projections_of_one_value_are_one_layer_whose_columns_the_readers_copy():
    inner = side_by_side(attention()).network
    whole, *others = steps(inner, fuse=True)
    assert whole.name == "layer.q + k + v"
    assert (whole.problem.m, whole.problem.n, whole.problem.k) == (6, 24, 8)
    copies = [step.nodes for step in others[:3]]
    assert copies == [(f"layer.{name}", f"{name}.apart", f"{name}.heads") for name in "qkv"]
    assert others[1].problem.op == Rearranged((Slice(2, 8, 16), Reshape((1, 6, 2, 4)), HEADS))


@pytest.mark.parametrize("network", [attention(), attention((2, 3, 8)), gated((1, 1, 8))])
def test_the_numbers_stay(network):
    joined = side_by_side(network)
    weights = draw(network, 1)
    x = np.random.default_rng(1).standard_normal(network.input)
    expected = network.reference(x, weights)
    assert joined.members
    assert joined.network.macs == network.macs
    assert np.allclose(joined.network.reference(x, joined.weights(weights)), expected)


def test_layers_with_the_same_weights_get_one_array():
    q, k = ({"weight": np.full((8, 4), number)} for number in (1.0, 2.0))
    joined = SideBySide(attention(), {"q + k": ("q", "k"), "r + s": ("r", "s")})
    own = joined.weights({"q": q, "k": k, "r": q, "s": k})
    assert own["q + k"]["weight"].tolist() == [[1.0] * 4 + [2.0] * 4] * 8
    assert own["r + s"]["weight"] is own["q + k"]["weight"]


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (gated(ROWS), "a slice of several rows would be a copy"),
        (gated((1, 1, 8), activated=True), "the activation would be a pass of its own"),
        (attention(bias=(True, False, True)), "k is alone without a bias"),
    ],
)
def test_only_what_costs_no_copy_and_is_alike_is_joined(network, reason):
    members = side_by_side(network).members
    assert all("layer.k" not in names and "gate" not in names for names in members.values()), reason


def test_a_result_of_the_network_stays():
    net = Builder()
    net.add("a", Linear(4), INPUT)
    net.add("b", Linear(4), INPUT)
    network = Network("two", (1, 8), tuple(net.nodes))
    assert side_by_side(network).network is network


def test_rearrangements_that_need_two_copies_stay_two_steps():
    net = Builder()
    net.add("a", Transpose((0, 2, 1)))
    net.add("flat", Reshape((1, 48)))
    net.add("apart", Reshape((1, 6, 8)))
    net.add("b", Transpose((0, 2, 1)))
    alone = steps(folded(Network("moves", ROWS, tuple(net.nodes))), fuse=True)
    assert [step.nodes for step in alone] == [("a",), ("flat",), ("apart",), ("b",)]
