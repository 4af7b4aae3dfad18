from __future__ import annotations

import math
from types import SimpleNamespace

from convprof.measure.stopwatch import Sample
from convprof.networks.steps import steps
from convprof.problems import LayoutConversion
from convprof.strategies.base import Setting
from convprof.studies.network.probe import Conversions


def conversions(network):
    own = steps(network)
    return Conversions(network, own, Setting("nhwc"), [""] * len(own))


def test_results_of_bytes_are_converted_as_bytes(residual):
    own = steps(residual)
    setting = Setting("nhwc", "u8:s8:s32")
    dtypes = ["u8:s8:u8" if step.name.startswith("conv") else "f32" for step in own]
    asked = {c.setting.dtype for c in Conversions(residual, own, setting, dtypes).contestants}
    assert asked == {"u8", "f32"}


def test_each_different_image_in_both_directions(residual):
    found = conversions(residual)
    asked = {(c.problem, c.setting.layout) for c in found.contestants}
    shapes = {(1, 3, 8, 8), (1, 8, 8, 8), (1, 8, 1, 1)}  # the input, all between, the pooled one
    reorders = {LayoutConversion(n=n, c=c, h=h, w=w) for n, c, h, w in shapes}
    assert asked == {(r, layout) for r in reorders for layout in ("nchw", "nhwc")}


def test_seconds_by_name_and_what_was_not_measured(residual):
    found = conversions(residual)
    one = next(c for c in found.contestants if c.problem.c == 3 and c.setting.layout == "nchw")
    samples = {number: Sample(s, None, None) for number, s in enumerate((3.0, 1.0, 2.0))}
    seconds = found.seconds([SimpleNamespace(contestant=one, samples=samples)])
    assert seconds["input", "nchw"] == 2.0
    assert math.isinf(seconds["input", "nhwc"])
    assert math.isinf(seconds["conv0", "nchw"])


def test_a_network_without_images_has_none(features):
    found = conversions(features)
    assert (found.contestants, found.seconds([])) == ([], {})
