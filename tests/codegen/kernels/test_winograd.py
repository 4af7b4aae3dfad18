"""Winograd's matrices compute a convolution, and the generated transforms apply them."""

from __future__ import annotations

import ctypes
import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.codegen.kernels.winograd import InputTransform, OutputTransform
from convprof.codegen.kernels.winograd_matrices import quotient
from convprof.codegen.kernels.winograd_tables import (
    ALGORITHMS,
    WHOLE_ALGORITHMS,
    WHOLE_BITS,
    algorithms,
    axes,
)
from convprof.codegen.tile_list import kernel
from convprof.dtypes import DTYPES, F32, types
from convprof.strategies.conv.winograd_types import stage_types

TABLED = [*ALGORITHMS.values(), *WHOLE_ALGORITHMS.values()]
EVERY = [*TABLED, *(each.narrower for each in TABLED if each.narrower)]
WHOLE_SIZES = [(2, 2), (4, 4), (3, 3), (4, 3), (3, 4)]
SIZES = [*WHOLE_SIZES, (6, 6), (5, 6)]
"""Outputs of tiles, down and across."""


def matrices(name, m, table=ALGORITHMS):
    """Return a matrix down and across."""
    return (np.array(getattr(table.get(each) or table[each + 1].narrower, name)) for each in m)


def frequencies(m):
    """Return the places of a tile's frequencies among all, and their number in each dimension."""
    down, across = matrices("places", m)
    return np.ix_(down, across), 1 + across[-1]


def product(steps):
    """Return the matrix of steps that are applied one after the other."""
    return functools.reduce(lambda before, step: np.array(step) @ before, map(np.array, steps))


@pytest.mark.parametrize("algorithm", EVERY, ids=lambda each: f"m{each.m}x{each.factor}")
def test_the_matrices_compute_a_correlation(algorithm):
    m = algorithm.m
    random = np.random.default_rng(m)
    d, g = random.random((m + 2, m + 2)), random.random((3, 3))
    bt, gm, at = (np.array(matrix) for matrix in (algorithm.bt, algorithm.g, algorithm.at))
    actual = at @ ((gm @ g @ gm.T) * (bt @ d @ bt.T)) @ at.T
    expected = [[np.sum(d[i : i + 3, j : j + 3] * g) for j in range(m)] for i in range(m)]
    assert np.allclose(actual / algorithm.factor**2, expected, rtol=0, atol=1e-12)
    (phase,) = algorithm.phases
    assert np.array_equal(product(phase.steps), bt)
    assert phase.additions <= replace(algorithm, bt_steps=()).phases[0].additions


FILTERS = [(2, 1), (3, 2), (4, 2), (5, 2), (7, 2), (1, 2), (8, 3), (11, 4)]
"""Taps of filters, and strides."""


@pytest.mark.parametrize(("r", "stride"), FILTERS)
@pytest.mark.parametrize("dtype", ["f32", "s32"])
def test_the_phases_of_a_filter_add_up_to_its_correlation(r, stride, dtype):
    random = np.random.default_rng(r)
    for wide in algorithms(DTYPES[dtype], r, stride).values():
        for algorithm in filter(None, (wide, wide.narrower)):
            d, g = random.random(algorithm.inputs), random.random(r)
            products = np.zeros(algorithm.size)
            for phase in algorithm.phases:
                inputs = d[phase.first :: stride][: phase.inputs]
                taps = g[phase.first :: stride]
                products[: phase.size] += (np.array(phase.g) @ taps) * (
                    product(phase.steps) @ inputs
                )
            expected = [d[stride * i : stride * i + r] @ g for i in range(algorithm.m)]
            actual = np.array(algorithm.at) @ products / algorithm.factor
            assert np.allclose(actual, expected, rtol=0, atol=1e-12)
            assert algorithm.elements == sum(len(phase.g) for phase in algorithm.phases)


def test_phases_of_stride_two_have_fewer_products_than_the_taps():
    """25 frequencies of four, two or one phases: 81 products for 16 outputs instead of 144."""
    four = algorithms(DTYPES["f32"], 3, 2)[4]
    assert four.phases_at == (2, 2, 2, 2, 1)
    assert four.elements**2 == 81
    assert sum(i * j for i in four.phases_at for j in four.phases_at) == 81


STEPPED = [*FILTERS, (3, 1)]
WHOLE_AXES = [
    (down, across, both)
    for down in STEPPED
    for across in STEPPED
    for both in axes(DTYPES["s32"], *zip(down, across, strict=True)).values()
]


