"""Whole networks in PyTorch against the float64 reference, in every way there is."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from networks_of_ops import NETS, convolutions, net_of, tokens

from convprof import networks
from convprof.dtypes import F32
from convprof.errors import ProblemError, RefusedError
from convprof.networks.parameters import draw, elements
from convprof.problems import Gemm, NetworkProblem, ops
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ties import Tie
from convprof.strategies import memory
from convprof.strategies.base import Setting
from convprof.strategies.peers.torch.strategy import TorchCompiledNetwork, TorchNetwork

torch = pytest.importorskip("torch")

from convprof.strategies.peers.torch import network as torch_network  # noqa: E402
from convprof.strategies.peers.torch.ops import MAKERS, tensors_by_node, tensors_of  # noqa: E402
from convprof.strategies.peers.torch.state import torch as library  # noqa: E402
from convprof.strategies.peers.torch.steps import eager  # noqa: E402

WAYS = list(torch_network.QUICK)
ELEMENTS = 6_000_000
SMALLEST = {"alexnet": 63, "mnist-cnn": None, "lenet5": None, "vit-h14": 28}


@pytest.fixture(autouse=True)
def _threads():
    yield
    library().release()


def drawn(net, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, net.input).astype("f4")
    return x, draw(net, seed)


def error(y, reference):
    assert reference.shape == tuple(y.shape)
    return np.max(np.abs(np.asarray(y) - reference)) / np.max(np.abs(reference))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("build", NETS)
def test_every_way_is_the_network(build, way):
    net = net_of(build)
    x, weights = drawn(net)
    before = x.copy(), {k: {n: a.copy() for n, a in w.items()} for k, w in weights.items()}
    expected = net.reference(x, weights)
    built = torch_network.build(net, weights, 1, torch.from_numpy(x), (way,))
    for _ in range(3):
        assert error(built.run(torch.from_numpy(x)), expected) < 1e-5
    assert built.way == way
    np.testing.assert_array_equal(before[0], x)
    for node, known in weights.items():
        for name, array in known.items():
            np.testing.assert_array_equal(before[1][node][name], array)


def test_the_input_is_not_overwritten():
    net = net_of(lambda net: net.add("relu", ops.Activation("relu")))
    x = torch.rand(net.input).sub_(0.5).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    for way in WAYS:
        y = torch_network.build(net, {}, 1, x, (way,)).run(x)
        assert torch.equal(before, x)
        assert torch.equal(before.clamp(min=0), y)


def test_every_call_is_tested():
    used = {type(node.op) for build in NETS for node in net_of(build).nodes}
    assert set(MAKERS) == used


def test_results_without_a_later_reader_are_overwritten_and_freed():
    net = net_of(convolutions)
    _, weights = drawn(net)
    tensors = {node.name: tensors_of(node.op, weights.get(node.name, {})) for node in net.nodes}
    for step in eager(net, tensors, in_place=True):
        x = torch.rand(net.shapes[step.reads[0]])
        others = [torch.rand(net.shapes[name]) for name in step.reads[1:]]
        if step.writes in ("relu", "silu", "add", "sum_relu", "gate"):
            given = {name: t.data_ptr() for name, t in zip(step.reads, [x, *others], strict=True)}
            assert step.run(x, *others).data_ptr() in given.values()
    frees = {step.writes: step.frees for step in eager(net, tensors, in_place=True)}
    assert frees["add"] == ("scale", "strided")
    assert frees["depthwise"] == ()
    assert frees["last"] == ("fc",)


@pytest.mark.parametrize("name", networks.names())
def test_the_known_networks_run(name):
    whole = networks.network(name, 2, SMALLEST.get(name, 32))
    nodes, count = [], 0
    for node in whole.nodes:  # the largest ones up to where their weights become many
        part = Network(name, whole.input, (*nodes, node))
        count = elements(part)
        if count > ELEMENTS:
            break
        nodes.append(node)
    part = Network(name, whole.input, tuple(nodes))
    assert len(nodes) > 5
    x, weights = drawn(part)
    built = torch_network.build(part, weights, 1, torch.from_numpy(x), ("eager", "packed"))
    y = built.run(torch.from_numpy(x))
    assert part.output == tuple(y.shape)
    tensors = {node.name: tensors_of(node.op, weights.get(node.name, {})) for node in part.nodes}
    known = {INPUT: torch.from_numpy(x)}
    for step in eager(part, tensors, in_place=False):
        known[step.writes] = step.run(*[known[name] for name in step.reads])
        assert 0.01 < float(known[step.writes].square().mean().sqrt()) < 10
    torch.testing.assert_close(known[nodes[-1].name], y, rtol=0, atol=1e-5 * float(y.abs().max()))


def whole_of(build, shape=(2, 3, 19, 18)):
    return NetworkProblem(net_of(build, shape))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("last", [None, "mul"])
def test_the_strategy_folds_and_answers_in_the_layout(layout, last):
    net = net_of(convolutions)
    if last:
        names = [node.name for node in net.nodes]
        net = Network("small", net.input, net.nodes[: names.index(last) + 1])
    x, weights = drawn(net)
    expected = net.reference(x, weights)
    whole, setting = NetworkProblem(net), Setting(layout=layout)
    strategy = TorchNetwork()
    assert strategy.why_not(whole, setting) is None
    prepared = strategy.prepare(whole, setting)
    given = x if layout == "nchw" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    for _ in range(2):
        prepared.bind(given, weights)
        prepared.run()
        y = prepared.output()
        assert whole.result(layout, F32).shape == y.shape
        assert y.flags.c_contiguous
        if y.ndim == 4 and layout == "nhwc":
            y = y.transpose(0, 3, 1, 2)
        assert error(y, expected) < 1e-5
    (text,) = prepared.explanation
    assert "the fastest of eager" in text
    assert prepared.prepare_s > 0
    given *= 0.5  # it is referenced, not copied
    prepared.run()
    y = (
        prepared.output()
        if y.ndim != 4 or layout == "nchw"
        else prepared.output().transpose(0, 3, 1, 2)
    )
    assert error(y, net.reference(0.5 * x if layout == "nhwc" else x, weights)) < 1e-5
    prepared.close()


def test_refusals(monkeypatch):
    strategy, whole = TorchNetwork(), whole_of(tokens)
    wide = Setting(dtype="f64")
    assert strategy.why_not(whole, wide) == "torch computes f32 and bf16 here, not f64"
    assert strategy.why_not(Gemm(m=1, n=1, k=1), Setting()) == "torch computes network, not gemm"
    prepared = strategy.prepare(whole, Setting())
    with pytest.raises(ProblemError, match=r"x has shape \(3,\); this network needs \(2, 3, 19"):
        prepared.bind(np.zeros(3), {})
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(Exception, match=r"torch of small of 2x3x19x18 needs .* of memory"):
        strategy.prepare(whole, Setting())


def test_compiling_needs_a_compiler(monkeypatch):
    strategy, whole = TorchCompiledNetwork(), whole_of(tokens)
    monkeypatch.setattr(shutil, "which", lambda _: "there")
    assert strategy.why_not(whole, Setting()) is None
    monkeypatch.setattr(shutil, "which", lambda _: None)
    expected = "torch-compile needs a C++ compiler: install g++ or set CXX"
    assert expected == strategy.why_not(whole, Setting())


def test_what_is_handed_to_the_compiler_is_the_network(monkeypatch):
    handed = []
    monkeypatch.setattr(torch, "compile", lambda graph: handed.append(graph) or graph)  # takes 10 s
    net = net_of(convolutions)
    x, weights = drawn(net)
    prepared = TorchCompiledNetwork().prepare(NetworkProblem(net), Setting())
    prepared.bind(x, weights)
    prepared.run()
    assert error(prepared.output(), net.reference(x, weights)) < 1e-5
    expected = "torch.compile on frozen weights, the fastest of compile"
    assert (expected,) == prepared.explanation
    (graph,) = handed
    constants = {tuple(buffer.shape) for buffer in graph.buffers()}
    assert {(8, 3, 3, 2), (16, 2, 3, 3), (10, net.shapes["flat"][1])} <= constants
    prepared.close()


def test_where_no_way_is_left_it_is_refused(monkeypatch):
    def lacking(*_):
        raise RuntimeError

    monkeypatch.setattr(torch_network, "packed", lacking)
    net = net_of(tokens)
    x, weights = drawn(net)
    with pytest.raises(RefusedError, match="this PyTorch does not run small with packed"):
        torch_network.build(net, weights, 1, torch.from_numpy(x), ("packed",))


def test_a_way_that_this_pytorch_lacks_is_left_out(monkeypatch):
    def lacking(*_):
        raise AttributeError

    monkeypatch.setattr(torch_network, "packed", lacking)
    net = net_of(tokens)
    x, weights = drawn(net)
    built = torch_network.build(net, weights, 1, torch.from_numpy(x), ("eager", "packed"))
    assert built.way == "eager"
    assert built.explanation == "eager calls, the fastest of eager"


def test_nodes_with_the_same_arrays_share_tensors():
    net = Builder()
    for name in ("a", "b", "c"):
        net.add(name, ops.Convolution.square(4, 3))
    network = Network("head", (1, 4, 8, 8), tuple(net.nodes), (Tie("b", "weight", "a", "weight"),))
    found = tensors_by_node(network, draw(network, 0))
    assert found["a"]["weight"] is found["b"]["weight"]
    assert found["c"]["weight"] is not found["a"]["weight"]
