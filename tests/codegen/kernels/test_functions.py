"""Functions of one element, held against float64 and against their limits."""

from __future__ import annotations

import numpy as np
import pytest
from vector_code import computed

from convprof.codegen import isa
from convprof.codegen.kernels.functions import apply
from convprof.problems.epilogue import STEPS
from convprof.problems.functions import FUNCTIONS

KINDS = {"f32": np.float32, "f64": np.float64}
BOUND = {"f32": 1e-6, "f64": 2e-14}
LIMITS = {
    "relu": (0, np.inf),
    "relu6": (0, 6),
    "gelu": (0, np.inf),
    "gelu_tanh": (0, np.inf),
    "silu": (0, np.inf),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "hardsigmoid": (0, 1),
    "hardswish": (0, np.inf),
}
"""At minus and plus infinity."""
each_function = pytest.mark.parametrize("function", STEPS)
each_isa = pytest.mark.parametrize("name", isa.widths() or ("native",))
each_dtype = pytest.mark.parametrize("dtype", KINDS)


def values(function, x, dtype, name="native"):
    """Return the function of ``x`` by the generated code, vector by vector."""
    return computed(lambda w, value: apply(w, function, value), x, dtype, name)


@each_function
@each_isa
@each_dtype
@pytest.mark.parametrize("reach", [1e-3, 1.0, 12.0, 100.0])
def test_close_to_float64_at_every_scale(function, dtype, name, reach):
    x = np.random.default_rng(0).uniform(-reach, reach, 3000).astype(KINDS[dtype])
    expected = FUNCTIONS[function](x.astype(np.float64))
    error = np.abs(values(function, x, dtype, name) - expected).max()
    assert error <= BOUND[dtype] * np.abs(expected).max()


@pytest.mark.parametrize("function", ["gelu", "silu"])
@each_dtype
def test_a_tail_alone_keeps_its_accuracy(function, dtype):
    x = np.linspace(-5.0, -4.0, 200).astype(KINDS[dtype])
    expected = FUNCTIONS[function](x.astype(np.float64))
    if function == "gelu":  # 1 + erf loses what erfc keeps
        import math

        expected = np.array([0.5 * float(a) * math.erfc(-float(a) / math.sqrt(2)) for a in x])
    error = np.abs(values(function, x, dtype) - expected).max() / np.abs(expected).max()
    assert error <= 2 * BOUND[dtype]


@each_dtype
def test_tanh_of_the_smallest_is_what_it_was(dtype):
    x = np.array([1e-30, -1e-20, 1e-10, 0.0], KINDS[dtype])
    np.testing.assert_allclose(values("tanh", x, dtype), x, rtol=BOUND[dtype])


@each_function
@each_isa
@each_dtype
def test_infinite_and_huge_arguments_have_the_limits(function, dtype, name):
    below, above = LIMITS[function]
    huge = np.finfo(KINDS[dtype]).max
    y = values(function, np.array([-np.inf, np.inf, -huge, -1e30], KINDS[dtype]), dtype, name)
    assert y[1] == above
    np.testing.assert_allclose([below] * 3, y[[0, 2, 3]], rtol=0, atol=1e-35)
    if np.isfinite(above):
        assert values(function, np.array([huge], KINDS[dtype]), dtype, name) == [above]


@each_function
@each_isa
@each_dtype
def test_nan_stays_nan(function, dtype, name):
    x = np.array([np.nan, -np.nan, 0.0], KINDS[dtype])
    np.testing.assert_array_equal([True, True, False], np.isnan(values(function, x, dtype, name)))
