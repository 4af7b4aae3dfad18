"""Products of few rows: ``b`` is read where it is, in whole rows, and every thread has work."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.codegen.isa import available
from convprof.dtypes import PRODUCTS, tolerance, types
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.results import NATIVE
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import k_parts, packed, prepacked
from convprof.strategies.gemm.blocked import IN_PLACE, STREAMED

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
WAYS = ("bf16", "u8:s8:s32")
"""Types whose groups of rows are interleaved on every instruction set."""
FIRST = registry.find("gemm", "packed")


@pytest.fixture
def _small_l2(monkeypatch):
    """Weights of some KiB are beyond L2."""
    monkeypatch.setattr(packed, "l2_bytes", lambda: 4096)


def error(g, setting):
    operands = Operands(g, setting.types, 1)
    prepared = FIRST.prepare(g, setting)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    return max_rel_error(operands, prepared.output(), "nchw")


@pytest.mark.usefixtures("_small_l2")
@pytest.mark.parametrize(
    ("dtype", "isa"),
    [*((dtype, NATIVE) for dtype in PRODUCTS), *((d, i) for d in WAYS for i in available()[:-1])],
)
def test_streamed_weights_give_the_product(dtype, isa):
    products = (Gemm(m=1, k=100, n=301), Gemm(m=7, k=136, n=77))
    for g, threads in zip(products, (THREADS[-1], 1), strict=True):
        setting = Setting(dtype=dtype, isa=isa, threads=threads)
        assert FIRST.why_not(g, setting) is None
        assert FIRST.blockings(g, setting)[0].pack_b == STREAMED
        assert error(g, setting) <= tolerance(setting.types, g.k)


@pytest.mark.skipif("avx512" not in available(), reason="reads the assembly of AVX-512")
@pytest.mark.parametrize("dtype", ["bf16:bf16:f32", "u8:s8:s32", "s8:s8:s32"])
def test_interleaved_rows_leave_the_sums_in_registers(dtype):
    g, setting = Gemm(m=48, k=512, n=64), Setting(dtype=dtype, isa="avx512")
    assert FIRST.blockings(g, setting)[0].pack_b == IN_PLACE
    prepared = FIRST.prepare(g, setting)
    prepared.bind(*Operands(g, setting.types, 1).all("nchw"))
    assert all(" 0 spills" in title for title, _ in prepared.inner_loops())


@pytest.mark.usefixtures("_small_l2")
def test_a_batch_is_streamed_one_product_after_the_other():
    g, setting = Gemm(m=18, k=68, n=130, batch=2), Setting()
    assert FIRST.blockings(g, setting)[0].pack_b == STREAMED
    assert error(g, setting) <= tolerance(setting.types, g.k)


@pytest.mark.usefixtures("_small_l2")
def test_every_blocking_that_may_be_tried_gives_the_product():
    g, setting = Gemm(m=3, k=2100, n=40), Setting(dtype="bf16")
    operands = Operands(g, setting.types, 1)
    for blocking in FIRST.blockings(g, setting):
        prepared = FIRST.prepare_blocked(g, setting, blocking)
        prepared.bind(*operands.all("nchw"))
        prepared.run()
        error = max_rel_error(operands, prepared.output(), "nchw")
        assert error <= tolerance(setting.types, g.k), blocking


@pytest.mark.parametrize("dtype", ["f32", *WAYS])
def test_weights_in_l2_are_read_in_place(dtype):
    g = Gemm(m=3, k=624, n=37)  # whole groups of eight, the longest of any instruction
    setting = Setting(dtype=dtype)
    assert FIRST.blockings(g, setting)[0].pack_b == IN_PLACE
    assert error(g, setting) <= tolerance(setting.types, g.k)


@pytest.mark.usefixtures("_small_l2")
def test_every_tile_of_a_block_fetches_another_part_of_the_next_rows():
    g, setting = Gemm(m=2, k=64, n=512), Setting()
    blocking = FIRST.blockings(g, setting)[0]
    words = FIRST.plan_blocked(g, setting, blocking).steps[0].dims
    tiles = np.asarray(words)[3:].reshape(-1, 5)
    panels = blocking.nc // (blocking.vectors * isas.find("native").lanes(4))
    block = tiles[:panels]
    assert (block[:, 4].min() - block[:, 2].min()) == blocking.kc * g.n * 4
    assert len(set(block[:, 4].tolist())) == panels


def test_few_columns_are_shared_out_among_the_threads():
    isa = isas.find("native")
    lanes = isa.lanes(4)
    for n, threads in ((4 * lanes, 4), (6 * lanes, 2), (5 * lanes, 8), (lanes, 3)):
        g = Gemm(m=1, k=64, n=n)
        wide = prepacked.choose(g, isa, types("f32"), threads).vectors
        panels = -(-(n // lanes) // wide)
        busiest = -(-panels // threads) * wide
        assert busiest == -(-(n // lanes) // threads)


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "u8:s8:s32"])
@pytest.mark.parametrize("name", ["packed", "prepacked"])
def test_sums_are_shared_out_where_there_are_too_few_columns(name, dtype):
    if len(THREADS) < 2:
        pytest.skip("one CPU")
    strategy, setting = registry.find("gemm", name), Setting(dtype=dtype, threads=2)
    lanes = isas.find("native").lanes(4)
    g = Gemm(m=3, n=lanes - 1, k=2 * 1104)
    blocking = strategy.blockings(g, setting)[0]
    assert (blocking.parts, blocking.kc <= 1104) == (2, True)
    operands = Operands(g, setting.types, 1)
    prepared = strategy.prepare(g, setting)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(setting.types, g.k)
    stage = strategy.plan(g, setting).steps[0]
    starts = np.asarray(stage.dims)[1:4]
    assert np.diff(starts).min() > 0  # tiles for both threads


@pytest.mark.parametrize(
    "g",
    [
        Gemm(m=1, n=4096, k=8192),  # columns enough
        Gemm(m=64, n=8, k=8192),  # rows enough
        Gemm(m=1, n=8, k=200),  # too short to be worth a stage
        Gemm(m=1, n=8, k=8191),  # no equal parts
        Gemm(m=1, n=8, k=8192, batch=2),
    ],
)
def test_other_sums_stay_whole(g):
    assert k_parts.of_few_columns(g, Setting(threads=2)) is None
