"""Networks as ONNX files: valid, runnable elsewhere, and the same when read back."""

from __future__ import annotations

import numpy as np
import pytest

from convprof import networks
from convprof.errors import InputError
from convprof.networks.summary import summarise
from convprof.networks.vit import Transformer
from convprof.problems import NetworkProblem, ops
from convprof.problems.graph import Builder, Network, Node
from convprof.strategies import registry
from convprof.strategies.base import Setting

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx.export import model, why_not  # noqa: E402
from convprof.networks.onnx.forms import FORMS  # noqa: E402

SMALL = {"mnist-cnn": 28, "lenet5": 32, "mobilenet-v2": 48, "efficientnet-b0": 48}


def transformer():
    """Return a small ViT, of 7 x 7 patches."""
    net = Builder()
    Transformer(patch=4, width=24, blocks=2, heads=3, mlp=48).build(net)
    return Network("vit-small", (2, 3, 28, 28), tuple(net.nodes))


def built(name):
    return transformer() if name == "vit-small" else networks.network(name, 2, SMALL[name])


def weights_of(network, draw):
    return {
        node.name: {
            key: draw(key, shape)
            for key, shape in {
                **node.op.weights(*network.reads(node)),
                **node.op.buffers(*network.reads(node)),
            }.items()
        }
        for node in network.nodes
    }


def drawn(network):
    random = np.random.default_rng(0)
    return weights_of(
        network, lambda key, shape: random.random(shape, np.float32) * 0.2 + (key == "running_var")
    )


def run(data, x):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


@pytest.mark.parametrize("name", [*SMALL, "vit-small"])
def test_networks_come_back_as_they_were(name, tmp_path):
    network = built(name)
    nothing = weights_of(network, lambda _, shape: np.broadcast_to(np.float32(0), shape))
    data = model(network, nothing)
    path = tmp_path / "back.onnx"
    path.write_bytes(data)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    before, after = summarise(network), summarise(load(path, {}).network)
    assert (after.input, after.output) == (before.input, before.output)
    assert (after.total.parameters, after.total.macs) == (
        before.total.parameters,
        before.total.macs,
    )


@pytest.mark.parametrize("name", ["mnist-cnn", "lenet5", "mobilenet-v2", "vit-small"])
def test_networks_run_elsewhere(name):
    network = built(name)
    data = model(network, drawn(network))
    y = run(data, np.ones(network.input, np.float32))
    assert y.shape == network.output
    assert np.isfinite(y).all()


def one(op, *shapes):
    """Return a network of one op, which reads the input as often as there are shapes."""
    return Network("one", shapes[0], (Node("node", op, ("input",) * len(shapes)),))