def signed_sums(algorithm, which):
    """Return the sums of the positive and the negative numbers of rows, of all phases."""
    tiles = [each for each in (algorithm, algorithm.narrower) if each]
    every = [getattr(phase, which) for tile in tiles for phase in tile.phases]
    matrices = [product(each) if which == "steps" else np.array(each) for each in every]
    return {(row[row > 0].sum(), -row[row < 0].sum()) for each in matrices for row in each}


def largest(both, which, low, high):
    """Return the largest transformed number, down and across, of numbers from low to high."""
    found = 0
    for down, across in itertools.product(*(signed_sums(each, which) for each in both)):
        same = down[0] * across[0] + down[1] * across[1]
        opposite = down[0] * across[1] + down[1] * across[0]
        found = max(found, same * high - opposite * low, opposite * high - same * low)
    return found


def test_every_pair_of_whole_algorithms_fits_16_bits():
    """Bytes of either sign, whole and narrower tiles, and two bits at most are lost in results."""
    assert len({(down, across) for down, across, _ in WHOLE_AXES}) == len(STEPPED) ** 2
    images, filters = [], []
    for _, _, both in WHOLE_AXES:
        assert quotient(both[0].factor * both[1].factor)[1] <= 32 - WHOLE_BITS
        images += [largest(both, "steps", 0, 255), largest(both, "steps", -128, 127)]
        filters.append(largest(both, "g", -128, 127))
    assert max(images) == 98 * 255 < 1 << 15
    assert max(filters) == 15**2 * 128 < 1 << 15


@pytest.mark.parametrize("m", WHOLE_SIZES)
def test_transformed_bytes_and_filters_fit_16_bits(m):
    down, across = matrices("bt", m, WHOLE_ALGORITHMS)
    up = np.outer(np.maximum(down, 0).sum(axis=1), np.maximum(across, 0).sum(axis=1))
    up += np.outer(np.maximum(-down, 0).sum(axis=1), np.maximum(-across, 0).sum(axis=1))
    every = np.outer(np.abs(down).sum(axis=1), np.abs(across).sum(axis=1))
    assert 255 * np.maximum(up, every - up).max() < 1 << 15
    assert 128 * every.max() < 1 << 15
    assert all(
        128 * np.abs(g).sum(axis=1).max() ** 2 < 1 << 15 for g in matrices("g", m, WHOLE_ALGORITHMS)
    )


@pytest.mark.parametrize("algorithm", TABLED, ids=lambda each: f"m{each.m}x{each.factor}")
def test_a_narrower_tile_uses_the_same_filters(algorithm):
    assert algorithm.factor == 1 or algorithm.factor**2 % 8 == 4, "of 32 bits, results lose two"
    narrower = algorithm.narrower
    if narrower:
        assert narrower.g == tuple(algorithm.g[place] for place in narrower.places)
        assert narrower.factor == algorithm.factor


def run(tile, a, c, b=None):
    compiled = kernel(tile, isa.find("native"))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(compiled.address)
    call(a, b, c.ctypes.data)


