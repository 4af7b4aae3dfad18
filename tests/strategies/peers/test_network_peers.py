"""Whole networks in ONNX Runtime and OpenVINO against the float64 reference."""

from __future__ import annotations

import functools
import importlib.util

import numpy as np
import pytest

from convprof import networks
from convprof.dtypes import F32, listed, short_name, tolerance
from convprof.errors import ConvprofError, ProblemError, RefusedError, TooLargeError
from convprof.machine import facts
from convprof.networks.parameters import draw, elements
from convprof.problems import Gemm, NetworkProblem, ops
from convprof.problems.graph import Builder, Network
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting
from convprof.strategies.peers import exported, package

PACKAGES = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = 1e-4
ELEMENTS = 6_000_000
SMALLEST = {
    "mnist-cnn": None, "resnet18": 32, "mobilenet-v2": 32, "efficientnet-b0": 32,
    "convnext-t": 32, "vit-b16": 16,
}  # fmt: skip


def skip_without(name):
    packages = PACKAGES.get(name, (name,))
    missing = [item for item in packages if importlib.util.find_spec(item) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install 'convprof[peers]'")


each_library = pytest.mark.parametrize("name", PACKAGES)


@functools.cache
def known(name):
    """Return the start of a network, up to where its weights become many, and its result."""
    whole = networks.network(name, 2, SMALLEST[name])
    for end in range(len(whole.nodes), 0, -1):
        part = Network(name, whole.input, whole.nodes[:end])
        if elements(part) < ELEMENTS:
            break
    return (part, *computed(part))


def computed(net):
    x = np.random.default_rng(1).standard_normal(net.input, dtype=np.float32)
    weights = draw(net, 1)
    return x, weights, net.reference(x, weights)


def convolution():
    net = Builder()
    net.add("padded", ops.Convolution(k=8, r=3, s=2, pad=(0, 1, 2, 0)))
    net.add("bn", ops.BatchNorm())
    net.add("silu", ops.Activation("silu"))
    return Network("small", (2, 3, 7, 6), tuple(net.nodes))


def tokens():
    net = Builder()
    net.add("hidden", ops.Linear(6))
    net.add("gelu", ops.Activation("gelu"))
    return Network("tokens", (2, 5, 4), tuple(net.nodes))


def laid_out(x, layout):
    turned = layout == "nhwc" and x.ndim == 4
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if turned else x


def error(y, y64, layout="nchw"):
    expected = laid_out(y64, layout)
    assert expected.shape == y.shape
    return np.max(np.abs(y - expected)) / np.max(np.abs(expected))


def bound(name, net, x, weights, setting):
    skip_without(name)
    strategy, whole = registry.find("network", name), NetworkProblem(net)
    assert strategy.why_not(whole, setting) is None
    prepared = strategy.prepare(whole, setting)
    prepared.bind(laid_out(x, setting.layout), weights)
    return prepared


@each_library
@pytest.mark.parametrize("network", SMALLEST)
def test_networks(name, network):
    skip_without(name)
    net, x, weights, expected = known(network)
    assert len(net.nodes) >= 10
    prepared = bound(name, net, x, weights, Setting("nhwc", threads=THREADS[-1]))
    prepared.output().fill(-1)  # so that the run has to write all of it
    prepared.run()
    assert error(prepared.output(), expected, "nhwc") < TOLERANCE
    prepared.close()


@each_library
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("make", [convolution, tokens])
def test_results_are_in_the_layout(name, make, layout, threads):
    net = make()
    x, weights, expected = computed(net)
    before = x.copy()
    prepared = bound(name, net, x, weights, Setting(layout, threads=threads))
    prepared.run()
    y = prepared.output()
    assert NetworkProblem(net).result(layout, F32).shape == y.shape
    assert y.flags.c_contiguous
    assert error(y, expected, layout) < TOLERANCE
    np.testing.assert_array_equal(before, x)
    prepared.bind(laid_out(2 * x, layout), weights)
    prepared.run()
    twice = net.reference(2 * x, weights)
    assert error(prepared.output(), twice, layout) < TOLERANCE
    prepared.close()


@each_library
def test_what_is_known_of_a_run(name):
    net = convolution()
    x, weights, _ = computed(net)
    prepared = bound(name, net, x, weights, Setting("nhwc"))
    assert [net.input, net.output] == [array.shape for array in prepared.memory()]
    assert prepared.workspace_bytes is None
    assert prepared.prepare_s > 0
    assert prepared.compile_s > 0
    (line,) = prepared.explanation
    assert name in line.lower().replace(" ", "")
    prepared.close()
    assert prepared.memory() == []
    with pytest.raises(ConvprofError, match="nothing is bound"):
        prepared.run()


@each_library
def test_read_only_operands(name):
    net = tokens()
    x, weights, expected = computed(net)
    x.flags.writeable = False
    prepared = bound(name, net, x, weights, Setting())
    prepared.run()
    assert error(prepared.output(), expected) < TOLERANCE


@each_library
def test_refusals(name, monkeypatch):
    strategy, whole = registry.find("network", name), NetworkProblem(tokens())
    types = listed(map(short_name, strategy.dtypes), "and")
    assert f"{name} computes {types} here, not f64" == strategy.why_not(whole, Setting(dtype="f64"))
    product = Gemm(m=1, n=1, k=1)
    assert f"{name} computes network, not gemm" == strategy.why_not(product, Setting())
    found = strategy.why_not(NetworkProblem(networks.network("vit-h14")), Setting())
    assert found is not None
    assert found.startswith(f"{name} takes an ONNX model: vit-h14: its 6")
    assert found.endswith("weights do not fit an ONNX file, which holds 2 GiB")
    skip_without(name)
    prepared = strategy.prepare(whole, Setting())
    with pytest.raises(ConvprofError, match="nothing is bound"):
        prepared.output()
    with pytest.raises(ProblemError, match=r"x has shape \(3,\); this network needs \(2, 5, 4\)"):
        prepared.bind(np.zeros(3), {})
    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    with pytest.raises(TooLargeError, match=rf"{name} of tokens of 2x5x4 needs .* of memory"):
        strategy.prepare(whole, Setting())


@each_library
@pytest.mark.parametrize("lacking", [0, 1])
def test_without_the_packages(name, lacking, monkeypatch):
    strategy = registry.find("network", name)
    missing = PACKAGES[name][lacking]
    found = importlib.util.find_spec
    present = importlib.util.find_spec("numpy")
    monkeypatch.setattr(
        package.importlib.util,
        "find_spec",
        lambda item: None if item == missing else found(item) or present,
    )
    reason = strategy.why_not(NetworkProblem(tokens()), Setting())
    which = f"{name} is" if lacking == 0 else f"{name} needs onnx, which is"
    assert f"{which} not installed: pip install 'convprof[peers]'" == reason


def test_openvino_on_another_number_of_threads():
    skip_without("openvino")
    net = tokens()
    x, weights, _ = computed(net)
    prepared = registry.find("network", "openvino").prepare(
        NetworkProblem(net), Setting(threads=4096)
    )
    with pytest.raises(RefusedError, match=r"openvino would run on \d+ threads here, not 4096"):
        prepared.bind(x, weights)
    assert prepared.memory() == []  # nothing half-made is left


def test_the_weights_are_weighed_with_their_copies(monkeypatch):
    net, asked = tokens(), []
    monkeypatch.setattr(memory, "require", lambda needed, what: asked.append((needed, what)))

    class Nothing(exported.ExportedPrepared):
        def build(self, exported, x, y):
            raise NotImplementedError

    Nothing("nobody", NetworkProblem(net), Setting())
    assert asked == [(5 * 4 * (4 * 6 + 6), "nobody of tokens of 2x5x4")]


@pytest.mark.parametrize("make", [convolution, tokens])
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_networks_in_bf16(name, make):
    net = make()
    x, weights, expected = computed(net)
    setting = Setting("nhwc", "bf16")
    prepared = bound(name, net, x.astype(setting.types.source.array_type), weights, setting)
    prepared.run()
    y, whole = prepared.output(), NetworkProblem(net)
    limit = tolerance(setting.types, whole.terms, whole.roundings)
    assert 1e-5 < error(y.astype(np.float64), expected, "nhwc") <= limit
    if name == "openvino":
        assert prepared.note.startswith("reads and writes f32, and computes its layers in ")
    prepared.close()
