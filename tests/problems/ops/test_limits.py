"""Activations held between limits."""

from __future__ import annotations

import math

import pytest

from convprof.errors import ProblemError
from convprof.problems.ops import Clip, HardSigmoid

SHAPE = (2, 3, 4)


@pytest.mark.parametrize(
    ("op", "steps", "text"),
    [
        (Clip(-1.0, 1.0), 2, "clip -1..1"),
        (Clip(0.5), 1, "clip 0.5.."),
        (Clip(None, 0.5), 1, "clip ..0.5"),
        (HardSigmoid(), 4, "hardsigmoid 0.2x+0.5"),
        (HardSigmoid(0.25, -1.0), 4, "hardsigmoid 0.25x-1"),
    ],
)
def test_costs(op, steps, text):
    assert (op.output(SHAPE), op.text) == (SHAPE, text)
    assert op.flops(SHAPE) == steps * 24
    assert (op.parameters(SHAPE), op.macs(SHAPE)) == (0, 0)


@pytest.mark.parametrize(
    "limits", [(None, None), (1.0, 1.0), (2.0, 1.0), (math.nan, None), (None, math.inf)]
)
def test_impossible_limits(limits):
    with pytest.raises(ProblemError, match="use a finite lower limit"):
        Clip(*limits)


def test_a_line_that_is_not_finite():
    with pytest.raises(ProblemError, match="beta=inf: must be finite"):
        HardSigmoid(0.2, math.inf)
