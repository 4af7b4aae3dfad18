from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from convprof.errors import RefusedError
from convprof.networks.fold import folded
from convprof.networks.steps import steps
from convprof.problems.graph import Builder, Network
from convprof.problems.layouts import LAYOUTS
from convprof.problems.ops import Convolution
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import LayerChoice, candidates
from convprof.strategies.networks.recipe import Recipe
from convprof.studies.network.probe import Probe, _Place, probes, times

SETTING = Setting("nhwc", tune="off")


@pytest.fixture
def fused(residual):
    return steps(folded(residual), fuse=True)


def plain(fused):
    """Return the types of steps that compute in the types of the chain."""
    return [""] * len(fused)


def test_layers_in_bytes_and_in_f32(residual):
    recipe = Recipe(residual, fuse=True)
    setting = Setting("nhwc", "u8:s8:s32", tune="off")
    dtypes = recipe.dtypes(setting)
    assert {"u8:s8:u8", "f32"} <= set(dtypes)
    for names in ((), ("direct",)):
        for probe in probes(recipe.steps, names, setting, dtypes):
            assert [choice.dtype for choice in probe.choices] == dtypes


def test_equal_problems_of_different_types_have_their_own_times(fused):
    dtypes = ["u8:s8:u8" if step.name == "conv0" else "" for step in fused]
    choices = tuple(LayerChoice("x", "nhwc", dtype=dtype) for dtype in dtypes)
    seconds = {step.name: float(place) for place, step in enumerate(fused, 1)}
    found = times(fused, [(Probe("p", choices), seconds)], dtypes)
    assert found["conv0"] == {LayerChoice("x", "nhwc", dtype="u8:s8:u8"): 2.0}
    assert found["conv1"] == {LayerChoice("x", "nhwc"): 3.0}


def test_without_names_the_candidates_of_auto(fused):
    found = probes(fused, (), Setting("nhwc", tune="quick"), plain(fused))
    assert {probe.layout for probe in found} == set(LAYOUTS)
    assert len({probe.name for probe in found}) == len(found)
    conv = {layout: {p.choices[1] for p in found if p.layout == layout} for layout in LAYOUTS}
    assert len(conv["nhwc"]) > len(conv["nchw"]) > 1  # NCHW is the same kernels, turned around
    assert {choice.strategy for choice in conv["nhwc"]} <= {"microkernel", "winograd"}


@pytest.mark.parametrize("equal", range(1, 14))
@pytest.mark.parametrize("count", range(1, 10))
def test_equal_layers_share_out_the_candidates(equal, count):
    candidates, turns = range(count), -(-count // equal)
    places = [_Place(number, equal) for number in range(equal)]
    tried = [[place.candidate(candidates, turn) for place in places] for turn in range(8 * turns)]
    assert {each for turn in tried[:turns] for each in turn} == set(candidates)
    numbers = Counter(tried[0])
    assert max(numbers.values()) - min(numbers[each] for each in tried[0]) <= 1
    for own in zip(*tried, strict=True):  # the candidates of one layer
        assert len(set(own)) == max(turns, min(2, count, equal))


def test_probes_are_as_few_as_have_all_candidates(fused):
    setting = Setting("nhwc", tune="quick")
    found = probes(fused, (), setting, plain(fused))
    for layout in LAYOUTS:
        most = 8 if layout == "nhwc" else 2
        conv = candidates(fused[1].problem, replace(setting, layout=layout), most)
        tried = [[p.choices[1], p.choices[2]] for p in found if p.layout == layout]
        assert {choice for each in tried for choice in each} == set(conv)
        assert all(len(set(each)) == 2 for each in tried)
    linear = candidates(fused[5].problem, setting, 8)
    blockings = [(p.choices[5].strategy, p.choices[5].blocking) for p in found]
    assert set(blockings[: len(linear)]) == {(c.strategy, c.blocking) for c in linear}
    assert len({probe.choices for probe in found}) == len(found)


def minor_stem(count):
    """Return the steps of a network whose layers have only one equal layer, and a small stem."""
    net = Builder()
    net.add("stem", Convolution.square(16, 3))
    for index in range(count):
        net.add(f"conv{index}", Convolution.square(16 if index == 0 else 256, 3))
    return steps(Network("minor", (1, 3, 16, 16), tuple(net.nodes)))


def test_a_minor_layer_needs_no_probe_for_itself():
    found = minor_stem(12)
    setting = Setting("nhwc", tune="quick")
    stem = candidates(found[0].problem, setting, 8)
    tried = {p.choices[0] for p in probes(found, (), setting, plain(found)) if p.layout == "nhwc"}
    assert len(stem) > 4
    assert tried < set(stem)
    assert {*stem[:4]} <= tried


def test_a_network_without_layouts_has_each_candidate_once(features):
    found = probes(steps(features), (), Setting("nchw", tune="quick"), [""] * 3)
    assert {probe.layout for probe in found} == {"nchw"}
    assert len({probe.choices for probe in found}) == len(found) > 1


def test_named_strategies_in_both_layouts(fused):
    found = probes(fused, ("im2col", "direct", "blas"), SETTING, plain(fused))
    assert {probe.layout for probe in found} == set(LAYOUTS)
    conv = {probe.choices[1].strategy for probe in found if probe.layout == "nhwc"}
    assert conv == {"im2col+passes", "direct+passes"}
    assert {probe.choices[3].strategy for probe in found} == {"auto"}


def test_a_layer_that_every_strategy_refuses(large_filter):
    with pytest.raises(RefusedError, match=r"layer stem .*: winograd needs"):
        probes(steps(large_filter), ("winograd",), SETTING, plain(steps(large_filter)))


def probe(fused, strategy, layout):
    return Probe("p", tuple(LayerChoice(strategy, layout) for _ in fused))


def test_times_are_medians_over_equal_layers(fused):
    names = [step.name for step in fused]
    assert names == ["stem", "conv0", "conv1", "pool", "flatten", "fc"]
    seconds = dict(zip(names, (9.0, 1.0, 3.0, 4.0, 0.0, 6.0), strict=True))
    del seconds["flatten"]
    found = times(fused, [(probe(fused, "x", "nhwc"), seconds)], plain(fused))
    assert found["stem"] == {LayerChoice("x", "nhwc"): 9.0}
    assert found["conv0"] == found["conv1"] == {LayerChoice("x", "nhwc"): 2.0}
    assert found["flatten"] == {LayerChoice("auto", layout): 0.0 for layout in LAYOUTS}


def test_what_has_no_layout_takes_the_same_in_both(fused):
    seconds = dict.fromkeys(("stem", "conv0", "conv1", "pool"), 1.0)
    measured = [
        (probe(fused, "x", "nhwc"), {**seconds, "fc": 5.0}),
        (probe(fused, "x", "nchw"), {**seconds, "fc": 7.0}),
    ]
    found = times(fused, measured, plain(fused))
    assert found["fc"] == {LayerChoice("x", "nchw"): 6.0, LayerChoice("x", "nhwc"): 6.0}
    assert found["stem"] == {LayerChoice("x", "nchw"): 1.0, LayerChoice("x", "nhwc"): 1.0}


def test_a_layer_without_any_time(fused):
    with pytest.raises(RefusedError, match="layer conv0: no strategy has computed it"):
        times(fused, [(probe(fused, "x", "nhwc"), {"stem": 1.0})], plain(fused))
