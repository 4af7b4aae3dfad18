"""Products whose second operand is packed when it is bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convprof.codegen import isa as isas
from convprof.codegen.kernels.gemm import Tile
from convprof.dtypes import COMMON, F32, types
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.epilogue import NO_EPILOGUE, STEPS, Epilogue
from convprof.strategies import memory, multiplying, registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import prepacked, prepacked_tiles
from convprof.strategies.gemm.panels import PANELS
from convprof.strategies.gemm.prepacked import Prepacked, choose
from convprof.strategies.gemm.prepacked_tiles import PanelBlocking, PanelStages

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 5e-5, "f64": 1e-12}
EPILOGUES = st.builds(
    Epilogue,
    bias=st.booleans(),
    add=st.booleans(),
    function=st.sampled_from([None, "relu", *STEPS]),
)
SETTINGS = st.builds(
    Setting,
    dtype=st.sampled_from(COMMON),
    threads=st.sampled_from(THREADS),
    isa=st.sampled_from(isas.available() or ["native"]),
)
PROBLEMS = st.builds(
    Gemm,
    m=st.one_of(st.integers(1, 40), st.sampled_from([63, 101])),
    n=st.one_of(st.integers(1, 70), st.sampled_from([97, 192])),
    k=st.sampled_from([1, 3, 32, 33, 100]),
    batch=st.sampled_from([1, 1, 2, 3]),
    epilogue=EPILOGUES | st.just(NO_EPILOGUE),
)


def error(g, setting, variant):
    """Return the error of the second run: the first leaves no trace."""
    operands = Operands(g, setting.types, 0)
    prepared = Prepacked().prepare_blocked(g, setting, variant)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    first = prepared.output().copy()
    prepared.run()
    assert np.array_equal(first, prepared.output())
    return max_rel_error(operands, prepared.output(), setting.layout)


@given(PROBLEMS, SETTINGS, st.data())
@settings(max_examples=20, deadline=None)
def test_every_variant_is_right(g, setting, data):
    variant = data.draw(st.sampled_from(Prepacked().blockings(g, setting)))
    assert error(g, setting, variant) < TOLERANCE[setting.dtype]


@given(PROBLEMS, SETTINGS, st.sampled_from([8, 20, 33]), st.sampled_from([1, 9, 30]))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_so_is_every_cut_of_the_product(monkeypatch, g, setting, kc, mc):
    monkeypatch.setattr(prepacked_tiles, "STAGE_MACS", 2_000)
    first = Prepacked().blockings(g, setting)[0]
    assert error(g, setting, replace(first, kc=kc, mc=mc)) < TOLERANCE[setting.dtype]


def test_new_weights_are_packed_anew():
    g, random = Gemm(m=5, n=50, k=40), np.random.default_rng(0)
    prepared = Prepacked().prepare(g, Setting(dtype="f64"))
    a = random.random(g.a_shape)
    for _ in range(2):
        b = random.random(g.b_shape)
        prepared.bind(a, b)
        assert prepared.prepare_s > 0
        prepared.run()
        assert np.allclose(prepared.output(), a @ b, rtol=1e-13)


def test_the_first_operand_may_change_between_runs():
    g, random = Gemm(m=20, n=50, k=40), np.random.default_rng(0)
    prepared = Prepacked().prepare(g, Setting(dtype="f64"))
    a, b = random.random(g.a_shape), random.random(g.b_shape)
    prepared.bind(a, b)
    a[...] = random.random(g.a_shape)
    prepared.run()
    assert np.allclose(prepared.output(), a @ b, rtol=1e-13)


@pytest.mark.parametrize("batch", [1, 3])
def test_operands_need_not_be_contiguous(batch):
    g, random = Gemm(m=7, n=33, k=20, batch=batch), np.random.default_rng(0)
    a = np.swapaxes(random.random((*g.a_shape[:-2], g.k, g.m)), -1, -2)
    b = np.swapaxes(random.random((*g.b_shape[:-2], g.n, g.k)), -1, -2)
    assert not b.flags.c_contiguous
    prepared = Prepacked().prepare(g, Setting(dtype="f64"))
    prepared.bind(a, b)
    prepared.run()
    reference = g.reference((a, b))
    assert np.max(np.abs(prepared.output() - reference)) < 1e-12 * np.max(np.abs(reference))


def stages(g, blocking, threads=1):
    return PanelStages(g, Setting(dtype="f64", threads=threads), blocking)


def test_panels_are_contiguous_and_end_in_zeros():
    g = Gemm(m=4, n=5, k=3)
    made = stages(g, PanelBlocking(rows=2, vectors=1, mc=4, kc=2))
    lanes = made.lanes
    b = np.arange(15.0).reshape(3, 5)
    panels = made.pack(b)
    assert panels.shape == made.shape == (1, 2, -(-5 // lanes), 2, lanes, 1)
    wide = panels[..., 0].transpose(0, 1, 3, 2, 4).reshape(4, -1)
    assert np.array_equal(b, wide[:3, :5])
    assert np.count_nonzero(wide) == np.count_nonzero(b)


def test_whole_panels_are_not_copied_on_the_way():
    made = stages(Gemm(m=4, n=64, k=6), PanelBlocking(rows=2, vectors=1, mc=4, kc=3))
    b = np.zeros((6, 64))
    assert np.shares_memory(b, made.pack(b))


def test_the_packed_operand_counts_as_memory():
    g = Gemm(m=4, n=96, k=64)
    prepared = Prepacked().prepare(g, Setting())
    assert prepared.scratch() == {}
    assert list(prepared.plan.packed) == [PANELS]
    assert prepared.workspace_bytes == 4 * g.k * g.n + prepared.table_bytes


def passes(made):
    return [list(made._passes(member)) for member in range(made.threads)]


@given(PROBLEMS, st.integers(1, 5), st.integers(1, 40), st.integers(1, 40))
def test_threads_share_out_every_part_of_the_product_once(g, threads, mc, kc):
    made = stages(g, PanelBlocking(rows=4, vectors=1, mc=mc, kc=kc), threads)
    done = np.zeros((g.batch, made.blocks, g.m, made.panels), int)
    for each in (item for mine in passes(made) for item in mine):
        panels = slice(each.panels.start, each.panels.stop)
        done[each.z, each.block, each.rows.start : each.rows.stop, panels] += 1
    assert np.array_equal(done, np.ones_like(done))


def test_few_panels_are_parted_by_rows():
    lanes = stages(Gemm(m=1, n=1, k=1), PanelBlocking(1, 1, 1, 1)).lanes
    one = Gemm(m=64, n=lanes, k=8)
    blocking = PanelBlocking(rows=8, vectors=1, mc=64, kc=8)
    assert [[p.rows for p in mine] for mine in passes(stages(one, blocking, 2))] == [
        [range(32)],
        [range(32, 64)],
    ]
    many = Gemm(m=64, n=4 * lanes, k=8)
    assert [[p.panels for p in mine] for mine in passes(stages(many, blocking, 2))] == [
        [range(2)],
        [range(2, 4)],
    ]


def test_tiles_of_a_panel_fetch_all_of_the_next():
    made = stages(Gemm(m=197, n=768, k=64), PanelBlocking(rows=14, vectors=2, mc=197, kc=64))
    assert made._fetched(1) == 0
    for tiles in range(2, 20):
        assert made._fetched(tiles) * tiles >= made.nr


@pytest.mark.parametrize(("dtype", "fetch"), [("f32", 4), ("f32", 16), ("f64", 2), ("f64", 8)])
def test_a_turn_of_the_loop_fetches_whole_lines(dtype, fetch):
    lanes, size = (16, 4) if dtype == "f32" else (8, 8)
    tile = Tile(
        types=types(dtype),
        lanes=lanes,
        rows=(0, 64),
        segments=((0, 0),),
        run=64,
        vectors=1,
        b_row=lanes,
        c_rows=(0, 64),
        columns=lanes,
    )
    without, ahead = (replace(tile, fetch_row=row).ir() for row in (0, fetch))
    lines = tile.unroll * fetch * size // 64
    assert (
        ahead.count("call void @llvm.prefetch") == without.count("call void @llvm.prefetch") + lines
    )
    assert f"ptr %d_now, i64 {tile.unroll * fetch}\n" in ahead


def test_the_model_keeps_rows_in_cache_and_parts_them_evenly(monkeypatch):
    monkeypatch.setattr(prepacked, "l2_bytes", lambda: 2 << 20)
    isa = isas.ISAS["avx512"]
    assert choose(Gemm(m=197, n=2304, k=768), isa, F32) == PanelBlocking(9, 3, 197, 768)
    assert choose(Gemm(m=197, n=768, k=3072), isa, F32) == PanelBlocking(9, 3, 99, 1024)
    assert choose(Gemm(m=16, n=4096, k=4096), isa, F32) == PanelBlocking(9, 3, 16, 512)
    assert choose(Gemm(m=1, n=1000, k=2048), isa, F32) == PanelBlocking(1, 4, 1, 2048)
    assert choose(Gemm(m=12, n=2048, k=1024), isa, F32, threads=2).rows <= 10, "rows share a set"
    assert choose(Gemm(m=197, n=768, k=768), isas.ISAS["avx2"], F32).vectors == 2


@pytest.mark.usefixtures("_usual_core")
def test_it_follows_packed_and_auto_tries_it_before_packed():
    names = [strategy.name for strategy in registry.strategies("gemm")]
    assert names.index("prepacked") == names.index("packed") + 1
    g, setting = Gemm(m=197, n=768, k=768), Setting()
    first = registry.find("gemm", "auto").candidates(g, setting)[:8]
    assert {each.strategy.name for each in first} == {"packed", "prepacked", "strassen"}
    assert [each.strategy.name for each in first[:2]] == ["strassen", "prepacked"]


@pytest.mark.parametrize("isa", ["avx512", "avx2", "sse", "neon"])
@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("m", range(1, 9))
def test_few_rows_have_enough_sums_in_registers(m, dtype, isa):
    of, isa = types(dtype), isas.ISAS[isa]
    how = multiplying.of_gemm(Gemm(m=m, n=4096, k=4096), of, isa)
    for n in (4096, 61 * isa.lanes(4)):  # 61 vectors are no whole panels of several vectors
        chosen = choose(Gemm(m=m, n=n, k=4096), isa, of)
        assert chosen.vectors * chosen.rows >= 4, "a sum waits for the product before"
        assert chosen.rows <= how.tile_rows(chosen.vectors, isa)


@pytest.mark.parametrize(
    ("m", "l3", "fetched"),
    [
        (1, 1 << 20, False),
        (4, 1 << 20, False),
        (5, 1 << 20, True),
        (2, 1 << 10, False),
        (3, 1 << 10, True),
        (3, 0, True),
    ],
)
def test_few_rows_fetch_no_panels_ahead(m, l3, fetched, monkeypatch):
    monkeypatch.setattr(memory, "l3_bytes", lambda: l3)
    made = stages(Gemm(m=m, n=16, k=32), PanelBlocking(rows=8, vectors=1, mc=8, kc=32))
    tile = made._tile(next(made._passes(0)), m, 0, 0, cold=True)
    assert (tile.fetch_rows > 0) is fetched
