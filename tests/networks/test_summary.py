from __future__ import annotations

import json

import pytest

from convprof.networks import network
from convprof.networks.summary import Cost, summarise
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, BatchNorm, Convolution, Flatten, Linear


def small() -> Network:
    net = Builder()
    net.add("conv", Convolution.square(2, 1))
    net.add("bn", BatchNorm())
    net.add("flatten", Flatten())
    net.add("fc", Linear(5))
    return Network("small", (1, 3, 2, 2), tuple(net.nodes))


def test_costs_by_hand():
    conv, bn, flatten, fc = summarise(small()).rows
    assert conv.cost == Cost(parameters=6, macs=24, flops=48, bytes_min=4 * (12 + 6 + 8))
    assert bn.cost == Cost(parameters=4, macs=0, flops=16, bytes_min=4 * (8 + 4 + 8))
    assert flatten.cost == Cost(0, 0, 0, 0)
    assert fc.cost == Cost(parameters=45, macs=40, flops=85, bytes_min=4 * (8 + 45 + 5))
    assert (bn.inputs, bn.output, bn.reads) == (((1, 2, 2, 2),), (1, 2, 2, 2), ("conv",))
    assert flatten.cost.intensity is None
    assert conv.cost.intensity == 48 / 104
    assert [row.share for row in (conv, bn, flatten, fc)] == [24 / 64, 0, 0, 40 / 64]


def test_totals_are_the_sums():
    summary = summarise(network("vit-b16", mb=2))
    for key in ("parameters", "macs", "flops", "bytes_min"):
        assert sum(getattr(row.cost, key) for row in summary.rows) == getattr(summary.total, key)
    assert sum(row.share for row in summary.rows) == pytest.approx(1)


def test_a_network_without_macs_has_no_shares():
    net = Builder()
    net.add("relu", Activation("relu"))
    summary = summarise(Network("relu", (1, 2), tuple(net.nodes)))
    assert summary.rows[0].share == 0


def test_json():
    document = json.loads(json.dumps(summarise(small()).to_json()))
    conv, *_, fc = document["layers"]
    assert document["input"] == [1, 3, 2, 2]
    assert document["output"] == [1, 5]
    assert document["totals"]["parameters"] == 55
    assert conv["op"]["kind"] == "conv"
    assert conv["op"]["k"] == 2
    assert conv["reads"] == ["input"]
    assert fc["op"] == {"kind": "linear", "text": "linear", "outputs": 5, "bias": True}
    assert fc["inputs"] == [[1, 8]]
    assert fc["macs"] == 40
