"""Streams: the chain's result from every stream, errors that come through, threads that end."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

from convprof.codegen import affinity, nodes
from convprof.codegen.nodes import Place
from convprof.errors import ConvprofError
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.problems import NetworkProblem
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, Convolution, Flatten, Linear
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import layer_choices
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained
from convprof.strategies.networks.streams import Streams


def small():
    net = Builder()
    net.add("conv", Convolution.square(8, 3))
    net.add("relu", Activation("relu"))
    net.add("flatten", Flatten())
    net.add("fc", Linear(5))
    return Network("small", (1, 3, 8, 8), tuple(net.nodes))


def streams(count=2, dtype="f32", each=1):
    network, setting = small(), Setting("nhwc", dtype, threads=count * each, tune="off")
    recipe = Recipe(network, fuse=False)
    chosen = layer_choices(recipe, ("auto",), setting, "nhwc")
    whole = NetworkProblem(network)
    prepared = Streams(Chained("chain", recipe, chosen), each).prepare(whole, setting)
    operands = NetworkOperands(whole, setting.types, 0)
    prepared.bind(*operands.all("nhwc"))
    return prepared, operands


@pytest.fixture
def two():
    prepared, operands = streams()
    yield prepared, operands
    prepared.close()


def test_every_stream_has_the_right_result(two):
    prepared, operands = two
    prepared.run()
    prepared.run()
    outputs = [chain.output() for chain in prepared._chains]
    assert len({output.ctypes.data for output in outputs}) == 2  # memory of their own
    assert all(max_rel_error(operands, output, "nhwc") < 1e-5 for output in outputs)
    assert np.array_equal(prepared.output(), outputs[0])


def test_one_stream_is_a_chain():
    prepared, operands = streams(1)
    prepared.run()
    assert max_rel_error(operands, prepared.output(), "nhwc") < 1e-5
    prepared.close()


def test_a_stream_of_several_threads():
    prepared, operands = streams(2, each=2)
    prepared.run()
    assert [chain.setting.threads for chain in prepared._chains] == [2, 2]
    assert len(prepared._threads) == 1
    assert max_rel_error(operands, prepared.output(), "nhwc") < 1e-5
    prepared.close()


@pytest.mark.parametrize(("each", "expected"), [(1, [0, 0, 1, 1]), (2, [0, 1])])
def test_streams_are_bound_and_run_on_their_nodes(monkeypatch, each, expected):
    """Two nodes of two CPUs; the caller is on CPU 0."""
    cpus = [frozenset({0, 1}), frozenset({2, 3})]
    masks, bound = [], []

    def places(threads):
        return [Place(2 * i // threads, cpus[2 * i // threads]) for i in range(threads)]

    @contextlib.contextmanager
    def inside(mask):
        bound.append(cpus.index(mask))
        yield True

    monkeypatch.setattr(affinity, "inside", inside)
    monkeypatch.setattr(affinity, "current_cpu", lambda: 0)
    monkeypatch.setattr(affinity, "change", lambda _, mask: masks.append(set(mask)))
    monkeypatch.setattr(nodes, "places", places)
    prepared, _ = streams(4 // each, each=each)
    assert bound == expected
    masks.clear()
    prepared._spread()
    assert masks == [{1} if node == 0 else {2, 3} for node in expected[1:]]
    prepared.close()


def test_streams_in_int8_share_one_calibration(monkeypatch):
    calibrated = []
    results = Network.results

    def counted(network, x, weights):
        calibrated.append(x)
        return results(network, x, weights)

    monkeypatch.setattr(Network, "results", counted)
    prepared, operands = streams(dtype="u8:s8:s32")
    x, weights = operands.all("nhwc")
    assert len(calibrated) == 1
    prepared.bind(x.copy(), weights)
    assert len(calibrated) == 1
    x *= 100
    prepared.bind(x, weights)
    assert len(calibrated) == 2
    prepared.bind(x, {**weights, "fc": {**weights["fc"], "bias": weights["fc"]["bias"] + 300}})
    assert len(calibrated) == 3
    prepared.run()
    assert prepared.output().min() > 100  # a result of the new weights, on their scale
    prepared.close()


def test_a_run_is_long_and_counts_every_inference(two, monkeypatch):
    prepared, _ = two
    repeats = prepared.results_per_run // 2
    assert repeats > 1  # the network takes microseconds
    calls = {id(chain): [] for chain in prepared._chains}
    for chain in prepared._chains:
        monkeypatch.setattr(
            chain,
            "run",
            lambda chain=chain: calls[id(chain)].append(threading.get_ident()),
        )
    prepared.run()
    assert [len(made) for made in calls.values()] == [repeats, repeats]
    assert len({made[0] for made in calls.values()}) == 2  # each on a thread of its own


@pytest.mark.parametrize("index", [0, 1])
def test_an_error_in_a_stream_comes_through(two, monkeypatch, index):
    prepared, _ = two

    def fail():
        raise ValueError("no weights")

    monkeypatch.setattr(prepared._chains[index], "run", fail)
    with pytest.raises(ValueError, match="no weights"):
        prepared.run()


def test_streams_with_different_results_are_an_error(two):
    prepared, _ = two
    prepared.run()
    prepared._chains[1].output()[...] += 1
    with pytest.raises(ConvprofError, match="the streams have different results"):
        prepared.output()


def test_close_ends_the_threads():
    prepared, _ = streams(3)
    threads = list(prepared._threads)
    assert len(threads) == 2
    prepared.run()
    prepared.close()
    assert not any(thread.is_alive() for thread in threads)


def test_figures_are_of_one_inference(two):
    prepared, _ = two
    assert prepared.executed_flops() == prepared._chains[0].executed_flops()
    assert prepared.bytes_moved() == prepared._chains[0].bytes_moved()
    each = [chain.workspace_bytes for chain in prepared._chains]
    assert prepared.workspace_bytes == sum(each)
