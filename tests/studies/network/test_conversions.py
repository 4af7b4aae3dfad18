from __future__ import annotations

import math
from types import SimpleNamespace

from convprof.measure.stopwatch import Sample
from convprof.networks.steps import steps
from convprof.problems import LayoutConversion
from convprof.strategies.base import Setting
from convprof.studies.network.probe import Conversions


def test_each_different_image_in_both_directions(residual):
    found = Conversions(residual, steps(residual), Setting("nhwc"))
    asked = {(c.problem, c.setting.layout) for c in found.contestants}
    shapes = {(1, 3, 8, 8), (1, 8, 8, 8), (1, 8, 1, 1)}  # the input, all between, the pooled one
    reorders = {LayoutConversion(n=n, c=c, h=h, w=w) for n, c, h, w in shapes}
    assert asked == {(r, layout) for r in reorders for layout in ("nchw", "nhwc")}


def test_seconds_by_name_and_what_was_not_measured(residual):
    found = Conversions(residual, steps(residual), Setting("nhwc"))
    one = next(c for c in found.contestants if c.problem.c == 3 and c.setting.layout == "nchw")
    samples = {number: Sample(s, None, None) for number, s in enumerate((3.0, 1.0, 2.0))}
    seconds = found.seconds([SimpleNamespace(contestant=one, samples=samples)])
    assert seconds["input", "nchw"] == 2.0
    assert math.isinf(seconds["input", "nhwc"])
    assert math.isinf(seconds["conv0", "nchw"])


def test_a_network_without_images_has_none(features):
    found = Conversions(features, steps(features), Setting("nhwc"))
    assert (found.contestants, found.seconds([])) == ([], {})
