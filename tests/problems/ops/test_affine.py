"""A factor and a term for every element."""

from __future__ import annotations

import math

import pytest

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems.ops import Affine

SHAPE = (2, 3, 4)


@pytest.mark.parametrize(
    ("op", "steps"), [(Affine(), 0), (Affine(2.0), 1), (Affine(term=3.0), 1), (Affine(2.0, 3.0), 2)]
)
def test_costs(op, steps):
    assert op.output(SHAPE) == SHAPE
    assert op.flops(SHAPE) == steps * 24
    assert (op.parameters(SHAPE), op.macs(SHAPE)) == (0, 0)
    assert op.bytes_min(F32, SHAPE) == 2 * 4 * 24


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_not_finite(number):
    with pytest.raises(ProblemError, match=r"factor=.*must be finite"):
        Affine(number)
    with pytest.raises(ProblemError, match=r"term=.*must be finite"):
        Affine(term=number)