@pytest.mark.parametrize(
    ("m", "channels"),
    [*(((4, 4), channels) for channels in (1, 15, 16)), *((m, 35) for m in SIZES)],
)
def test_the_input_transform_reads_only_pixels_inside_the_image(m, channels):
    size, (places, grid) = m[0] + 2, frequencies(m)
    image = np.random.default_rng(0).random((size, m[1] + 2, channels)).astype("f4")
    spectrum = np.full((grid * grid, channels), np.nan, "f4")
    rows, columns = (1, size), (0, m[1] + 1)
    tile = InputTransform(
        F32, isa.find("native").lanes(4), m, (m[1] + 2) * channels, channels, channels, channels,
        rows, columns,
    )  # fmt: skip
    seen = image.copy()
    seen[:1] = seen[:, -1:] = 0
    poisoned = image.copy()
    poisoned[:1] = poisoned[:, -1:] = np.nan
    run(tile, poisoned.ctypes.data, spectrum)
    down, across = matrices("bt", m)
    expected = np.full((grid, grid, channels), np.nan)
    expected[places] = np.einsum("ai,ijc,bj->abc", down, seen, across)
    expected = expected.reshape(grid * grid, channels)
    assert np.allclose(spectrum, expected, rtol=0, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(
    ("filters", "stride"), [((3, 3), (2, 2)), ((7, 5), (2, 2)), ((3, 4), (1, 3))]
)
def test_each_phase_has_a_place_of_its_own(filters, stride):
    """Phases of a frequency are neighbours, also where a frequency has fewer."""
    for m, both in axes(F32.accumulator, filters, stride).items():
        down, across = both
        channels, depth = 5, 6
        image = np.random.default_rng(m).random((down.inputs, across.inputs, channels)).astype("f4")
        row = len(down.phases) * len(across.phases) * depth
        spectrum = np.full((down.size, across.size, row), np.nan, "f4")
        tile = InputTransform(
            F32, isa.find("native").lanes(4), (m, m), across.inputs * channels, channels, channels,
            row, (0, down.inputs), (0, across.inputs), depth,
            filters=filters, stride=stride, whole=m,
        )  # fmt: skip
        run(tile, image.ctypes.data, spectrum)
        for i in range(down.size):
            for j in range(across.size):
                expected = [
                    np.einsum(
                        "i,ijc,j->c",
                        product(y.steps)[i],
                        image[y.first :: stride[0], x.first :: stride[1]][: y.inputs, : x.inputs],
                        product(x.steps)[j],
                    )
                    for y in down.phases[: down.phases_at[i]]
                    for x in across.phases[: across.phases_at[j]]
                ]
                found = spectrum[i, j, : len(expected) * depth].reshape(-1, depth)[:, :channels]
                assert np.allclose(found, expected, rtol=0, atol=1e-3)
                assert np.isnan(spectrum[i, j, len(expected) * depth :]).all()


@pytest.mark.parametrize("m", SIZES)
def test_the_output_transform_writes_only_outputs_that_exist(m):
    (places, grid), channels, (high, wide) = frequencies(m), 21, m
    products = np.random.default_rng(1).random((grid, grid, channels)).astype("f4")
    out = np.full((high, wide, channels), 7, "f4")
    tile = OutputTransform(
        F32,
        isa.find("native").lanes(4),
        m,
        wide * channels,
        channels,
        channels,
        channels,
        high - 1,
        1,
    )
    run(tile, products.ctypes.data, out)
    down, across = matrices("at", m)
    expected = np.einsum("ai,ijc,bj->abc", down, products[places], across)
    assert np.allclose(out[: high - 1, :1], expected[: high - 1, :1], rtol=0, atol=1e-4)
    assert (out[high - 1 :] == 7).all()
    assert (out[:, 1:] == 7).all()


BYTES = types("u8:s8:u8")


@pytest.mark.parametrize("m", WHOLE_ALGORITHMS)
def test_bytes_are_transformed_exactly_with_the_padding_that_is_read(m):
    size, channels = m + 2, 37
    of, zero = stage_types(BYTES).transform_in, np.array([200, 0, 0], "i4")
    image = np.random.default_rng(0).integers(0, 256, (size, size, channels)).astype("u1")
    spectrum = np.full((size * size, channels), 7, "i2")
    tile = InputTransform(
        of, isa.find("native").lanes(2), (m, m), size * channels, channels, channels, channels,
        (1, size), (0, size - 1), reads_padding=True,
    )  # fmt: skip
    run(tile, image.ctypes.data, spectrum, zero.ctypes.data)
    image[:1] = image[:, -1:] = zero[0]
    bt = np.array(WHOLE_ALGORITHMS[m].bt)
    expected = np.einsum("ai,ijc,bj->abc", bt, image.astype("i4"), bt)
    assert np.array_equal(spectrum, expected.reshape(size * size, channels))


@pytest.mark.parametrize("m", WHOLE_ALGORITHMS)
def test_whole_results_are_divided_exactly_up_to_the_largest(m):
    """Sums are known modulo 2**32 only, and the sums of large results overflow."""
    channels, factor = 16, WHOLE_ALGORITHMS[m].factor
    most = (1 << 29) - 1
    results = np.linspace(-most, most, channels).astype("i8")
    results[-2:] = most, -most - 1
    products = np.zeros(((m + 2) ** 2, channels), "i4")
    products[0] = (results * factor**2).astype("u8").astype("u4").view("i4")
    out = np.zeros((1, channels), "i4")
    tile = OutputTransform(
        stage_types(types("int8")).transform_out, isa.find("native").lanes(4), (m, m),
        channels, channels, channels, channels, 1, 1,
    )  # fmt: skip
    run(tile, products.ctypes.data, out)
    assert np.array_equal(out[0], results)
