"""The kernels around the products of attention, each against NumPy."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.codegen.kernels.attention import (
    FACTOR,
    MAXIMUM,
    SUM,
    PackMask,
    PackQueries,
    ScaleRows,
    Softmax,
    Triangle,
)
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.tile_list import kernel
from convprof.dtypes import DTYPES, F32, Types

each_isa = pytest.mark.parametrize("name", isa.widths() or ("native",))


def run(tile, name, *arrays):
    made = kernel(tile, isa.find(name))
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(made.address)(
        *(None if array is None else array.ctypes.data for array in arrays)
    )


def common(name):
    found = isa.find(name)
    return {"types": F32, "lanes": found.lanes(4), "fused": found.fused}


@each_isa
@pytest.mark.parametrize(("queries", "dim"), [(1, 1), (5, 16), (16, 37), (33, 20)])
def test_queries_are_transposed_scaled_and_padded_with_zeros(queries, dim, name):
    lanes = common(name)["lanes"]
    width = -(-queries // lanes) * lanes
    q = np.random.default_rng(0).random((queries, dim + 3)).astype("f4")
    packed = np.full((dim + 1, width), np.nan, "f4")
    run(
        PackQueries(
            queries=queries, width=width, dim=dim, row=dim + 3, scale=0.3, **common(name)
        ),
        name, q, None, packed,
    )  # fmt: skip
    np.testing.assert_array_equal((q[:, :dim] * np.float32(0.3)).T, packed[:dim, :queries])
    assert (packed[:dim, queries:] == 0).all()
    assert np.isnan(packed[dim]).all()


@each_isa
def test_short_queries_are_widened(name):
    types = replace(F32, source=DTYPES["bf16"], weights=DTYPES["bf16"])
    q = np.random.default_rng(0).random((5, 21)).astype(types.source.array_type)
    packed = np.full((21, 16), np.nan, "f4")
    settings = common(name) | {"types": types}
    run(PackQueries(queries=5, width=16, dim=21, row=21, **settings), name, q, None, packed)
    np.testing.assert_array_equal(q.T.astype("f4"), packed[:, :5])
    assert (packed[:, 5:] == 0).all()


@each_isa
def test_a_mask_is_transposed_and_its_low_numbers_are_finite(name):
    lowest = F32.source.lowest
    mask = np.array([[0.5, lowest, -np.inf, -1e4], [0, 0, 0, lowest]], "f4")
    packed = np.full((4, 16), np.nan, "f4")
    run(
        PackMask(queries=2, width=16, dim=4, row=4, scale=8.0, **common(name)),
        name, mask, None, packed,
    )  # fmt: skip
    expected = np.maximum(8.0 * mask.astype("f8"), lowest / 2)
    np.testing.assert_allclose(packed[:, :2], expected.T, rtol=1e-6)
    repeated = np.full((4, 16), np.nan, "f4")
    run(PackMask(queries=16, width=16, dim=4, row=0, **common(name)), name, mask, None, repeated)
    expected = np.maximum(mask[0], lowest / 2)[:, None].repeat(16, axis=1)
    np.testing.assert_allclose(repeated, expected, rtol=1e-6)


@each_isa
def test_keys_after_a_query_are_low(name):
    keys, width = 40, 32
    scores = np.full((keys, width), np.nan, "f4")
    run(Triangle(keys=keys, width=width, diagonal=3, **common(name)), name, None, None, scores)
    after = np.arange(keys)[:, None] >= np.arange(width) + 3
    np.testing.assert_array_equal(scores, np.where(after, np.float32(F32.source.lowest / 2), 0))


@each_isa
@pytest.mark.parametrize("keys", [1, 3, 4, 5, 11])
def test_the_softmax_goes_on_from_block_to_block(keys, name):
    settings = common(name)
    vectors, width = 2, 3 * settings["lanes"]
    here = vectors * settings["lanes"]
    random = np.random.default_rng(keys)
    blocks = random.uniform(-45, 45, (3, keys, width)).astype("f4")
    numbers = np.full((3, width), np.nan, "f4")
    weights = blocks.copy()
    for index, block in enumerate(weights):
        before = numbers.copy()
        softmax = Softmax(keys=keys, vectors=vectors, width=width, first=index == 0, **settings)
        run(softmax, name, block, numbers, block)
        seen = blocks[: index + 1, :, :here].astype("f8")
        largest = seen.max(axis=(0, 1))
        np.testing.assert_array_equal(largest, numbers[MAXIMUM, :here])
        sums = np.exp2(seen - largest).sum(axis=(0, 1))
        np.testing.assert_allclose(numbers[SUM, :here], sums, rtol=1e-6)
        below = blocks[index, :, :here] - largest.astype("f4")
        np.testing.assert_allclose(block[:, :here], np.exp2(below.astype("f8")), rtol=1e-6)
        if index:
            down = before[MAXIMUM, :here] - largest.astype("f4")
            factor = np.exp2(down.astype("f8"))
            np.testing.assert_allclose(numbers[FACTOR, :here], factor, rtol=1e-6)
        np.testing.assert_array_equal(blocks[index, :, here:], block[:, here:])
        assert np.isnan(numbers[:, here:]).all()


@each_isa
@pytest.mark.parametrize("keys", [1, 2, 5])
def test_short_powers_are_pairs_in_the_memory_of_the_scores(keys, name):
    short = DTYPES["bf16"]
    settings = common(name) | {"types": Types(short, short, DTYPES["f32"], short)}
    width = 3 * settings["lanes"]
    here = 2 * settings["lanes"]
    scores = np.random.default_rng(keys).uniform(-3, 3, (keys, width)).astype("f4")
    block, numbers = scores.copy(), np.full((3, width), np.nan, "f4")
    softmax = Softmax(keys=keys, vectors=2, width=width, scale=0.5, first=True, **settings)
    run(softmax, name, block, numbers, block)
    powers = np.exp2(0.5 * (scores - scores.max(axis=0)).astype("f8"))[:, :here]
    np.testing.assert_allclose(numbers[SUM, :here], powers.sum(axis=0), rtol=1e-6)
    stored = block.ravel().view(short.array_type)[: 2 * width * -(-keys // 2)]
    rows = stored.reshape(-1, width, 2).swapaxes(1, 2).reshape(-1, width)[:, :here]
    np.testing.assert_allclose(rows[:keys].astype("f8"), powers, rtol=short.epsilon)
    assert (rows[keys:] == 0).all()


@each_isa
def test_short_powers_of_nan_are_nan(name):
    short = DTYPES["bf16"]
    settings = common(name) | {"types": Types(short, short, DTYPES["f32"], short)}
    width = settings["lanes"]
    block, numbers = np.zeros((4, width), "f4"), np.full((3, width), np.nan, "f4")
    block[:, 1] = np.nan, -np.nan, np.nan, 0
    run(
        Softmax(keys=4, vectors=1, width=width, first=True, **settings), name, block, numbers, block
    )
    stored = block.ravel().view(short.array_type)[: 4 * width].reshape(2, width, 2)
    assert np.isnan(stored[:, 1].astype("f4")).ravel().tolist() == [True, True, True, False]
    assert np.isnan(numbers[SUM]).tolist() == [lane == 1 for lane in range(width)]
    assert (stored[:, 0] == 1).all()


@each_isa
@pytest.mark.parametrize("short", ["bf16", "f16"])
def test_rows_are_scaled_and_rounded_once(short, name):
    dtype = DTYPES[short]
    if short == "f16" and not isa.find(name).converts_f16:
        pytest.skip("no F16C")
    random = np.random.default_rng(1)
    numbers = random.uniform(1, 2, (3, 16)).astype("f4")
    a, y = random.random((4, 21)).astype("f4"), np.zeros((4, 23), dtype.array_type)
    settings = common(name) | {"types": Types(dtype, dtype, DTYPES["f32"], dtype)}
    tile = ScaleRows(rows=4, width=16, dim=21, a_row=21, c_row=23, finish=True, **settings)
    run(tile, name, a, numbers, y)
    expected = (a * (1 / numbers[SUM, :4, None])).astype(dtype.array_type)
    np.testing.assert_array_equal(expected, y[:, :21])
    assert (y[:, 21:] == 0).all()


@each_isa
@pytest.mark.parametrize("dim", [1, 16, 21])
@pytest.mark.parametrize("finish", [False, True])
def test_rows_are_scaled(dim, finish, name):
    rows, width = 5, 16
    random = np.random.default_rng(0)
    numbers = random.uniform(1, 2, (3, width)).astype("f4")
    y = random.random((rows + 1, dim + 2)).astype("f4")
    factor = 1 / numbers[SUM] if finish else numbers[FACTOR].copy()
    expected = y.copy()
    expected[:rows, :dim] *= factor[:rows, None]
    row = dim + 2
    tile = ScaleRows(
        rows=rows, width=width, dim=dim, a_row=row, c_row=row, finish=finish, **common(name)
    )
    run(tile, name, y, numbers, y)
    np.testing.assert_array_equal(expected, y)


@each_isa
@pytest.mark.parametrize("steps", [3, 32, 50])
def test_a_tile_reads_transposed_rows(steps, name):
    settings = common(name)
    lanes = settings["lanes"]
    random = np.random.default_rng(1)
    a, b = random.random((steps, 7)).astype("f4"), random.random((steps, lanes)).astype("f4")
    c = np.empty((5, lanes), "f4")
    tile = Tile(
        rows=tuple(range(5)), a_step=7, segments=((0, 0),), run=steps, vectors=1, b_row=lanes,
        c_rows=tuple(i * lanes for i in range(5)), columns=lanes, **settings,
    )  # fmt: skip
    run(tile, name, a, b, c)
    np.testing.assert_allclose(c, a[:, :5].T.astype("f8") @ b, rtol=1e-5)
