"""The kernels around the products of attention of bytes, each against NumPy."""

from __future__ import annotations

import ctypes
import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from other_cpus import ARM_TRIPLE, X86_TRIPLE, assembly

from convprof.codegen import disassembly, isa
from convprof.codegen.architecture import ARM, X86
from convprof.codegen.kernels import attention_bytes as kernels
from convprof.codegen.kernels import ways
from convprof.codegen.kernels.attention import FACTOR, MAXIMUM, SUM
from convprof.codegen.kernels.attention_byte_rows import ByteRowDots
from convprof.codegen.kernels.attention_bytes import (
    EXPONENT,
    LEAST,
    NUMBERS,
    ByteSoftmax,
    JoinRows,
    MaskUnits,
    SpreadFactors,
)
from convprof.codegen.kernels.exp2 import OF_BYTES
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import kernel
from convprof.dtypes import DTYPES, F32, Types, of_one
from convprof.problems.attention_bytes import FAR
from convprof.strategies.attention.forms import form

each_isa = pytest.mark.parametrize("name", isa.widths() or ("native",))
INSIDE = Types(DTYPES["u8"], DTYPES["s8"], DTYPES["s32"], DTYPES["s32"])


def outside(result):
    return Types(DTYPES["s8"], DTYPES["s8"], DTYPES["s32"], DTYPES[result])


def run(tile, name, *arrays):
    made = kernel(tile, isa.find(name))
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(made.address)(
        *(None if array is None else array.ctypes.data for array in arrays)
    )


def common(name, types=INSIDE):
    found = isa.find(name)
    return {"types": types, "lanes": found.lanes(4), "fused": found.fused}


def factors(exponent=0.0, of_masks=0.0, of_results=1.0, limits=(0, 0), zero=0):
    words = np.array([exponent, of_masks, of_results, *limits, 0], np.float32)
    words.view(np.int32)[kernels.ZERO] = zero
    return words


def numbers_for(width, words, name):
    """The numbers of a block of queries: the factors spread, and the rest unknown."""
    numbers = np.full((NUMBERS + 8) * width, np.nan, np.float32)
    run(SpreadFactors(width=width, **common(name, F32)), name, words, None, numbers)
    return numbers


@each_isa
def test_factors_are_spread_behind_the_numbers(name):
    words = factors(0.25, 3, 5, (-7, 8), zero=-9)
    numbers = numbers_for(32, words, name)
    rows = numbers[: NUMBERS * 32].reshape(NUMBERS, 32)
    assert (rows[EXPONENT] == 0.25).all()
    assert (rows[LEAST] == -400).all()
    assert np.isnan(rows[: FACTOR + 1]).all()
    assert numbers[NUMBERS * 32 :][: kernels.WORDS].tobytes() == words.tobytes()


@each_isa
def test_a_mask_in_units_is_transposed_cut_and_limited(name):
    mask = np.array([[0.5, -1.99, -np.inf, np.inf], [0, 3e38, -3e38, 1e6]], "f4")
    packed = np.full((4, 16), 7, "i4")
    tile = MaskUnits(queries=2, width=16, dim=4, row=4, **common(name, F32))
    run(tile, name, mask, factors(of_masks=3), packed)
    assert packed[:, :2].T.tolist() == [[1, -5, -FAR, FAR], [0, FAR, -FAR, 3_000_000]]
    assert (packed[:, 2:] == 0).all()


