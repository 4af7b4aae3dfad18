from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.networks.steps import steps
from convprof.problems.graph import Builder, Network
from convprof.problems.ops import Activation, Convolution, Flatten
from convprof.results import Measurement, Time
from convprof.studies.network.layers import Layer, kinds
from convprof.studies.network.reconcile import farthest, reconcile


def network():
    net = Builder()
    net.add("a", Convolution.square(4, 3))
    net.add("r", Activation("relu"))
    net.add("point", Convolution.square(4, 1))
    net.add("flat", Flatten())
    return Network("small", (1, 4, 6, 6), tuple(net.nodes))


def measured(seconds):
    time = Time(seconds, 0, None, None, seconds, 1, 1)
    return Measurement({}, "auto", "nhwc", "f32", 1, "hot", "ok", time_s=time)


STEPS = steps(network())
A, R, POINT = (
    Layer(step, measured(hot), measured(2 * hot), chain, 0.5, "compute")
    for step, hot, chain in zip(STEPS, (4.0, 1.0, 2.0), (5.0, 1.0, 1.5), strict=False)
)
FLAT = Layer(STEPS[3], None, None, None, None, None, view=True)
ALL = [A, R, POINT, FLAT]


def test_the_totals_and_their_differences():
    found = reconcile(ALL, chain_s=8.0, conversions_s=0.25)
    assert (found.hot_s, found.cold_s, found.within_s) == (7.0, 14.0, 7.5)
    assert (found.distance_s, found.conversions_s, found.joined_s) == (0.5, 0.25, 0.25)
    assert found.residual == pytest.approx(1 / 7)
    assert found.hot_s + found.distance_s + found.conversions_s + found.joined_s == found.chain_s


def test_without_a_layers_time_there_is_no_reconciliation():
    for missing in ("hot", "cold", "chain_s"):
        assert reconcile([replace(A, **{missing: None}), R], 8.0, 0.0) is None


def test_who_loses_most_comes_first():
    assert farthest(ALL) == [A]
    assert farthest([replace(R, chain_s=9.0), A]) == [replace(R, chain_s=9.0), A]


def test_kinds_add_up_and_the_slowest_comes_first():
    found = kinds(ALL)
    assert [(kind.name, kind.layers, kind.hot_s) for kind in found] == [
        ("conv", 1, 4.0),
        ("pointwise conv", 1, 2.0),
        ("activation", 1, 1.0),
    ]
    assert found[0].flops == STEPS[0].problem.flops
    assert found[0].flop_per_s == STEPS[0].problem.flops / 4.0


def test_what_is_known_in_part_only_has_no_sum():
    (kind,) = kinds([A, replace(A, cold=None), replace(A, chain_s=None)])
    assert (kind.layers, kind.hot_s, kind.cold_s, kind.chain_s) == (3, 12.0, None, None)
