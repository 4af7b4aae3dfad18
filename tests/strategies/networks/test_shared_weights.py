"""Layers with equal weights, of one chain or of several: packed once, read in the same place."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

from convprof.dtypes import F32
from convprof.errors import TooLargeError
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.layouts import LAYOUTS
from convprof.problems.ops import Activation, BatchNorm, Convolution, Linear
from convprof.problems.ties import Tie
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import LayerChoice, settled
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.shared_weights import SharedWeights
from convprof.strategies.networks.strategy import Chained
from convprof.strategies.plan import WEIGHTS


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


def unbound(network, strategy, setting, *, fuse=False, shared=None):
    recipe = Recipe(network, fuse=fuse)
    chosen = [
        LayerChoice(strategy if step.problem.kind == "conv2d" else "auto", setting.layout)
        for step in recipe.steps
    ]
    return Chained("chain", recipe, chosen, shared).prepare(NetworkProblem(network), setting)


def prepared(network, strategy, setting, *, fuse=False, shared=None):
    made = unbound(network, strategy, setting, fuse=fuse, shared=shared)
    operands = NetworkOperands(made.problem, setting.types, 0)
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


# Chains that are prepared together.

NHWC = Setting("nhwc", tune="off")
APART = convolutions(tied=False)


def places(made):
    return {place for each in packed_places(made) for place in each.values()}


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_chains_with_equal_weights_read_them_in_one_place(dtype):
    shared, setting = SharedWeights(), Setting("nhwc", dtype, tune="off")
    first, operands = prepared(APART, "microkernel", setting, shared=shared)
    second, _ = prepared(APART, "microkernel", setting, shared=shared)
    assert len(places(first)) == 3  # each layer has its own
    assert places(first) == places(second)
    for made in (first, second):
        limit = 0.02 if dtype == "bf16" else 1e-5
        assert max_rel_error(operands, made.output(), "nhwc") < limit
    assert not np.shares_memory(first._arena, second._arena)


def test_folded_weights_and_another_epilogue_are_packed_alike():
    shared = SharedWeights()
    fused, operands = prepared(APART, "microkernel", NHWC, fuse=True, shared=shared)
    written, _ = prepared(APART, "microkernel", NHWC, shared=shared)
    assert {link.problem.epilogue for link in fused._links if link.problem.kind == "conv2d"} != {
        link.problem.epilogue for link in written._links if link.problem.kind == "conv2d"
    }
    assert places(fused) == places(written)
    assert max_rel_error(operands, written.output(), "nhwc") < 1e-5


def test_other_forms_of_equal_weights_are_apart():
    shared = SharedWeights()
    one, _ = prepared(APART, "microkernel", NHWC, shared=shared)
    other, operands = prepared(APART, "winograd", NHWC, shared=shared)
    assert not places(one) & places(other)
    assert max_rel_error(operands, other.output(), "nhwc") < 1e-5


def test_other_weights_of_one_chain_leave_the_other_chain_alone():
    shared = SharedWeights()
    first, operands = prepared(APART, "winograd", NHWC, shared=shared)
    second, _ = prepared(APART, "winograd", NHWC, shared=shared)
    other = NetworkOperands(first.problem, F32, 1)
    first.bind(*other.all("nhwc"))
    for made, own in ((first, other), (second, operands)):
        made.run()
        assert max_rel_error(own, made.output(), "nhwc") < 1e-5
    assert not places(first) & places(second)


def test_weights_that_were_changed_in_place_are_packed_again():
    made, operands = prepared(APART, "winograd", NHWC)
    x, weights = operands.all("nhwc")
    assert max_rel_error(operands, made.output(), "nhwc") < 1e-5
    before = made.output().copy()
    for own in weights.values():
        own["weight"] *= 2
    made.bind(x, weights)
    made.run()
    assert not np.allclose(made.output(), before)
    del operands.reference  # of the numbers before
    assert max_rel_error(operands, made.output(), "nhwc") < 1e-5


def test_equal_layers_have_one_plan(monkeypatch):
    member, planned = registry.find("conv2d", "winograd"), []
    plan = member.plan
    monkeypatch.setattr(member, "plan", lambda *args: planned.append(args) or plan(*args))
    shared = SharedWeights()
    chains = [unbound(APART, "winograd", NHWC, shared=shared) for _ in range(2)]
    convs = [each for made in chains for each in made._prepared if each.problem.kind == "conv2d"]
    assert len(planned) == 1
    assert {id(each.plan) for each in convs} == {id(convs[0].plan)}


def test_nothing_outlives_the_chains():
    shared = SharedWeights()
    chains = [prepared(APART, "winograd", NHWC, shared=shared)[0] for _ in range(2)]
    assert len(shared._packed) > 0
    del chains
    gc.collect()
    assert (len(shared._packed), len(shared._plans)) == (0, 0)


def test_plans_that_were_made_before_do_not_outlive_the_chains():
    shared, recipe = SharedWeights(), Recipe(APART, fuse=False)
    auto = LayerChoice("auto", "nhwc")
    choices = [settled(step.problem, auto, NHWC) for step in recipe.steps]
    assert any(choice.plan for choice in choices)
    made = Chained("chain", recipe, choices, shared).prepare(NetworkProblem(APART), NHWC)
    assert len(shared._plans) > 0
    del made, choices
    gc.collect()
    assert len(shared._plans) == 0


def test_weights_are_read_in_their_packed_form_only():
    made, _ = prepared(APART, "winograd", NHWC)
    convs = [each for each in made._prepared if each.problem.kind == "conv2d"]
    assert not any(WEIGHTS in each._arrays for each in convs)
    made, operands = prepared(APART, "direct+passes", NHWC)  # reads the weights in place
    assert max_rel_error(operands, made.output(), "nhwc") < 1e-5


def test_memory_for_packed_weights_is_required_before_they_are_packed(monkeypatch):
    shared = SharedWeights()
    first, operands = prepared(APART, "winograd", NHWC, shared=shared)
    again, other = (
        unbound(APART, each, NHWC, shared=shared) for each in ("winograd", "microkernel")
    )
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)
    again.bind(*operands.all("nhwc"))  # there already
    with pytest.raises(TooLargeError, match=r"^c0 of head of 1x16x9x9 needs 9 KiB"):
        other.bind(*operands.all("nhwc"))
    assert places(first) == places(again)


def test_another_process_shares_nothing():
    shared = SharedWeights()
    made, _ = prepared(APART, "winograd", NHWC, shared=shared)
    assert len(pickle.loads(pickle.dumps(shared))._packed) == 0  # noqa: S301  # our own bytes
    assert places(made)
