from __future__ import annotations

import pytest

from convprof import networks
from convprof.errors import InputError
from convprof.measure import session as session_module
from convprof.measure.settings import Settings
from convprof.problems import BackwardData, BackwardWeights, Conv2d, Gemm
from convprof.problems.base import FORWARD
from convprof.problems.gradients import BACKWARD_DATA, BACKWARD_WEIGHTS, PASSES, TRAINING
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import (
    Activation,
    Add,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    Convolution,
    Flatten,
    Linear,
    MatMul,
    Reshape,
    Softmax,
)
from convprof.studies.network.training import LayerPasses, plan
from convprof.studies.run import Choice

ALL = (FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS)


def network(build, shape=(1, 4, 8, 8)):
    net = Builder()
    build(net)
    return Network("net", shape, tuple(net.nodes))


def alike(net):
    """Three convolutions that compute the same, the first of the image itself."""
    for index in range(3):
        net.add(f"conv{index}", Convolution.square(4, 3))
        net.add(f"relu{index}", Activation("relu"))


def passes(planned):
    return {name: layer.passes for layer in planned.layers for name in layer.names}


def test_layers_that_are_alike_are_one_but_for_their_passes():
    planned = plan(network(alike), TRAINING)
    assert [(layer.names, layer.passes) for layer in planned.layers] == [
        (("conv0",), (FORWARD, BACKWARD_WEIGHTS)),
        (("conv1", "conv2"), ALL),
    ]
    assert planned.left_out == ("conv0",)
    (problem,) = planned.problems
    assert problem == Conv2d(n=1, c=4, h=8, w=8, k=4, r=3, s=3, pad=(1, 1))
    assert planned.passes(problem) == [problem, BackwardData(problem), BackwardWeights(problem)]
    assert [planned.count(problem, which) for which in ALL] == [3, 2, 3]
    assert planned.layers[1].problem.name == "net:conv1"


@pytest.mark.parametrize("which", PASSES)
def test_only_the_requested_passes(which):
    planned = plan(network(alike), which)
    assert planned.asked == (ALL if which == TRAINING else (which,))
    assert {each for layer in planned.layers for each in layer.passes} == set(planned.asked)
    assert planned.left_out == (("conv0",) if BACKWARD_DATA in planned.asked else ())


def test_a_gradient_goes_where_anything_learned_is():
    def build(net):
        net.add("norm", BatchNorm())  # learns a scale, and reads the image
        net.add("conv", Convolution.square(4, 3))

    assert passes(plan(network(build), TRAINING)) == {"conv": ALL}


def test_two_branches_of_the_image_need_no_gradient_of_it():
    def build(net):
        left = net.add("left", Convolution.square(4, 3), "input")
        right = net.add("right", Convolution.square(4, 1), "input")
        net.add("add", Add(), left, right)
        net.add("last", Convolution.square(4, 1))

    planned = plan(network(build), TRAINING)
    assert planned.left_out == ("left", "right")
    assert passes(planned)["last"] == ALL


def test_products_of_two_activations_have_both_gradients():
    def build(net):
        packed = net.add("in_proj", Linear(24))
        net.add("qk", AttentionScores(2))
        net.add("softmax", Softmax())
        net.add("pv", AttentionMix(2), net.last, packed)

    planned = plan(network(build, (1, 5, 8)), TRAINING)
    found = {layer.names: (layer.passes, layer.learned, layer.kind) for layer in planned.layers}
    assert found == {
        ("in_proj",): ((FORWARD, BACKWARD_WEIGHTS), True, "linear"),
        ("qk",): (ALL, False, "attention qk"),
        ("pv",): (ALL, False, "attention pv"),
    }


def test_a_product_with_the_image_needs_the_other_gradient_only():
    def build(net):
        other = net.add("other", Linear(8))
        net.add("product", MatMul(), "input", other)

    planned = plan(network(build, (1, 8, 8)), TRAINING)
    assert passes(planned)["product"] == (FORWARD, BACKWARD_WEIGHTS)
    assert planned.left_out == ("other", "product")


def test_the_same_product_of_weights_and_of_activations_is_measured_once():
    def build(net):
        first = net.add("first", Linear(8, bias=False))
        second = net.add("second", Linear(8, bias=False))
        net.add("product", MatMul(), first, second)

    planned = plan(network(build, (1, 8, 8)), TRAINING)
    assert len(planned.layers) == 3  # no gradient of the input; learned; activations
    assert planned.problems == [Gemm(m=8, n=8, k=8)]
    assert [planned.count(planned.problems[0], which) for which in ALL] == [3, 2, 3]


def test_depthwise_is_a_kind_of_its_own():
    def build(net):
        net.add("grouped", Convolution.square(4, 3, groups=2))
        net.add("depthwise", Convolution.square(4, 3, groups=4))

    kinds = [layer.kind for layer in plan(network(build), FORWARD).layers]
    assert kinds == ["conv", "depthwise conv"]


def test_a_name_that_cannot_be_printed_is_left_out():
    def build(net):
        net.add('a "quoted" name', Convolution.square(4, 3))

    (layer,) = plan(network(build), FORWARD).layers
    assert (layer.names, layer.problem.name) == (('a "quoted" name',), "")


def test_nothing_to_time():
    def only_relu(net):
        net.add("relu", Activation("relu"))

    with pytest.raises(InputError, match="pass=forward: net has no layer that computes it"):
        plan(network(only_relu), FORWARD)

    def one(net):
        net.add("flatten", Flatten())
        net.add("reshape", Reshape((1, 256)))
        net.add("fc", Linear(3))

    with pytest.raises(InputError, match="pass=backward-data: net has no layer"):
        plan(network(one), BACKWARD_DATA)


@pytest.mark.parametrize("name", networks.names())
def test_every_network(name):
    whole = networks.network(name)
    planned = plan(whole, TRAINING)
    layers = networks.layers(name)
    assert sum(layer.count for layer in planned.layers) == len(layers)
    forward, data, weights = (
        sum(layer.count * layer.problem.macs for layer in planned.layers if which in layer.passes)
        for which in ALL
    )
    assert forward == weights == sum(layer.problem.macs for layer in layers)
    assert planned.left_out == (layers[0].name,)
    assert data == forward - layers[0].problem.macs
    assert len(planned.problems) <= len(planned.layers)


def test_a_session_holds_all_passes_of_a_layer(monkeypatch):
    monkeypatch.setattr(session_module, "settle", lambda: None)
    problem = Conv2d(n=1, c=2, h=5, w=4, k=3, r=3, s=3, name="net:conv")
    those = [problem, BackwardData(problem), BackwardWeights(problem)]
    choice = Choice(("direct", "naive"), ("nhwc",))
    study = LayerPasses(problem, those, choice, Settings(0.001, rounds=6), None)
    for _ in study.events():
        pass
    found = study.measurements()
    assert [m.problem["kind"] for m in found] == [each.kind for each in those]
    assert {m.status for m in found} == {"ok"}
    assert {(m.strategy, m.layout, m.time_s.samples) for m in found} == {("direct", "nhwc", 6)}
