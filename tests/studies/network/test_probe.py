from __future__ import annotations

import pytest

from convprof.errors import RefusedError
from convprof.networks.fold import folded
from convprof.networks.steps import steps
from convprof.problems.layouts import LAYOUTS
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import LayerChoice
from convprof.strategies.networks.recipe import Recipe
from convprof.studies.network.probe import Probe, probes, times

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


def test_equal_layers_have_equal_choices(fused):
    for probe in probes(fused, (), SETTING, plain(fused)):
        assert probe.choices[1] == probe.choices[2]


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
