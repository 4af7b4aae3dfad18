"""The kernels of attention in tile registers: against NumPy, and their assembly for AMX."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import other_cpus
import pytest
from other_cpus import tiles_of

from convprof.codegen import disassembly
from convprof.codegen.jit import Module
from convprof.codegen.kernels import elements
from convprof.codegen.kernels.amx_panel import TilePanel
from convprof.codegen.kernels.attention import FACTOR, SUM, Softmax
from convprof.codegen.kernels.attention_byte_tiles import FinishBytes, JoinColumns
from convprof.codegen.kernels.attention_bytes import HIGH, LOW, NUMBERS, OF_RESULTS, ZERO
from convprof.codegen.kernels.attention_tiles import (
    FinishColumns,
    ScaleColumns,
    TransposeValues,
)
from convprof.codegen.kernels.tile_registers import _PRODUCTS
from convprof.dtypes import DTYPES, Types, types

BF16 = types("bf16")
BYTES = Types(DTYPES["s8"], DTYPES["s8"], DTYPES["s32"], DTYPES["f32"])


def run(tile, *arrays):
    function = Module(tile.ir()).function("tile", None, *[ctypes.c_void_p] * 3)
    function(*(None if array is None else array.ctypes.data for array in arrays))


def bits(array):
    return array.view(f"u{array.itemsize}")


@pytest.mark.parametrize(("keys", "dim"), [(1, 1), (37, 20), (64, 33)])
@pytest.mark.parametrize("of", [BF16, BYTES])
def test_values_are_transposed_and_filled_up(of, keys, dim):
    step, size = 64 // of.source.bytes, of.source.bytes
    filled, rows = -(-keys // step) * step, -(-dim // 16) * 16
    a = np.random.default_rng(0).integers(1, 100, (keys, dim + 3)).astype(f"u{size}")
    c = np.full((rows + 1, filled + 2), 77, f"u{size}")
    tile = TransposeValues(of, 16, keys=keys, dim=dim, a_row=dim + 3, c_row=filled + 2)
    run(tile, a, None, c)
    expected = np.zeros((rows, filled), a.dtype)
    expected[:dim, :keys] = a[:, :dim].T
    np.testing.assert_array_equal(expected, c[:rows, :filled])
    assert (c[rows] == 77).all()
    assert (c[:, filled:] == 77).all()


def numbers_of(random):
    return random.uniform(1, 2, (3, 32)).astype("f4")


@pytest.mark.parametrize(("rows", "vectors"), [(1, 1), (48, 2)])
def test_columns_are_scaled(rows, vectors):
    random = np.random.default_rng(0)
    numbers, y = numbers_of(random), random.random((rows + 1, 32)).astype("f4")
    expected = y.copy()
    expected[:rows, : 16 * vectors] *= numbers[FACTOR, : 16 * vectors]
    run(ScaleColumns(BF16, 16, rows=rows, vectors=vectors), y, numbers, y)
    np.testing.assert_array_equal(expected, y)


@pytest.mark.parametrize("result", ["bf16", "f32"])
@pytest.mark.parametrize(("queries", "dim"), [(1, 1), (16, 32), (19, 33), (32, 71), (5, 2)])
def test_columns_become_rows_that_are_rounded_once(queries, dim, result):
    random = np.random.default_rng(0)
    numbers, a = numbers_of(random), random.random((dim, 32)).astype("f4")
    of = replace(BF16, result=DTYPES[result])
    c = np.full((queries + 1, dim + 3), 7, of.result.array_type)
    run(FinishColumns(of, 16, queries=queries, dim=dim, c_row=dim + 3), a, numbers, c)
    expected = (a * (1 / numbers[SUM])).astype(of.result.array_type).T[:queries]
    np.testing.assert_array_equal(bits(expected.copy()), bits(c[:queries, :dim].copy()))
    assert (c[queries] == 7).all()
    assert (c[:, dim:] == 7).all()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("rows", "vectors"), [(1, 1), (48, 2)])
def test_whole_sums_of_a_block_are_added(rows, vectors, first):
    random = np.random.default_rng(0)
    numbers, c = numbers_of(random), random.random((rows + 1, 32)).astype("f4")
    a = random.integers(-(2**20), 2**20, (rows, 32)).astype("i4")
    expected, width = c.astype("f8"), 16 * vectors
    before = 0 if first else expected[:rows, :width] * numbers[FACTOR, :width]
    expected[:rows, :width] = before + a[:, :width]
    run(JoinColumns(BYTES, 16, rows=rows, vectors=vectors, first=first), a, numbers, c)
    np.testing.assert_allclose(expected, c, rtol=1e-6)


@pytest.mark.parametrize("result", ["s8", "u8", "f32"])
@pytest.mark.parametrize(("queries", "dim"), [(1, 1), (19, 35), (32, 64), (5, 66)])
def test_columns_of_bytes_are_scaled_and_limited(queries, dim, result):
    random = np.random.default_rng(0)
    numbers = np.zeros((6, 32), "f4")
    numbers[SUM] = random.uniform(1, 2, 32)
    numbers[3:] = np.nan
    words = numbers[NUMBERS]
    words[OF_RESULTS], words[LOW], words[HIGH] = 3.0, -100, 90
    words.view("i4")[ZERO] = 28 if result == "u8" else -27
    of = replace(BYTES, result=DTYPES[result])
    a = random.uniform(-60, 60, (dim, 32)).astype("f4")
    c = np.full((queries + 1, dim + 3), 7, of.result.array_type)
    run(FinishBytes(of, 16, queries=queries, dim=dim, c_row=dim + 3), a, numbers, c)
    expected = (a * (np.float32(3.0) / numbers[SUM])).T[:queries]
    if result != "f32":
        expected = np.rint(np.clip(expected, -100, 90)) + words.view("i4")[ZERO]
        expected = expected.astype("i4").astype(of.result.array_type)
    np.testing.assert_array_equal(expected, c[:queries, :dim])
    assert (c[queries] == 7).all()
    assert (c[:, dim:] == 7).all()


# Assembly.


def assembly(tile, cpu):
    return other_cpus.assembly(tile, other_cpus.X86_TRIPLE, cpu)


def panel(dtype="bf16", **changes):
    of = types(dtype)
    product = _PRODUCTS[of.source.name, of.weights.name]
    shape = {"rows": 208, "columns": 32, "steps": 7, "a_row": 224} | changes
    return TilePanel(of, 16, product=product, **shape)


@pytest.mark.parametrize("dtype", ["bf16", "u8:s8:s32"])
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_step_is_four_loads_and_four_products(dtype, accumulate):
    tile = panel(dtype, accumulate=accumulate)
    text, name = assembly(tile, "sapphirerapids"), tile.product.instruction
    pair, single = disassembly.innermost(text)
    assert tiles_of(pair.instructions) == [
        ("tileloadd", 4),
        ("tileloadd", 6),
        (name, 6, 4, 0),
        ("tileloadd", 7),
        (name, 7, 4, 1),
        ("tileloadd", 5),
        (name, 6, 5, 2),
        (name, 7, 5, 3),
    ]
    assert len(pair.instructions) <= 8 + 8, "addresses and the loop"
    assert (single.products, single.loads) == ({name: 2}, 3)
    whole = tiles_of(disassembly.read(text).instructions)
    begin = "tileloadd" if accumulate else "tilezero"
    assert whole[:4] == [(begin, register) for register in range(4)]
    assert whole[12:16] == [("tilestored", register) for register in range(4)]
    assert whole[16:18] == [(begin, register) for register in range(2)]
    assert whole[-2:] == [("tilestored", register) for register in range(2)]
    assert disassembly.read(text).spills == 0
    assert tile.fmas == 208 * 2 * 7 * 16 * tile.product.k_group


def test_16_columns_have_half_of_the_products():
    step = disassembly.busiest(assembly(panel(columns=16), "sapphirerapids"))
    assert (step.products, step.loads, step.spills) == ({"tdpbf16ps": 2}, 3, 0)


def test_what_is_no_whole_tile_register_is_refused():
    for changes in ({"rows": 24}, {"columns": 8}):
        with pytest.raises(ValueError, match="not whole tile registers"):
            panel(**changes).ir()


OTHERS = {
    "values": (TransposeValues(BF16, 16, keys=224, dim=64, a_row=64, c_row=224), 32, 16, 170),
    "factors": (ScaleColumns(BF16, 16, rows=64, vectors=2), 2, 2, 10),
    "results": (FinishColumns(BF16, 16, queries=16, dim=64, c_row=64), 32, 16, 185),
    "results in bytes": (
        FinishBytes(replace(BYTES, result=BYTES.source), 16, queries=16, dim=128, c_row=128),
        64, 16, 505,
    ),
    "powers": (
        Softmax(replace(BF16, result=BF16.source), 16, keys=192, vectors=2, width=32, first=True),
        4, 2, 78,
    ),
}  # fmt: skip
"""A kernel, the loads and stores of an iteration of its last loop, and the most instructions."""


@pytest.mark.parametrize("case", OTHERS)
def test_vectors_stay_in_registers(monkeypatch, case):
    has = {"avx512bf16"}.issuperset  # as a CPU with AMX has, whatever the CPU of the test has
    monkeypatch.setattr(elements, "target", lambda: SimpleNamespace(has=lambda *names: has(names)))
    tile, loads, stores, most = OTHERS[case]
    loops = disassembly.innermost(assembly(tile, "sapphirerapids"))
    assert (loops[-1].loads, loops[-1].stores) == (loads, stores)
    assert len(loops[-1].instructions) <= most
    assert {loop.spills for loop in loops} == {0}
    assert {loop.widest for loop in loops} == {"zmm"}


def test_the_maxima_of_four_rows_are_not_one_chain():
    tile = OTHERS["powers"][0]
    search = disassembly.innermost(assembly(tile, "sapphirerapids"))[0]
    maxima = [line for line in search.instructions if line.startswith("vmaxps")]
    assert len(maxima) == 8
    for register in ("%zmm0", "%zmm1"):
        assert sum(line.endswith(f", {register}") and register in line[:-6] for line in maxima) <= 1
