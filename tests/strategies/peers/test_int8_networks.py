"""ONNX Runtime and OpenVINO on a network in int8, with the scales and weights of our chain."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from convprof.dtypes import tolerance
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.problems import NetworkProblem, ops
from convprof.problems.graph import Builder, Network
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import layer_choices
from convprof.strategies.networks.recipe import recipe_for
from convprof.strategies.networks.strategy import Chained

SETTING = Setting("nhwc", "u8:s8:s32", tune="off")
PACKAGES = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}


def residual():
    """Return a network with every kind of layer in bytes, and layers in f32 between them."""
    net = Builder()
    net.add("stem", ops.Convolution.square(16, 3, stride=2, pad=1))
    net.add("bn", ops.BatchNorm())
    net.add("relu", ops.Activation("relu"))
    begin = net.add("pool", ops.Pool2d.square("max", 3, stride=2, pad=1))
    net.add("deep", ops.Convolution(k=16, r=3, s=3, pad=(1, 1, 1, 1), groups=16))
    net.add("relu6", ops.Activation("relu6"))
    net.add("point", ops.Convolution(k=16, r=1, s=1, bias=True))
    net.add("add", ops.Add(), net.last, begin)
    net.add("out", ops.Activation("relu"))
    net.add("gate", ops.Activation("sigmoid"))
    net.add("wide", ops.Convolution(k=32, r=3, s=3, pad=(1, 0, 1, 2), bias=True))
    net.add("mean", ops.AdaptiveAverage(1, 1))
    net.add("flat", ops.Flatten())
    net.add("fc", ops.Linear(10))
    return Network("residual", (1, 3, 23, 29), tuple(net.nodes))


def tokens():
    net = Builder()
    net.add("hidden", ops.Linear(24))
    net.add("relu", ops.Activation("relu"))
    net.add("back", ops.Linear(16))
    net.add("norm", ops.LayerNorm())
    net.add("head", ops.Linear(8))
    net.add("gelu", ops.Activation("gelu"))
    net.add("next", ops.Linear(8))  # reads f32 that a layer of bytes wrote
    net.add("silu", ops.Activation("silu"))
    return Network("tokens", (2, 5, 16), tuple(net.nodes))


def results(name, network):
    """Return the results of a library and of the chain, and the operands of both."""
    missing = [each for each in PACKAGES[name] if importlib.util.find_spec(each) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    whole = NetworkProblem(network)
    recipe = recipe_for(whole, fuse=True)
    strategy = registry.find("network", name)
    assert strategy.why_not(whole, SETTING) is None
    chain = Chained("chain", recipe, layer_choices(recipe, ("auto",), SETTING, "nhwc"))
    operands = NetworkOperands(whole, SETTING.types, 0)
    found = []
    for each in (strategy, chain):
        prepared = each.prepare(whole, SETTING)
        prepared.bind(*operands.all("nhwc"))
        prepared.run()
        found.append(prepared.output().copy())
        prepared.close()
    return *found, operands


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("build", [residual, tokens])
def test_a_library_computes_with_the_scales_of_the_chain(name, build):
    library, chain, operands = results(name, build())
    whole = operands.problem
    limit = tolerance(SETTING.types, whole.terms, whole.roundings)
    assert 1e-4 < max_rel_error(operands, library, "nhwc") < limit
    # Both round the same numbers: they are closer to each other than to the exact result.
    assert np.abs(library - chain).max() < 0.6 * limit * np.abs(chain).max()


@pytest.mark.parametrize("name", PACKAGES)
def test_chain_and_library_share_one_calibration(name, monkeypatch):
    calibrated = []
    compute = Network.results

    def counted(network, *operands):
        calibrated.append(network)
        return compute(network, *operands)

    monkeypatch.setattr(Network, "results", counted)
    results(name, tokens())
    assert len(calibrated) == 1


def test_the_file_has_operators_of_bytes_once_it_is_loaded(tmp_path):
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    from convprof.networks.onnx.export import quantised_model
    from convprof.strategies.peers.onnx_nodes import session

    whole = NetworkProblem(residual())
    recipe = recipe_for(whole, fuse=True)
    operands = NetworkOperands(whole, SETTING.types, 0)
    x, weights = operands.all("nchw")
    own = recipe.weights(weights)
    known = recipe.quantisation(x, weights, own, SETTING)
    data = quantised_model(recipe.inner, own, known, rounds_sums=True)
    path = tmp_path / "executed.onnx"
    session(runtime, data, 1, str(path))
    kinds = [node.op_type for node in onnx.load(str(path)).graph.node]
    assert kinds.count("QLinearConv") == 4
    assert not {"Conv", "Relu", "Clip"}.intersection(kinds)
    assert {"QGemm", "QLinearAdd"} <= set(kinds), kinds
