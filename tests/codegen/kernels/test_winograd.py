"""Winograd's matrices compute a convolution, and the generated transforms apply them."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.codegen.kernels.winograd import ALGORITHMS, InputTransform, OutputTransform
from convprof.codegen.tile_list import kernel
from convprof.dtypes import F32


@pytest.mark.parametrize("m", ALGORITHMS)
def test_the_matrices_compute_a_correlation(m):
    algorithm = ALGORITHMS[m]
    random = np.random.default_rng(m)
    d, g = random.random((m + 2, m + 2)), random.random((3, 3))
    bt, gm, at = (np.array(matrix) for matrix in (algorithm.bt, algorithm.g, algorithm.at))
    actual = at @ ((gm @ g @ gm.T) * (bt @ d @ bt.T)) @ at.T
    expected = [[np.sum(d[i : i + 3, j : j + 3] * g) for j in range(m)] for i in range(m)]
    assert np.allclose(actual, expected, rtol=0, atol=1e-12)


def run(tile, a, c):
    made = kernel(tile, isa.find("native"))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(made.address)
    call(a, None, c.ctypes.data)


@pytest.mark.parametrize("m", ALGORITHMS)
@pytest.mark.parametrize("channels", [1, 15, 16, 35])
def test_the_input_transform_reads_only_pixels_inside_the_image(m, channels):
    size = m + 2
    image = np.random.default_rng(0).random((size, size, channels)).astype("f4")
    spectrum = np.full((size * size, channels), np.nan, "f4")
    rows, columns = (1, size), (0, size - 1)
    tile = InputTransform(
        F32, isa.find("native").lanes(4), m, size * channels, channels, channels, channels,
        rows, columns,
    )  # fmt: skip
    seen = image.copy()
    seen[:1] = seen[:, -1:] = 0
    poisoned = image.copy()
    poisoned[:1] = poisoned[:, -1:] = np.nan
    run(tile, poisoned.ctypes.data, spectrum)
    bt = np.array(ALGORITHMS[m].bt)
    expected = np.einsum("ai,ijc,bj->abc", bt, seen, bt).reshape(size * size, channels)
    assert np.allclose(spectrum, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("m", ALGORITHMS)
def test_the_output_transform_writes_only_outputs_that_exist(m):
    size, channels = m + 2, 21
    products = np.random.default_rng(1).random((size * size, channels)).astype("f4")
    out = np.full((m, m, channels), 7, "f4")
    tile = OutputTransform(
        F32,
        isa.find("native").lanes(4),
        m,
        m * channels,
        channels,
        channels,
        channels,
        m - 1,
        1,
    )
    run(tile, products.ctypes.data, out)
    at = np.array(ALGORITHMS[m].at)
    expected = np.einsum("ai,ijc,bj->abc", at, products.reshape(size, size, channels), at)
    assert np.allclose(out[: m - 1, :1], expected[: m - 1, :1], rtol=0, atol=1e-4)
    assert (out[m - 1 :] == 7).all()
    assert (out[:, 1:] == 7).all()
