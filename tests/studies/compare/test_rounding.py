"""The error of rounding operands to a type."""

from __future__ import annotations

import pytest

from convprof.dtypes import types
from convprof.problems.grouped_weights import GroupedWeights
from convprof.studies.compare.rounding import rounding_error


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [
        ("f32", 1e-8, 1e-6),
        ("f16", 2.0**-13, 2.0**-10),
        ("bf16", 2.0**-10, 2.0**-7),
        ("bf16:bf16:f32", 2.0**-11, 2.0**-8),
        ("u8:s8:s32", 1e-3, 3e-2),
        ("u8:s8:u8", 4e-3, 3e-2),
    ],
)
def test_the_error_follows_from_the_type(dtype, least, most):
    for terms in (64, 4096):
        assert least < rounding_error(types(dtype), terms) < most


@pytest.mark.parametrize(("bits", "least", "most"), [("int8", 1e-3, 1e-2), ("int4", 2e-2, 2e-1)])
def test_weights_in_groups(bits, least, most):
    for terms in (100, 128, 1000):
        error = rounding_error(types("f32"), terms, 0, GroupedWeights(bits, 128))
        assert least < error < most


def test_integers_of_the_same_step_are_exact():
    """One term: every operand is its own column's largest, so only the source is rounded."""
    error = rounding_error(types("s8:s8:s32"), 1)
    assert 0 < error < 1 / 127
