"""Strassen's algorithm: 7 products of blocks instead of 8, or 49 instead of 64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.kernels.strassen import KEPT, STEPS, terms
from convprof.dtypes import COMMON, types
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.epilogue import Epilogue
from convprof.strategies import memory, registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import prepacked_tiles, strassen
from convprof.strategies.gemm.strassen_tiles import FACTORS, KEPT_SUMS, StrassenStages, part

VIT = Gemm(m=197, n=3072, k=768)
WIDE = Setting(dtype="f64")
STRASSEN = registry.find("gemm", "strassen")


def summed(blocks, factors):
    return sum(factor * block for factor, block in zip(factors, blocks, strict=True))


def blocks_of(matrix, side):
    return [block for rows in np.split(matrix, side) for block in np.split(rows, side, axis=1)]


def multiplied(a, b, multiply):
    """Return the product by one level, whose products ``multiply`` computes."""
    kept, c = [None] * KEPT, np.zeros((2, 2), object)
    for of_a, of_b, flow in STEPS:
        product = multiply(summed(blocks_of(a, 2), of_a), summed(blocks_of(b, 2), of_b))
        before = 0 if flow.before is None else kept[flow.before]
        if flow.ends:
            c[flow.result] = product + kept[flow.ended]
        if flow.after is not None:
            kept[flow.after] = before + product
    return np.block(c.tolist())


def test_the_steps_are_the_product():
    random = np.random.default_rng(0)
    a, b = random.integers(-9, 9, (6, 4)), random.integers(-9, 9, (4, 10))
    assert np.array_equal(a @ b, multiplied(a, b, np.matmul))


@pytest.mark.parametrize("levels", [1, 2])
def test_the_terms_are_the_products_of_the_steps(levels):
    random, calls = np.random.default_rng(0), []
    a, b = random.integers(-9, 9, (4, 8)), random.integers(-9, 9, (8, 4))

    def inner(a, b):
        calls.append((a, b))
        return a @ b

    def outer(a, b):
        return multiplied(a, b, inner)

    multiplied(a, b, inner if levels == 1 else outer)
    for term, (of_a, of_b) in zip(terms(levels), calls, strict=True):
        assert np.array_equal(of_a, summed(blocks_of(a, 2**levels), term.a))
        assert np.array_equal(of_b, summed(blocks_of(b, 2**levels), term.b))


@pytest.mark.parametrize(
    ("g", "dtype", "levels"),
    [
        (Gemm(m=22, n=70, k=40, batch=2), "f32", 1),
        (Gemm(m=52, n=8, k=8), "f64", 2),  # threads share out rows
        (Gemm(m=29, n=35, k=37, epilogue=Epilogue(bias=True, add=True, function="relu")), "f64", 2),
    ],
)
def test_every_cut_of_the_product_is_right(monkeypatch, g, dtype, levels):
    """Rows, columns and steps that are no multiples of blocks, passes and tiles."""
    monkeypatch.setattr(prepacked_tiles, "STAGE_MACS", 2_000)
    setting = Setting(dtype=dtype, threads=2)
    operands = Operands(g, setting.types, 0)
    first = strassen.choose(g, setting, levels)
    blocking = replace(first, rows=3, vectors=1, mc=6, kc=8, group=2)
    prepared = STRASSEN.prepare_blocked(g, setting, blocking)
    prepared.bind(*operands.all("nchw"))
    for _ in range(2):  # the first run leaves no trace
        prepared.run()
        error = max_rel_error(operands, prepared.output(), "nchw")
        assert error < {"f32": 1e-5, "f64": 1e-13}[dtype]


def stages(g, levels, setting=WIDE, **sizes):
    blocking = replace(strassen.choose(g, setting, levels), **sizes)
    return StrassenStages(g, setting, blocking)


@pytest.mark.parametrize("levels", [1, 2])
def test_panels_are_sums_of_blocks(levels):
    side = 2**levels
    made = stages(Gemm(m=4, n=12, k=8), levels)
    b, target = np.arange(96.0).reshape(8, 12), np.zeros(made.buffer.shape)
    made.pack_factors(target, b)
    panels = target.reshape(7**levels, 8 // side, -1)
    for term, panel in zip(terms(levels), panels, strict=True):
        assert np.array_equal(summed(blocks_of(b, side), term.b), panel[:, : 12 // side])


@pytest.mark.parametrize("sizes", [(197, 1536, 768), (5, 3, 7)])
def test_the_executed_flops_are_counted(sizes):
    m, n, k = sizes
    all_panels = stages(Gemm(m=m, n=n, k=k), 1, kc=k, group=100)
    upper, lower, across, deep = -(-m // 2), m // 2, -(-n // 2), -(-k // 2)
    products = 2 * across * deep * (5 * upper + 2 * lower)
    additions = deep * (6 * upper + lower) + across * (4 * upper + 3 * lower)
    assert all_panels.executed_flops() == products + additions


@pytest.mark.parametrize(("m", "read"), [(64, 7), (2, 7), (1, 5)])
def test_products_without_rows_read_no_panels(m, read):
    """Of one row the lower blocks do not exist: 5 products reach an upper block."""
    one = stages(Gemm(m=m, n=64, k=64), 1)
    assert one.unread_bytes() == one.buffer.nbytes * (7 - read) // 7


def test_two_levels_execute_49_of_64_products():
    g = Gemm(m=1024, n=1024, k=1024)
    assert 49 / 64 < stages(g, 2, group=100).executed_flops() / g.flops < 1.02 * 49 / 64


def test_weights_are_packed_once_and_threads_have_their_own_sums():
    made, block = stages(VIT, 2, Setting(threads=2)), part(VIT, 2)
    assert made.buffer.nbytes >= 49 * block.k * block.n * 4
    shapes = {name: buffer.shape for name, buffer in made.workspaces().items()}
    blocking = strassen.choose(VIT, Setting(), 2)
    row = blocking.kc + 16 if blocking.kc % 512 == 0 else blocking.kc
    assert shapes[FACTORS] == (2, (1 + 4) * blocking.mc * row)
    assert shapes[KEPT_SUMS] == (2, 2 * (1 + 4) * blocking.mc * made.group * made.nr)


@pytest.mark.parametrize(("panels", "rows"), [(16, 50), (4, 25)])
def test_threads_with_few_panels_share_out_rows(panels, rows):
    lanes = isas.find("native").lanes(4)
    g = Gemm(m=197, n=4 * lanes * panels, k=64)
    made = stages(g, 2, Setting(threads=2), rows=9, vectors=1)
    assert made.panels == panels
    assert max(each.rows.stop for each in made._passes(0)) == rows


@pytest.mark.usefixtures("_usual_core")
@pytest.mark.parametrize(
    ("sizes", "pays"),
    [
        ((197, 768, 768), True),
        ((1024, 1024, 1024), True),
        ((16, 4096, 4096), False),  # the larger panels take longer than fewer products gain
        ((1024, 32, 1024), False),  # so do the sums of blocks of a
        ((1024, 1024, 32), False),  # and the sums of products of few terms
        ((128, 128, 128), False),
    ],
)
def test_auto_considers_it_where_it_pays(sizes, pays):
    m, n, k = sizes
    g = Gemm(m=m, n=n, k=k)
    names = [each.strategy.name for each in registry.find("gemm", "auto").candidates(g, Setting())]
    assert ("strassen" in names) is pays
    assert (names[0] == "strassen") is pays


@pytest.mark.usefixtures("_usual_core")
@pytest.mark.parametrize(
    ("available", "alone", "chained"),
    [(64 << 30, True, True), (1 << 30, True, False), (8 << 20, False, False), (None, True, True)],
)
def test_the_panels_must_fit_into_memory(available, alone, chained, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    assert STRASSEN.pays(VIT, Setting()) is alone
    assert STRASSEN.pays(VIT, Setting(alone=False)) is chained


def test_it_refuses_types_in_which_sums_are_longer():
    for dtype in ("bf16", "u8:s8:s32"):
        reason = STRASSEN.why_not(VIT, Setting(dtype=dtype))
        short = types(dtype).name if dtype == "bf16" else "int8"
        assert reason == (
            f"strassen computes f32 and f64, not {short}: sums of two elements need more bits"
        )
    assert all(STRASSEN.why_not(VIT, Setting(dtype=dtype)) is None for dtype in COMMON)
