"""Powers of two, held against NumPy's in higher precision."""

from __future__ import annotations

import numpy as np
import pytest
from vector_code import computed

from convprof.codegen import isa
from convprof.codegen.kernels.exp2 import LONG, SHORT, exp2

KINDS = {"f32": np.float32, "f64": np.float64}
WIDER = {"f32": np.float64, "f64": np.longdouble}
each_isa = pytest.mark.parametrize("name", isa.widths() or ("native",))
each_dtype = pytest.mark.parametrize("dtype", KINDS)


def powers(x, dtype, name):
    """Return ``2**x`` by the generated code, vector by vector."""
    return computed(exp2, x, dtype, name)


@each_isa
@each_dtype
def test_within_two_and_a_half_units_of_the_last_place(dtype, name):
    random = np.random.default_rng(0)
    parts = [random.uniform(-90, 0, 4000), random.uniform(-2, 1, 4000), np.arange(-4, 4, 0.125)]
    x = np.concatenate(parts).astype(KINDS[dtype])
    expected = np.exp2(x.astype(WIDER[dtype]))
    if WIDER[dtype] is np.longdouble and np.finfo(np.longdouble).nmant < 60:
        pytest.skip("no wider type here to compare with")
    y = powers(x, dtype, name)
    units = np.abs(y.astype(WIDER[dtype]) - expected) / np.spacing(y)
    assert units.max() < 2.5


@each_dtype
def test_whole_powers_are_exact(dtype):
    x = np.arange(-90, 100).astype(KINDS[dtype])
    np.testing.assert_array_equal(
        np.ldexp(KINDS[dtype](1), x.astype(int)), powers(x, dtype, "native")
    )


@each_dtype
def test_what_is_too_small_counts_as_the_limit_and_nan_stays(dtype):
    least = {"f32": -100, "f64": -900}[dtype]
    x = np.array([least, least - 1, -1e30, -np.inf, np.nan], KINDS[dtype])
    y = powers(x, dtype, "native")
    np.testing.assert_array_equal(np.full(4, np.ldexp(1.0, least)), y[:4])
    assert np.isnan(y[4])


@pytest.mark.parametrize(("coefficients", "largest"), [(SHORT, 9.3e-8), (LONG, 1e-15)])
def test_the_polynomials(coefficients, largest):
    r = np.linspace(-0.5, 0.5, 1001)
    value = np.polynomial.Polynomial(coefficients)(r)
    assert np.max(np.abs(value / np.exp2(r) - 1)) < largest