IMAGE, TOKENS = (2, 6, 7, 5), (2, 5, 12)
ONE = {
    "conv": (ops.Convolution(k=4, r=3, s=2, stride=(2, 1), pad=(1, 0, 0, 1), dilation=(1, 2), groups=2, bias=True), IMAGE),  # noqa: E501
    "linear": (ops.Linear(8, bias=False), TOKENS),
    "linear bias": (ops.Linear(8), TOKENS),
    "gemm": (ops.Linear(8), (3, 4)),
    "layer norm": (ops.LayerNorm(), IMAGE),
    "layer norm tokens": (ops.LayerNorm(), TOKENS),
    "response norm": (ops.ResponseNorm(5, 0.5), IMAGE),
    "layer norm without bias": (ops.LayerNorm(bias=False), IMAGE),
    "batch norm": (ops.BatchNorm(), IMAGE),
    "bias": (ops.Bias(), IMAGE),
    "layer scale": (ops.LayerScale(), TOKENS),
    "softmax": (ops.Softmax(), TOKENS),
    "adaptive": (ops.AdaptiveAverage(3, 2), IMAGE),
    "adaptive same": (ops.AdaptiveAverage(7, 5), IMAGE),
    "avg": (ops.Pool2d(which="avg", r=3, s=3, stride=(2, 2), pad=(1, 1), count_padding=False), IMAGE),  # noqa: E501
    "max": (ops.Pool2d(which="max", r=3, s=3, stride=(2, 2), pad=(1, 1), ceil=True), IMAGE),
    "class token": (ops.ClassToken(), TOKENS),
    "position": (ops.PositionEmbedding(), TOKENS),
    "select": (ops.SelectToken(3), TOKENS),
    "tokens": (ops.Tokens(), IMAGE),
    "flatten": (ops.Flatten(), IMAGE),
    "reshape": (ops.Reshape((0, -1, 3)), IMAGE),
    "slice": (ops.Slice(2, 1, 4), IMAGE),
    "part": (ops.Part(3, (2, 4, 2)), (2, 15)),
    "transpose": (ops.Transpose((2, 0, 1)), TOKENS),
    "concat": (ops.Concat(1), IMAGE, IMAGE),
    "add": (ops.Add(), IMAGE, IMAGE),
    "maximum": (ops.Maximum(), IMAGE, IMAGE),
    "minimum": (ops.Minimum(), IMAGE, IMAGE),
    "multiply": (ops.Multiply(), IMAGE, IMAGE),
    "matmul": (ops.MatMul(transpose_b=True, scale=0.5), TOKENS, TOKENS),
    "affine": (ops.Affine(2.0, 1.0), IMAGE),
    "pad": (ops.Pad((0, 1, 2, 0), (0, 0, 1, 3), 0.5), IMAGE),
    "terms": (ops.Terms((1, 3, 1, 7)), (2, 3, 5, 7)),
    "factors": (ops.Factors((2, 1, 5, 7)), (2, 3, 5, 7)),
    "upsample": (ops.Upsample(2, 3), IMAGE),
    "resize": (ops.Resize(10, 8, (1.5, 1.7)), IMAGE),
    "resize to sizes": (ops.Resize(11, 12, (11 / 7, 12 / 5), "align_corners"), IMAGE),
    "resize from corners": (ops.Resize(14, 3, (2.0, 0.6), "asymmetric"), IMAGE),
    "resize cubic": (ops.Resize(11, 12, (1.6, 2.4), cubic=-0.6, excludes_outside=True), IMAGE),
    "resize to fewer": (ops.Resize(4, 3, (4 / 7, 3 / 5), antialias=True), IMAGE),
    "nearest": (ops.Resize(11, 4, (11 / 7, 4 / 5), "asymmetric", "floor"), IMAGE),
    "instance norm": (ops.InstanceNorm(), IMAGE),
    "elu": (ops.Elu(0.5), IMAGE),
    "selu": (ops.Elu(1.67, 1.05), IMAGE),
    "log softmax": (ops.LogSoftmax(), TOKENS),
    "clip": (ops.Clip(-0.5, 1.0), IMAGE),
    "clip below": (ops.Clip(-0.5), IMAGE),
    "clip above": (ops.Clip(None, 0.5), IMAGE),
    "slope": (ops.HardSigmoid(), IMAGE),
    "embedding": (ops.Embedding(9, 4), (2, 3)),
    "known": (ops.Known((1, 2, 3)), TOKENS),
    "compare": (ops.Compare("not equal"), TOKENS, TOKENS),
    "compare with a number": (ops.Compare("at least", 0.5), TOKENS),
    "choose": (ops.Select(otherwise=-1.0), TOKENS, TOKENS),
    "choose numbers": (ops.Select(1.0, -1.0), TOKENS),
    "expand": (ops.Expand((3, 2, 5, 12)), (1, 2, 5, 12)),
    "divide": (ops.Divide(), TOKENS, TOKENS),
    "rms norm": (ops.RmsNorm(), TOKENS),
    "power": (ops.Power(-1.0), TOKENS),
    "lstm": (ops.Recurrent(cell="lstm", units=4, keeps_cells=True), TOKENS),
    "gru": (ops.Recurrent(cell="gru", units=4, direction="bidirectional"), TOKENS),
    "rnn": (ops.Recurrent(cell="rnn", units=4, direction="reverse", bias=False), TOKENS),
    "rnn relu": (ops.Recurrent(cell="rnn", units=4, function="relu"), TOKENS),
    "gru reset first": (ops.Recurrent(cell="gru", units=4, reset_first=True), TOKENS),
    **{f: (ops.Elementary(f), IMAGE) for f in ("exp", "mish", "softplus", "round", "cos")},
    "running sum": (ops.RunningSum(1, reverse=True, exclusive=True), TOKENS),
    "place": (ops.Place(2, of="smallest", last=True), TOKENS),
    "converted": (ops.Converted(), TOKENS),
    "scores": (ops.AttentionScores(2), TOKENS),
    "attention": (ops.Attention(2), TOKENS),
    **{f: (ops.Activation(f), IMAGE) for f in ("relu6", "silu", "gelu", "gelu_tanh", "hardsigmoid", "hardswish", "tanh")},  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("kind", ONE)
def test_every_op_runs_elsewhere(kind):
    network = one(*ONE[kind])
    x = np.random.default_rng(1).standard_normal(network.input, np.float32)
    weights = drawn(network)
    data = model(network, weights)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    y = run(data, x)
    assert y.shape == network.output
    expected = EXPECTED.get(kind)
    if expected is not None:
        np.testing.assert_allclose(expected(x, weights["node"]), y, rtol=1e-4, atol=1e-5)


def attended(x, _):
    q, k, v = (each.reshape(2, 5, 2, 2).transpose(0, 2, 1, 3) for each in np.split(x, 3, 2))
    raw = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(2))
    return (raw / raw.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(2, 5, 4)


def regions(x, _):
    rows = [x[:, :, a:b].mean(2) for a, b in ((0, 3), (2, 5), (4, 7))]
    return np.stack([np.stack([r[..., :3].mean(-1), r[..., 2:].mean(-1)], -1) for r in rows], 2)


def normed(x, w):
    z = x - x.mean(1, keepdims=True)
    z /= np.sqrt((z * z).mean(1, keepdims=True) + 1e-5)
    return z * w["weight"][:, None, None] + w["bias"][:, None, None]


EXPECTED = {
    **{
        cell: lambda x, w, op=ONE[cell][0]: op.reference(x, *w.values())
        for cell in (
            "lstm",
            "gru",
            "rnn relu",
            "gru reset first",
            "rnn",
            "resize cubic",
            "resize to fewer",
            "exp",
            "mish",
            "round",
        )
    },
    "linear bias": lambda x, w: x @ w["weight"] + w["bias"],
    "gemm": lambda x, w: x @ w["weight"] + w["bias"],
    "layer norm": normed,
    "attention": attended,
    "adaptive": regions,
    "adaptive same": lambda x, _: x,
    "matmul": lambda x, _: x @ x.transpose(0, 2, 1) / 2,
    "affine": lambda x, _: 2 * x + 1,
    "pad": lambda x, _: np.pad(x, [(0, 0), (1, 0), (2, 1), (0, 3)], constant_values=0.5),
    "clip": lambda x, _: np.clip(x, -0.5, 1.0),
    "clip below": lambda x, _: np.maximum(x, -0.5),
    "clip above": lambda x, _: np.minimum(x, 0.5),
    "slope": lambda x, _: np.clip(0.2 * x + 0.5, 0, 1),
    "tokens": lambda x, _: x.reshape(2, 6, 35).transpose(0, 2, 1),
    "layer scale": lambda x, w: x * w["weight"],
    "bias": lambda x, w: x + w["bias"][:, None, None],
    "select": lambda x, _: x[:, 3],
    "hardswish": lambda x, _: x * np.clip(x + 3, 0, 6) / 6,
    "silu": lambda x, _: x / (1 + np.exp(-x)),
    "class token": lambda x, w: np.concatenate([np.tile(w["weight"], (2, 1, 1)), x], 1),
}


@pytest.mark.parametrize(
    "kept", [{}, {"keeps_last": True}, {"keeps_last": True, "keeps_cells": True}]
)
def test_a_recurrent_layer_with_lengths_runs_elsewhere(kept):
    op = ops.Recurrent(cell="lstm", units=4, direction="bidirectional", has_lengths=True, **kept)
    nodes = (Node("lengths", ops.Known((5,)), ("input",)), Node("node", op, ("input", "lengths")))
    network = Network("two", (7, 5, 3), nodes)
    weights = drawn(network)
    weights["lengths"]["values"] = np.array([7, 1, 3, 6, 2], np.float32)
    x = np.random.default_rng(1).standard_normal(network.input, np.float32)
    data = model(network, weights)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    np.testing.assert_allclose(
        network.reference(x.astype("f8"), weights), run(data, x), rtol=1e-4, atol=1e-5
    )


def test_an_op_without_a_form_is_refused_by_name(monkeypatch):
    monkeypatch.delitem(FORMS, ops.Softmax)
    network = one(ops.Softmax(), (3, 4))
    assert why_not(network) == "node: softmax has no form in ONNX"
    with pytest.raises(InputError, match=r"^node: softmax has no form in ONNX$"):
        model(network, {})
    reason = registry.find("network", "onnxruntime").why_not(NetworkProblem(network), Setting())
    assert reason == "onnxruntime takes an ONNX model: node: softmax has no form in ONNX"


def test_weights_that_are_missing_or_misshapen():
    network = one(ops.Linear(8), (3, 4))
    with pytest.raises(InputError, match="node: its weight 'weight' is missing"):
        model(network, {})
    weights = {"node": {"weight": np.zeros((8, 4)), "bias": np.zeros(8)}}
    with pytest.raises(InputError, match=r"node: 'weight' is \(8, 4\), must be \(4, 8\)"):
        model(network, weights)


def test_more_weights_than_a_file_holds():
    network = networks.network("vit-h14")
    with pytest.raises(InputError, match="do not fit an ONNX file, which holds 2 GiB"):
        model(network, {})