@each_isa
@pytest.mark.parametrize(("keys", "masked"), [(1, True), (3, False), (8, False), (11, True)])
def test_the_softmax_goes_on_from_block_to_block(keys, masked, name):
    settings, unit = common(name), 0.01
    vectors, width = 2, 3 * settings["lanes"]
    here, groups = vectors * settings["lanes"], -(-keys // 4)
    random = np.random.default_rng(keys)
    blocks = random.integers(-1000, 1000, (3, keys, width)).astype("i4")
    blocks[1] += 400  # the maximum rises
    if masked:
        blocks[0, :, 0] -= FAR  # nothing counts at first
        blocks[1, 1:, 1] -= FAR
    numbers = numbers_for(width, factors(unit * math.log2(math.e)), name)
    rows = numbers[: NUMBERS * width].reshape(NUMBERS, width)
    total = np.zeros(here)
    for index, block in enumerate(blocks.copy()):  # the weights replace the scores
        before = rows[MAXIMUM].view("i4")[:here].copy()
        tile = ByteSoftmax(
            keys=keys, vectors=vectors, width=width, first=index == 0, masked=masked, **settings
        )
        run(tile, name, block, numbers, block)
        largest = blocks[: index + 1, :, :here].max(axis=(0, 1))
        np.testing.assert_array_equal(largest, rows[MAXIMUM].view("i4")[:here])
        below = blocks[index, :, :here] - largest.astype("i8")
        exact = 255 * np.exp(unit * below)
        stored = block.ravel().view("u1")[: groups * width * 4].reshape(groups, width, 4)
        weights = stored[:, :here].swapaxes(1, 2).reshape(-1, here)
        assert np.abs(weights[:keys] - exact).max() <= 0.5 + 255 * 1e-4
        assert (weights[keys:] == 0).all()
        if index:
            factor = np.exp(unit * (before - largest.astype("i8")))
            np.testing.assert_allclose(rows[FACTOR, :here], factor, rtol=1e-5, atol=1e-30)
            total *= factor
        total += weights.sum(axis=0, dtype="i8")
        np.testing.assert_allclose(rows[SUM, :here], total, rtol=1e-5)
        right = np.s_[groups:, here:]
        np.testing.assert_array_equal(blocks[index][right], block[right])


@each_isa
def test_with_the_smallest_units_a_mask_still_masks(name):
    settings = common(name)
    width = settings["lanes"]
    scores = np.zeros((2, width), "i4")
    scores[0] = -FAR
    numbers = numbers_for(width, factors(1e-12), name)
    run(
        ByteSoftmax(keys=2, vectors=1, width=width, first=True, masked=True, **settings),
        name, scores, numbers, scores,
    )  # fmt: skip
    weights = scores.ravel().view("u1")[: 4 * width].reshape(width, 4)
    assert (weights == [0, 255, 0, 0]).all()


def test_the_short_polynomial_is_as_exact_as_it_says():
    r = np.linspace(-0.5, 0.5, 1001)
    powers = np.polynomial.Polynomial(OF_BYTES)(r)
    assert np.abs(powers / 2**r - 1).max() < 7.6e-5
    assert all(a > b for a, b in pairwise(OF_BYTES))


@each_isa
@pytest.mark.parametrize(
    ("result", "dim", "first"), [("f32", 21, False), ("s8", 16, True), ("u8", 1, False)]
)
def test_sums_of_blocks_are_joined_and_finished(result, dim, first, name):
    types, rows, width, row = outside(result), 5, 16, 24
    random = np.random.default_rng(dim)
    zero, low, high = (0, 0, 0) if result == "f32" else (3, *limits(result, 3))
    words = factors(of_results=0.5, limits=(low, high), zero=zero)
    numbers = numbers_for(width, words, name)
    rows_of = numbers[: NUMBERS * width].reshape(NUMBERS, width)
    rows_of[[SUM, FACTOR]] = random.uniform(1, 2, (2, width))
    sums = random.integers(-900, 900, (rows, row)).astype("i4")
    so_far = random.uniform(-900, 900, (rows, row)).astype("f4")
    memory = np.concatenate([sums.ravel().view("f4"), so_far.ravel()])
    y = np.full((rows, dim + 2), 77, types.result.array_type)
    settings = {"rows": rows, "width": width, "dim": dim, "row": row, "c_row": dim + 2}
    settings |= {"apart": rows * row, "first": first, **common(name, types)}
    joined = (0 if first else so_far * rows_of[FACTOR, :rows, None].astype("f8")) + sums
    expected = (joined * (0.5 / rows_of[SUM, :rows, None].astype("f8")))[:, :dim]
    run(JoinRows(finish=True, **settings), name, memory, numbers, y)
    assert (y[:, dim:] == 77).all()
    if result == "f32":
        np.testing.assert_allclose(y[:, :dim], expected, rtol=1e-5, atol=1e-4)
    else:
        whole = np.clip(np.rint(expected) + zero, low + zero, high + zero)
        tie = np.abs(np.abs(expected % 1) - 0.5) < 1e-3
        np.testing.assert_array_equal(np.where(tie, y[:, :dim], whole), y[:, :dim])
    run(JoinRows(**settings), name, memory, numbers, y)
    after = memory[rows * row :].reshape(rows, row)
    np.testing.assert_allclose(after[:, :dim], joined[:, :dim], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(after[:, dim:], so_far[:, dim:])


def limits(result, zero):
    bounds = np.iinfo(DTYPES[result].array_type)
    return bounds.min - zero, bounds.max - zero


@each_isa
@pytest.mark.parametrize("columns", [13, 64])
def test_bytes_are_copied_with_their_signs_inverted(columns, name):
    s8, width = of_one(DTYPES["s8"]), -(-columns // 4) * 4
    a = np.random.default_rng(0).integers(-128, 127, (5, columns + 3)).astype("i1")
    c = np.full((5, width), 9, "u1")
    lanes = min(isa.find(name).lanes(1), width & -width)
    sizes = {"rows": 5, "columns": columns, "width": width, "row": columns + 3}
    run(CopyPanel(types=s8, lanes=lanes, flip=128, **sizes), name, a, None, c)
    np.testing.assert_array_equal(c[:, :columns], a[:, :columns].astype("i2") + 128)


@pytest.mark.parametrize(
    ("name", "triple", "cpu", "vectors", "most"),
    [
        ("avx512", X86_TRIPLE, "znver4", 4, 300),
        ("avx2", X86_TRIPLE, "haswell", 1, 80),
        ("neon", ARM_TRIPLE, "neoverse-v2", 4, 350),
    ],
)
def test_weights_take_few_instructions_and_no_spill(name, triple, cpu, vectors, most):
    found = isa.ISAS[name]
    sizes = {"keys": 64, "vectors": vectors, "width": vectors * found.lanes(4)}
    tile = ByteSoftmax(types=INSIDE, lanes=found.lanes(4), first=True, **sizes)
    code = disassembly.busiest(assembly(tile, triple, cpu))
    assert code.spills == 0
    assert len(code.instructions) <= most  # of four keys: 5 of 18 for a weight are FMAs


@pytest.mark.parametrize(
    ("name", "triple", "cpu", "product"),
    [
        ("avx512", X86_TRIPLE, "znver4", "vpdpbusd"),
        ("avx2", X86_TRIPLE, "haswell", "vpmaddwd"),
        ("neon", ARM_TRIPLE, "neoverse-n1", "sdot"),
    ],
)
def test_products_of_few_queries_stay_in_registers(name, triple, cpu, product, monkeypatch):
    arm, own = triple == ARM_TRIPLE, {"avx512": "avx512vnni", "neon": "dotprod"}.get(name)
    monkeypatch.setattr(ways, "target", lambda: SimpleNamespace(arch=ARM if arm else X86))
    monkeypatch.setattr(isa.Isa, "has", lambda _, feature: feature == own)
    found, types = isa.ISAS[name], outside("f32")
    how = form(types, found, 64)
    dots = ByteRowDots(
        types=types, lanes=found.lanes(4), multiply=how.of_keys, signed=bool(how.of_signed_keys),
        keys=64, queries=1, dim=64, a_row=64, b_row=64, c_row=64,
    )  # fmt: skip
    code = disassembly.busiest(assembly(dots, triple, cpu, "+dotprod" if arm else ""))
    assert code.spills == 0
    assert any(product in line for line in code.instructions)
