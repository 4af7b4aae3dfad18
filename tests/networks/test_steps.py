from __future__ import annotations

import pytest

from convprof import networks
from convprof.networks.fold import folded
from convprof.networks.steps import steps
from convprof.problems.epilogue import Epilogue
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Activation,
    Add,
    AttentionMix,
    AttentionScores,
    Convolution,
    Linear,
    Softmax,
)


def network(net, shape=(1, 8, 6, 6)):
    return Network("small", shape, tuple(net.nodes))


def conv(k=8):
    return Convolution.square(k, 3, bias=True)


def test_as_written_a_step_per_node():
    found = networks.network("resnet18")
    assert [step.nodes for step in steps(found)] == [(node.name,) for node in found.nodes]
    assert [step.reads for step in steps(found)] == [node.inputs for node in found.nodes]


def test_an_activation_goes_with_its_layer():
    net = Builder()
    net.add("a", conv())
    net.add("r", Activation("relu"))
    net.add("b", conv())
    first, second = steps(network(net), fuse=True)
    assert (first.nodes, first.writes) == (("a", "r"), "r")
    assert first.problem.epilogue == Epilogue(bias=True, function="relu")
    assert (second.reads, second.problem.epilogue) == (("r",), Epilogue(bias=True))


def test_a_result_with_two_readers_is_not_fused_away():
    net = Builder()
    net.add("a", conv())
    net.add("r", Activation("relu"))
    net.add("s", Add(), "a", "r")
    assert [step.nodes for step in steps(network(net), fuse=True)] == [("a",), ("r",), ("s",)]


def test_the_networks_result_counts_as_read():
    net = Builder()
    net.add("x", conv())
    net.add("a", conv(), INPUT)
    found = steps(network(net), fuse=True)
    assert [step.nodes for step in found] == [("x",), ("a",)]


def test_a_sum_goes_with_the_layer_that_is_computed_last():
    net = Builder()
    net.add("deep", conv())
    net.add("short", conv(), INPUT)
    net.add("sum", Add(), "deep", "short")
    net.add("r", Activation("relu"))
    first, second = steps(network(net), fuse=True)
    assert first.nodes == ("deep",)
    assert second.nodes == ("short", "sum", "r")
    assert second.reads == (INPUT, "deep")
    assert second.problem.epilogue == Epilogue(bias=True, add=True, function="relu")


def test_a_layer_added_to_itself_is_not_fused():
    net = Builder()
    net.add("a", conv())
    net.add("sum", Add(), "a", "a")
    assert [step.nodes for step in steps(network(net), fuse=True)] == [("a",), ("sum",)]


def test_nothing_follows_an_activation_into_the_layer():
    net = Builder()
    net.add("a", conv())
    net.add("r", Activation("relu"))
    net.add("sum", Add(), "r", INPUT)
    assert [step.nodes for step in steps(network(net), fuse=True)] == [("a", "r"), ("sum",)]


def test_attention_is_one_step():
    net = Builder()
    packed = net.add("in", Linear(24))
    net.add("qk", AttentionScores(2))
    net.add("soft", Softmax())
    net.add("pv", AttentionMix(2), "soft", packed)
    found = steps(network(net, (1, 5, 8)), fuse=True)
    assert [step.nodes for step in found] == [("in",), ("qk", "soft", "pv")]
    assert (found[1].reads, found[1].writes) == (("in",), "pv")


@pytest.mark.parametrize("name", networks.names())
def test_fusing_loses_no_node_and_reads_only_what_exists(name):
    inner = folded(networks.network(name))
    there = {INPUT}
    nodes = []
    for step in steps(inner, fuse=True):
        assert set(step.reads) <= there
        there.add(step.writes)
        nodes += step.nodes
    assert sorted(nodes) == sorted(node.name for node in inner.nodes)
    assert inner.nodes[-1].name in there


def test_resnet50_fuses_into_its_layers():
    found = steps(folded(networks.network("resnet50")), fuse=True)
    kinds = [step.problem.kind for step in found]
    # 53 convolutions and a linear layer; max pool, average pool and flatten stay.
    assert (kinds.count("conv2d"), kinds.count("gemm"), kinds.count("operation")) == (53, 1, 3)
    assert (
        sum(1 for step in found if step.problem.kind == "conv2d" and step.problem.epilogue.add)
        == 16
    )
