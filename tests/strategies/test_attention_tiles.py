"""Attention in the tile registers of AMX, executed by a model of the instructions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.target import target
from convprof.dtypes import tolerance, types
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Attention, ops, parse
from convprof.problems.attention import CAUSAL, MASKS
from convprof.problems.operation import Operation
from convprof.strategies import registry
from convprof.strategies.attention import amx_blocking
from convprof.strategies.attention.amx_blocking import TileBlocking
from convprof.strategies.attention.amx_tiles import TileBlocks
from convprof.strategies.base import Setting
from convprof.strategies.layers.fused_attention import packed
from convprof.strategies.plan_runner import PlanRunner

pytestmark = pytest.mark.skipif(
    target().arch != X86 or "avx512" not in isas.available(), reason="needs AVX-512 for the rest"
)
FUSED = registry.find("attention", "fused")


def amx_of(dtype="bf16", threads=1, tune="quick"):
    return Setting(dtype=dtype, isa="amx", threads=threads, tune=tune)


def checked(model, prepared, p):
    """Run what was prepared, compare its result with the reference, and look for faults."""
    of = prepared.setting.types
    operands = Operands(p, of, 3)
    prepared.bind(*operands.all("nchw"))
    model.memory = prepared.memory()
    for key in prepared.scratch():
        prepared._arrays[key].view("u1").fill(255)  # NaN: what is read was written before
    prepared.run()
    assert model.faults == []
    assert model.is_released
    limit = tolerance(of, p.terms, getattr(p, "roundings", 1))
    limit += p.known_error(of)
    assert max_rel_error(operands, prepared.output(), "nchw") <= limit


def fused(model, p, setting, blocking=None):
    first = FUSED.blockings(p, setting)[0] if blocking is None else blocking
    assert isinstance(first, TileBlocking)
    checked(model, FUSED.prepare_blocked(p, setting, first), p)


PROBLEMS = st.builds(
    lambda key_heads, sharing, tokens, more, **others: Attention(
        heads=key_heads * sharing,
        key_heads=key_heads,
        tokens=tokens,
        keys=tokens + more,
        **others,
    ),
    batch=st.integers(1, 2),
    key_heads=st.integers(1, 2),
    sharing=st.sampled_from([1, 1, 3]),
    tokens=st.integers(1, 80),
    more=st.sampled_from([0, 0, 1, 40]),
    dim=st.integers(1, 70),
    mask=st.sampled_from(MASKS),
).filter(lambda p: p.macs < 300_000)
DTYPES = ["bf16", "f16", "s8:s8:f32", "s8:s8:u8"]
SMALLEST, WHOLE = TileBlocking(2, 32), TileBlocking(2, 128)
BLOCKINGS = st.sampled_from([TileBlocking(4, 64), TileBlocking(4, 32), SMALLEST])
SHAPES = {
    mask: Attention(heads=2, key_heads=1, tokens=20, dim=33, keys=75, mask=mask) for mask in MASKS
}
"""Blocks of keys with a rest, and an odd number of elements; kernels are the same for all masks."""
PANELS = Attention(heads=1, tokens=70, dim=17, keys=131, mask=CAUSAL)


def test_random_problems(model):
    @settings(max_examples=2, deadline=None, derandomize=True)
    @given(PROBLEMS, st.sampled_from(DTYPES), st.integers(1, 2), BLOCKINGS)
    @example(SHAPES["none"], "bf16", 1, SMALLEST)
    @example(SHAPES["keys"], "bf16", 1, WHOLE)
    @example(SHAPES["pairs"], "bf16", 2, WHOLE)
    @example(PANELS, "bf16", 1, TileBlocking(4, 64))
    @example(SHAPES["none"], "s8:s8:s8", 1, SMALLEST)
    @example(SHAPES["causal"], "s8:s8:f32", 2, SMALLEST)
    @example(SHAPES["pairs"], "s8:s8:f32", 1, WHOLE)
    def problem(p, dtype, threads, blocking):
        fused(model, p, amx_of(dtype, threads), blocking)

    problem()


def test_no_product_is_computed_twice_and_each_task_configures_once(model):
    fused(model, Attention(heads=2, tokens=70, keys=90, dim=40), amx_of())
    columns = 2 + 2 + 1  # panels of 32, 32 and 6 queries
    scores, sums = 6 * columns * 2, 3 * columns * 3  # 96 keys by 64 elements; 48 elements, 96 keys
    assert model.counts["tdpbf16ps"] == 2 * (scores + sums)
    assert model.counts["ldtilecfg"] == model.counts["tilerelease"] == 2
    assert model.counts["tilestored64"] == 2 * (6 * columns + 3 * columns)


def test_a_causal_mask_leaves_out_keys(model):
    fused(model, Attention(heads=1, tokens=64, dim=32, mask=CAUSAL), amx_of(), TileBlocking(4, 64))
    scores, sums = (2 + 4) * 2, (2 + 2 * 2) * 2  # the first panel has half of the keys
    assert model.counts["tdpbf16ps"] == scores + sums


def test_scores_that_do_not_count(model):
    p = Attention(heads=1, tokens=16, dim=16, keys=70, mask="pairs")
    prepared = FUSED.prepare_blocked(p, amx_of(), TileBlocking(2, 96))
    q, kv, mask = Operands(p, types("bf16"), 3).all("nchw")
    mask = np.where(mask < 0.3, -np.inf, 0).astype(q.dtype)
    mask[..., 0, :] = types("bf16").source.lowest  # the mean of all values
    prepared.bind(q, kv, mask)
    model.memory = prepared.memory()
    prepared.run()
    expected = p.reference((q, kv, mask))
    error = np.max(np.abs(prepared.output() - expected)) / np.max(np.abs(expected))
    assert error <= tolerance(types("bf16"), p.terms, p.roundings)
    assert model.faults == []


def test_bytes_are_multiplied_with_their_signs(model):
    fused(model, Attention(heads=1, tokens=16, keys=70, dim=40), amx_of("s8:s8:f32"))
    assert model.counts["tdpbssd"] == 5  # 80 keys by 64 elements
    assert model.counts["tdpbsud"] == 3 * 2  # 48 elements by 128 keys


@pytest.mark.parametrize(("dtype", "dim"), [("f16", 33), ("s8:s8:u8", 20)])
def test_in_a_projection(model, dtype, dim):
    problem = Operation(op=ops.Attention(2), inputs=((2, 37, 3 * 2 * dim),))
    setting = amx_of(dtype, 2)
    plan = packed(problem.op, problem, setting)
    checked(model, PlanRunner("vectors", problem, setting, plan), problem)
    assert model.counts["tdpfp16ps" if dtype == "f16" else "tdpbsud"] > 0


def test_types_without_a_tile_instruction(model):
    p = Attention(heads=1, tokens=20, dim=16)
    assert not isinstance(FUSED.blockings(p, amx_of("f32"))[0], TileBlocking)
    with pytest.raises(ValueError, match="no tile instruction multiplies f32"):
        TileBlocks(p, amx_of("f32"), TileBlocking(2, 32))
    assert model.counts == {}


# The choice of blocks.


@pytest.fixture
def _caches(monkeypatch):
    """Of a core of Granite Rapids."""
    monkeypatch.setattr(amx_blocking, "l1_data_bytes", lambda: 48 << 10)
    monkeypatch.setattr(amx_blocking, "l2_bytes", lambda: 2 << 20)


@pytest.mark.usefixtures("_caches")
@pytest.mark.parametrize(
    ("text", "threads", "expected"),
    [
        ("1x12x197x64", 1, (14, 224)),  # one block
        ("1x12x577x64", 1, (14, 224)),
        ("1x1x577x64", 2, (4, 224)),
        ("1x12x1024x64:causal", 1, (16, 256)),
        ("1x1x1024x1024", 1, (4, 128)),
        ("1x1x5x4096", 1, (2, 32)),
        ("1x32x16x128:kv32x4096", 1, (2, 256)),
    ],
)
def test_blocks_fit_the_caches(model, text, threads, expected):  # noqa: ARG001
    p = parse(f"attention:{text}")
    first = FUSED.blockings(p, amx_of(threads=threads))[0]
    assert first == TileBlocking(*expected)


@pytest.mark.usefixtures("_caches")
@pytest.mark.parametrize("threads", [1, 7])
@pytest.mark.parametrize("tokens", [1, 31, 33, 197, 1000])
def test_blocks_of_a_causal_mask_are_whole_blocks_of_keys(model, tokens, threads):  # noqa: ARG001
    p = Attention(heads=3, tokens=tokens, dim=64, mask=CAUSAL)
    for each in FUSED.blockings(p, amx_of(threads=threads)):
        if isinstance(each, TileBlocking):
            assert each.queries * 16 % each.keys == 0
            assert each.keys % 32 == 0


@pytest.mark.usefixtures("_caches")
def test_auto_knows_how_fast_tile_registers_are(model):  # noqa: ARG001
    auto = registry.find("attention", "auto")
    chosen = {}
    for text in ("1x32x1x128:kv32x1024", "1x12x197x64"):
        choice, _, _ = auto.choose(parse(f"attention:{text}"), amx_of(tune="off"))
        chosen[text] = str(choice)
    assert list(chosen.values()) == ["streamed (keys 64)", "fused (queries 14, keys 224)"]
    p = parse("attention:1x12x197x64")
    vectors = FUSED.cycles(p, Setting(dtype="bf16", isa="avx512"))
    assert FUSED.cycles(p, amx_of()) < vectors / 2
    assert FUSED.cycles(p, amx_of("s8:s8:f32")) < FUSED.cycles(p, amx_of())
    masked = [
        FUSED.cycles(replace(p, mask=mask), amx_of()) for mask in (CAUSAL, "none", *MASKS[2:])
    ]
    assert masked == sorted(masked)
