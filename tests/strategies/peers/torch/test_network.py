"""Whole networks in PyTorch against the float64 reference, in every way there is."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

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


def net_of(build, shape=(2, 3, 19, 18)):
    net = Builder()
    build(net)
    return Network("small", shape, tuple(net.nodes))


def convolutions(net):
    net.add("padded", ops.Convolution(k=8, r=3, s=2, pad=(0, 1, 2, 0), bias=True))
    net.add("relu", ops.Activation("relu"))
    net.add("grouped", ops.Convolution(k=16, r=3, s=3, pad=(2, 2), dilation=(2, 2), groups=4))
    net.add("bn", ops.BatchNorm())
    net.add("silu", ops.Activation("silu"))
    begin = net.add("strided", ops.Convolution(k=16, r=1, s=1, stride=(2, 2), bias=True))
    net.add("depthwise", ops.Convolution(k=16, r=3, s=3, pad=(1, 1), groups=16, bias=True))
    net.add("gelu", ops.Activation("gelu"))
    net.add("pointwise", ops.Convolution(k=16, r=1, s=1, bias=True))
    net.add("scale", ops.LayerScale())
    net.add("add", ops.Add(), net.last, begin)
    net.add("sum_relu", ops.Activation("relu"))
    shortcut = net.last
    net.add("again", ops.Convolution(k=16, r=3, s=3, pad=(1, 1), bias=True))
    net.add("other", ops.Add(), shortcut, net.last)
    net.add("tanh", ops.Activation("tanh"))
    net.add("norm", ops.LayerNorm())
    net.add("response", ops.ResponseNorm(5, 0.5))
    net.add("response_even", ops.ResponseNorm(4, 0.5))
    net.add("norm_alone", ops.LayerNorm(bias=False))
    net.add("term", ops.Bias())
    image = net.last
    net.add("mean", ops.AdaptiveAverage(1, 1))
    net.add("fc1", ops.Convolution(k=4, r=1, s=1, bias=True))
    net.add("fc1_act", ops.Activation("hardswish"))
    net.add("fc2", ops.Convolution(k=16, r=1, s=1, bias=True))
    net.add("gate", ops.Activation("hardsigmoid"))
    net.add("mul", ops.Multiply(), net.last, image)
    net.add("flat", ops.Flatten())
    net.add("fc", ops.Linear(10))
    net.add("last", ops.Activation("sigmoid"))


def pools(net):
    made = [
        net.add("max", ops.Pool2d.square("max", 3, stride=2, pad=1), INPUT),
        net.add("max_ceil", ops.Pool2d(which="max", r=2, s=2, stride=(2, 2), ceil=True), INPUT),
        net.add("avg", ops.Pool2d.square("avg", 3, stride=2, pad=1), INPUT),
        net.add(
            "avg_seen",
            ops.Pool2d(
                which="avg", r=3, s=3, stride=(2, 2), pad=(1, 1), count_padding=False, ceil=True
            ),
            INPUT,
        ),
        net.add(
            "avg_ceil",
            ops.Pool2d(which="avg", r=3, s=3, stride=(2, 2), pad=(0, 1, 2, 0), ceil=True),
            INPUT,
        ),
        net.add(
            "avg_wide",
            ops.Pool2d(which="avg", r=3, s=4, stride=(3, 3), pad=(2, 3), count_padding=False),
            INPUT,
        ),
        net.add(
            "max_wide",
            ops.Pool2d(which="max", r=4, s=3, stride=(3, 2), pad=(3, 0, 1, 2)),
            INPUT,
        ),
        net.add("all", ops.AdaptiveAverage(5, 4), INPUT),
    ]  # fmt: skip
    flat = [net.add(f"{name}_flat", ops.Flatten(), name) for name in made]
    net.add("concat", ops.Concat(1), *flat)
    affine = net.add("affine", ops.Affine(0.5, 0.25))
    tanh = net.add("tanh", ops.Activation("tanh"))
    net.add("larger", ops.Maximum(), affine, tanh)
    net.add("smaller", ops.Minimum(), net.last, affine)
    net.add("pad", ops.Pad((0, 3), (0, 5), -0.5))
    net.add("clip", ops.Clip(-2.0, 2.0))
    net.add("slope", ops.HardSigmoid())


def tokens(net):
    net.add("patches", ops.Convolution.square(24, 3, stride=3, pad=0, bias=True))
    net.add("tokens", ops.Tokens())
    net.add("class_token", ops.ClassToken())
    begin = net.add("position", ops.PositionEmbedding())
    net.add("ln", ops.LayerNorm())
    packed = net.add("in_proj", ops.Linear(72))
    net.add("qk", ops.AttentionScores(3))
    net.add("softmax", ops.Softmax())
    net.add("pv", ops.AttentionMix(3), net.last, packed)
    net.add("out_proj", ops.Linear(24))
    middle = net.add("sum", ops.Add(), net.last, begin)
    net.add("mlp", ops.Linear(48))
    net.add("gelu", ops.Activation("gelu"))
    net.add("mlp2", ops.Linear(24, bias=False))
    net.add("sum2", ops.Add(), middle, net.last)
    net.add("relu6", ops.Activation("relu6"))
    net.add("whole_proj", ops.Linear(72))
    net.add("whole", ops.Attention(2))
    heads = ops.Rearranged((ops.Reshape((0, -1, 2, 12)), ops.Transpose((0, 2, 1, 3))))
    wide = net.add("heads", heads)
    whole = ops.Rearranged(())
    settings = {"heads": 2, "scale": 0.3, "tokens_first": True}
    net.add(
        "of_heads",
        ops.RearrangedAttention(queries=whole, keys=whole, values=whole, **settings),
        wide,
        wide,
        wide,
    )
    net.add("side by side", ops.Reshape((0, -1, 24)))
    turned = net.add("turned", ops.Transpose((0, 2, 1)))
    net.add("grams", ops.MatMul(transpose_b=True, scale=0.2), turned, turned)
    net.add("applied", ops.MatMul(), net.last, turned)
    net.add("cut", ops.Slice(1, 2, 20))
    net.add("shaped", ops.Reshape((0, 3, -1)))
    net.add("one", ops.SelectToken(1))


def attention_whose_weights_are_read_twice(net):
    packed = net.add("tokens", ops.Tokens())
    packed = net.add("proj", ops.Linear(12))
    scores = net.add("qk", ops.AttentionScores(2))
    weights = net.add("softmax", ops.Softmax())
    net.add("pv", ops.AttentionMix(2), weights, packed)
    net.add("sum", ops.Add(), scores, weights)
    net.add("twice", ops.MatMul(), scores, weights)
    net.add("all", ops.Add(), "sum", "twice")


def memory_that_others_read(net):
    """Results that may not be overwritten, next to some that may."""
    net.add("of_input", ops.Activation("relu"))  # not in the place of the input
    a = net.add("a", ops.Convolution.square(3, 1), INPUT)
    half = net.add("half", ops.Slice(1, 0, 2), a)
    net.add("half_relu", ops.Activation("relu"), half)  # a part of what is read below
    net.add("other", ops.Slice(1, 1, 3), a)
    net.add("product", ops.Multiply(), "half_relu", "other")
    net.add("twice", ops.Add(), "product", "product")
    net.add("c", ops.Convolution.square(3, 1, bias=True), "of_input")
    net.add("c_relu", ops.Activation("relu"))  # c is read again
    net.add("c_sum", ops.Add(), "c_relu", "c")
    net.add("c_view", ops.Reshape((0, 0, 0, -1)))
    net.add("view_tanh", ops.Activation("tanh"))
    net.add("sum", ops.Add(), "view_tanh", "c_sum")  # c_sum is where the view is
    net.add("wide", ops.AdaptiveAverage(1, 1), "sum")
    net.add("gated", ops.Multiply(), "wide", "sum")
    net.add("known", ops.Known((2, 3, 19, 18)), "gated")
    net.add("with_known", ops.Multiply(), "known", "gated")  # known is a weight
    net.add("spread", ops.Expand((2, 3, 19, 18)), "wide")
    net.add("spread_sum", ops.Add(), "spread", "with_known")  # elements of spread repeat
    net.add("flat", ops.Flatten())
    net.add("flat_twice", ops.Flatten(), "twice")
    net.add("end", ops.Concat(1), "flat", "flat_twice")


def operations_of_files(net):
    net.add("elu", ops.Elu(0.5))
    net.add("selu", ops.Elu(1.67, 1.05))
    net.add("norm", ops.InstanceNorm())
    net.add("centres", ops.Resize(14, 20, (14 / 19, 20 / 18)))
    net.add("corners", ops.Resize(9, 31, (1.0, 1.0), "align_corners"))
    net.add("scaled", ops.Resize(14, 13, (1.6, 0.45), "asymmetric"))
    net.add("nearest", ops.Resize(17, 10, (17 / 14, 10 / 13), "asymmetric", "floor"))
    net.add("twice", ops.Upsample(2, 3))
    net.add("log", ops.LogSoftmax())
    net.add("flat", ops.Flatten())
    net.add("part", ops.Part(3, (2, 2, 5, 4)))


def operations_of_text(net):
    net.add("flat", ops.Flatten(), INPUT)
    net.add("few", ops.Slice(1, 0, 12))
    ids = net.add("ids", ops.Affine(4.0, 4.0))
    net.add("rows", ops.Embedding(9, 16))
    normed = net.add("norm", ops.RmsNorm())
    net.add("present", ops.Compare("less", 6.0), ids)
    net.add("column", ops.Reshape((0, -1, 1)))
    every = net.add("every", ops.Expand((2, 12, 16)))
    known = net.add("known", ops.Known((1, 12, 16)), ids)
    chosen = net.add("chosen", ops.Select(otherwise=-1.0), every, normed)
    either = net.add("either", ops.Select(), every, chosen, known)
    net.add("unequal", ops.Compare("not equal"), either, known)
    positive = net.add("positive", ops.Affine(1.0, 0.5))
    net.add("root", ops.Power(-0.5))
    net.add("ratio", ops.Divide(), either, positive)
    net.add("sum", ops.Add(), net.last, "root")
    net.add("terms", ops.Terms((1, 12, 16), learned=False))
    net.add("factors", ops.Factors((1, 12, 1)))
    net.add("gelu", ops.Activation("gelu_tanh"))


def recurrent_layers(net):
    net.add("rows", ops.Tokens())
    net.add("same", ops.Converted())
    net.add("sums", ops.RunningSum(1, reverse=True, exclusive=True))
    net.add("sums_of_items", ops.RunningSum(0))
    net.add("mean", ops.Affine(0.02, 0.0))
    net.add("both", ops.Recurrent(cell="lstm", units=5, direction="bidirectional"))
    first = net.add("first", ops.Slice(1, 0, 1))
    rows = net.add("forward", ops.Reshape((2, -1, 5)))
    net.add("row", ops.Slice(0, 1, 2), first)
    state = net.add("state", ops.Reshape((1, -1, 5)))
    settings = {"units": 5, "has_states": True}
    gru = ops.Recurrent(cell="gru", direction="reverse", bias=False, **settings)
    net.add("reverse", gru, rows, state)
    rows = net.add("reverse_rows", ops.Reshape((2, -1, 5)))
    net.add("plain", ops.Recurrent(cell="rnn", **settings), rows, state)
    rows = net.add("plain_rows", ops.Reshape((2, -1, 5)))
    kept = ops.Recurrent(cell="lstm", keeps_cells=True, **settings)
    net.add("kept", kept, rows, state, state)
    all_rows = net.add("all_rows", ops.Reshape((3, -1, 5)))
    net.add("best", ops.Place(2))
    net.add("last", ops.Place(1, of="smallest", last=True))
    net.add("chosen", ops.ChosenRow(), all_rows, "last")


NETS = (
    convolutions,
    pools,
    tokens,
    attention_whose_weights_are_read_twice,
    memory_that_others_read,
    operations_of_files,
    operations_of_text,
    recurrent_layers,
)


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
