"""Layers of a chain that have one weight: packed once, read in the same place."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.layouts import LAYOUTS
from convprof.problems.ops import Activation, BatchNorm, Convolution, Linear
from convprof.problems.ties import Tie
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import LayerChoice
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained


def convolutions(*, tied=True):
    net = Builder()
    for index in range(3):
        net.add(f"c{index}", Convolution.square(16, 3, bias=True))
        net.add(f"r{index}", Activation("relu"))
    ties = [Tie(f"c{i}", name, "c0", name) for i in (1, 2) for name in ("weight", "bias")]
    return Network("head", (1, 16, 9, 9), tuple(net.nodes), tuple(ties if tied else ()))


def embeddings():
    net = Builder()
    net.add("in", Linear(24, bias=False))
    net.add("gelu", Activation("gelu"))
    net.add("out", Linear(16, bias=False))
    tie = Tie("out", "weight", "in", "weight", transposed=True)
    return Network("tied", (4, 16), tuple(net.nodes), (tie,))


def prepared(network, strategy, setting, *, fuse=False):
    recipe = Recipe(network, fuse=fuse)
    chosen = [
        LayerChoice(strategy if step.problem.kind == "conv2d" else "auto", setting.layout)
        for step in recipe.steps
    ]
    whole = NetworkProblem(network)
    made = Chained("chain", recipe, chosen).prepare(whole, setting)
    operands = NetworkOperands(whole, setting.types, 0)
    made.bind(*operands.all(setting.layout))
    made.run()
    return made, operands


def packed_places(made):
    """Return the addresses of what the convolutions have packed."""
    convs = [each for each in made._prepared if each.problem.kind == "conv2d"]
    return [{key: each._arrays[key].ctypes.data for key in each.plan.packed} for each in convs]


@pytest.mark.parametrize("strategy", ["microkernel", "winograd", "auto"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layers_with_one_weight_read_it_in_one_place(strategy, layout):
    made, operands = prepared(convolutions(), strategy, Setting(layout, tune="off"))
    assert max_rel_error(operands, made.output(), layout) < 1e-5
    first, *others = packed_places(made)
    assert others == [first, first]


def test_what_only_looks_alike_is_read_apart():
    made, operands = prepared(convolutions(tied=False), "winograd", Setting("nhwc", tune="off"))
    assert max_rel_error(operands, made.output(), "nhwc") < 1e-5
    places = packed_places(made)
    assert places[0]
    assert len({place for each in places for place in each.values()}) == 3 * len(places[0])


def test_in_float64_too():
    made, operands = prepared(convolutions(), "winograd", Setting("nhwc", "f64", tune="off"))
    assert max_rel_error(operands, made.output(), "nhwc") < 1e-12
    first, *others = packed_places(made)
    assert others == [first, first]


def test_weights_that_are_no_longer_one_get_places_of_their_own():
    made, _ = prepared(convolutions(), "winograd", Setting("nhwc", tune="off"))
    other = NetworkOperands(NetworkProblem(convolutions(tied=False)), F32, 1)
    made.bind(*other.all("nhwc"))
    made.run()
    assert max_rel_error(other, made.output(), "nhwc") < 1e-5


def test_batch_norms_folded_into_one_weight_make_several():
    net = Builder()
    for index in range(2):
        net.add(f"c{index}", Convolution.square(16, 3))
        net.add(f"bn{index}", BatchNorm())
    tie = Tie("c1", "weight", "c0", "weight")
    network = Network("norms", (1, 16, 9, 9), tuple(net.nodes), (tie,))
    made, operands = prepared(network, "winograd", Setting("nhwc", tune="off"), fuse=True)
    assert max_rel_error(operands, made.output(), "nhwc") < 1e-5
    assert not {*packed_places(made)[0].values()} & {*packed_places(made)[1].values()}


def test_a_matrix_and_its_transpose():
    made, operands = prepared(embeddings(), "auto", Setting("nchw", tune="off"))
    assert max_rel_error(operands, made.output(), "nchw") < 1e-5
    weights = operands.weights
    assert np.shares_memory(weights["in"]["weight"], weights["out"]["weight"])
