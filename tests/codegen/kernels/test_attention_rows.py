"""The kernels of attention for few queries, each against NumPy."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from other_cpus import ARM_TRIPLE, X86_TRIPLE, assembly

from convprof.codegen import disassembly, isa
from convprof.codegen.kernels.attention_rows import RowDots, WeightedRows
from convprof.codegen.tile_list import kernel
from convprof.dtypes import DTYPES, F32

each_isa = pytest.mark.parametrize("name", isa.widths() or ("native",))
BF16 = replace(F32, source=DTYPES["bf16"], weights=DTYPES["bf16"], result=DTYPES["bf16"])


def run(tile, name, *arrays):
    address = kernel(tile, isa.find(name)).address
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(address)(*(each.ctypes.data for each in arrays))


def common(name, types=F32):
    found = isa.find(name)
    return {"types": types, "lanes": found.lanes(4), "fused": found.fused}


@each_isa
@pytest.mark.parametrize(
    ("keys", "queries", "dim"), [(1, 1, 1), (4, 2, 16), (7, 1, 37), (9, 3, 64)]
)
def test_scores_of_rows(keys, queries, dim, name):
    random = np.random.default_rng(0)
    a, b = random.random((keys, dim + 2), "f4"), random.random((queries, dim), "f4")
    scores = np.full((queries, keys + 1), np.nan, "f4")
    sizes = {"keys": keys, "queries": queries, "dim": dim}
    rows = {"a_row": dim + 2, "b_row": dim, "c_row": keys + 1}
    run(RowDots(scale=0.3, **sizes, **rows, **common(name)), name, a, b, scores)
    expected = 0.3 * (b.astype("f8") @ a[:, :dim].T)
    np.testing.assert_allclose(scores[:, :keys], expected, rtol=1e-6)
    assert np.isnan(scores[:, keys]).all()


@pytest.mark.parametrize(
    ("name", "triple", "cpu", "queries"),
    [
        ("avx512", X86_TRIPLE, "znver4", 4),
        ("avx2", X86_TRIPLE, "haswell", 1),
        ("neon", ARM_TRIPLE, "neoverse-v2", 4),
    ],
)
def test_sums_of_few_queries_stay_in_registers(name, triple, cpu, queries):
    found = isa.ISAS[name]
    settings = {
        "types": F32,
        "lanes": found.lanes(4),
        "fused": True,
        "keys": 64,
        "queries": queries,
    }
    scores = RowDots(dim=64, a_row=64, b_row=64, c_row=64, **settings)
    wide = {"columns": 4 * found.lanes(4), "a_row": 128, "b_row": 64, "c_row": 128}
    values = WeightedRows(**wide, **settings)
    for tile in (scores, values):
        assert disassembly.busiest(assembly(tile, triple, cpu)).spills == 0


@each_isa
@pytest.mark.parametrize(
    ("keys", "queries", "columns"), [(1, 1, 1), (5, 1, 16), (11, 2, 20), (40, 3, 37)]
)
@pytest.mark.parametrize("types", [F32, BF16], ids=["f32", "bf16"])
def test_weighted_rows(types, keys, queries, columns, name):
    random = np.random.default_rng(0)
    values = random.random((keys, columns + 3), "f4").astype(types.weights.array_type)
    weights = random.random((queries, keys), "f4")
    y = np.full((queries, columns + 1), 7, types.result.array_type)
    sizes = {"keys": keys, "queries": queries, "columns": columns}
    rows = {"a_row": columns + 3, "b_row": keys, "c_row": columns + 1}
    run(WeightedRows(**sizes, **rows, **common(name, types)), name, values, weights, y)
    expected = weights.astype("f8") @ values[:, :columns].astype("f8")
    limit = 2 * types.result.epsilon + 1e-6
    np.testing.assert_allclose(y[:, :columns].astype("f8"), expected, rtol=limit)
    assert (y[:, columns] == 7).all()
