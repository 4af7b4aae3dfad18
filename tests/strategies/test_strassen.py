"""Strassen's algorithm: seven products of blocks instead of eight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen.kernels.strassen import KEPT, TERMS
from convprof.dtypes import COMMON, types
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.epilogue import Epilogue
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import prepacked_tiles
from convprof.strategies.gemm.prepacked_tiles import PANELS
from convprof.strategies.gemm.strassen_tiles import FACTORS, KEPT_SUMS, StrassenStages, quarter

VIT = Gemm(m=197, n=3072, k=768)
STRASSEN = registry.find("gemm", "strassen")


def summed(blocks, factors):
    return sum(factor * block for factor, block in zip(factors, blocks, strict=True))


def blocks_of(matrix):
    return [block for rows in np.split(matrix, 2) for block in np.split(rows, 2, axis=1)]


def test_the_terms_are_the_product():
    random = np.random.default_rng(0)
    a, b = random.integers(-9, 9, (6, 4)), random.integers(-9, 9, (4, 10))
    kept, c = [None] * KEPT, np.zeros((6, 10), int)
    for term in TERMS:
        product = summed(blocks_of(a), term.a) @ summed(blocks_of(b), term.b)
        before = 0 if term.before is None else kept[term.before]
        if term.ends:
            down, across = term.result
            c[3 * down : 3 * down + 3, 5 * across : 5 * across + 5] = product + kept[term.ended]
        if term.after is not None:
            kept[term.after] = before + product
    assert np.array_equal(a @ b, c)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("g", "dtype"),
    [
        (Gemm(m=1, n=1, k=1), "f64"),
        (Gemm(m=22, n=70, k=40, batch=2), "f32"),
        (Gemm(m=41, n=33, k=37, epilogue=Epilogue(bias=True, add=True, function="gelu")), "f64"),
    ],
)
def test_every_cut_of_the_product_is_right(monkeypatch, g, dtype, threads):
    monkeypatch.setattr(prepacked_tiles, "STAGE_MACS", 2_000)
    setting = Setting(dtype=dtype, threads=threads)
    operands = Operands(g, setting.types, 0)
    first = STRASSEN.blockings(g, setting)[0]
    small = replace(first, rows=3, vectors=1, mc=9, kc=8, group=2)
    for blocking in dict.fromkeys((first, small)):
        prepared = STRASSEN.prepare_blocked(g, setting, blocking)
        prepared.bind(*operands.all("nchw"))
        for _ in range(2):  # the first run leaves no trace
            prepared.run()
            error = max_rel_error(operands, prepared.output(), "nchw")
            assert error < {"f32": 1e-5, "f64": 1e-13}[dtype], blocking


def test_panels_are_sums_of_blocks():
    g = Gemm(m=4, n=6, k=4)
    setting = Setting(dtype="f64")
    stages = StrassenStages(g, setting, STRASSEN.blockings(g, setting)[0])
    b, target = np.arange(24.0).reshape(4, 6), np.zeros(stages.buffer.shape)
    stages.pack_factors(target, b)
    for term, panel in zip(TERMS, target.reshape(7, 2, -1), strict=True):
        assert np.array_equal(summed(blocks_of(b), term.b), panel[:, :3])


@pytest.mark.parametrize("sizes", [(197, 3072, 768), (5, 3, 7)])
def test_the_executed_flops_are_counted(sizes):
    m, n, k = sizes
    plan = STRASSEN.plan(Gemm(m=m, n=n, k=k), Setting())
    upper, lower, across, deep = -(-m // 2), m // 2, -(-n // 2), -(-k // 2)
    products = 2 * across * deep * (5 * upper + 2 * lower)
    additions = 7 * upper * deep + across * (4 * upper + 3 * lower)
    assert plan.executed_flops == products + additions


def test_weights_are_packed_once_and_the_workspaces_are_lent():
    part, plan = quarter(VIT), STRASSEN.plan(VIT, Setting(threads=2))
    panels = plan.packed[PANELS].buffer
    assert panels.nbytes >= len(TERMS) * part.k * part.n * 4
    assert plan.lendable_workspaces == {FACTORS, KEPT_SUMS}
    assert plan.workspaces[FACTORS].shape[:3] == (1, len(TERMS), part.m)
    assert [step.phase for step in plan.steps][:2] == ["sums", "tiles"]


@pytest.mark.parametrize(
    ("sizes", "pays"),
    [
        ((197, 768, 768), True),
        ((1024, 1024, 1024), True),
        ((16, 4096, 4096), False),  # the larger panels take longer than fewer products gain
        ((1024, 32, 1024), False),  # so do the sums of blocks of a
        ((1024, 1024, 32), False),  # and the sums of products
        ((128, 128, 128), False),
    ],
)
def test_auto_considers_it_where_it_pays(sizes, pays):
    m, n, k = sizes
    g = Gemm(m=m, n=n, k=k)
    names = [each.strategy.name for each in registry.find("gemm", "auto").candidates(g, Setting())]
    assert ("strassen" in names) is pays
    assert (names[0] == "strassen") is pays


def test_it_refuses_types_in_which_sums_are_longer():
    for dtype in ("bf16", "u8:s8:s32"):
        reason = STRASSEN.why_not(VIT, Setting(dtype=dtype))
        short = types(dtype).name if dtype == "bf16" else "int8"
        assert reason == (
            f"strassen computes f32 and f64, not {short}: sums of two elements are longer"
        )
    assert all(STRASSEN.why_not(VIT, Setting(dtype=dtype)) is None for dtype in COMMON)
