"""Attention of bytes by every strategy: its definition, its error, and every way to multiply."""

from __future__ import annotations

import numpy as np
import pytest
from checks import check_again
from hypothesis import given, settings
from hypothesis import strategies as st

import convprof
from convprof.codegen import isa as isas
from convprof.codegen.kernels.widening import Bytes
from convprof.dtypes import ATTENTION_BYTES, of_kind, tolerance, types
from convprof.errors import ProblemError, RefusedError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Attention, parse
from convprof.problems.attention import MASKS
from convprof.problems.attention_bytes import FAR
from convprof.strategies import registry
from convprof.strategies.attention import forms
from convprof.strategies.attention.blocks import AttentionBlocking
from convprof.strategies.base import Setting

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
VECTORS = (isas.widths() or ("native",))[-1]
"""The widest vectors, without the tile registers of AMX."""
PROBLEMS = st.builds(
    lambda key_heads, sharing, tokens, more, **others: Attention(
        heads=key_heads * sharing, key_heads=key_heads, tokens=tokens, keys=tokens + more, **others
    ),
    batch=st.integers(1, 2),
    key_heads=st.integers(1, 2),
    sharing=st.sampled_from([1, 3]),
    tokens=st.one_of(st.integers(1, 40), st.sampled_from([130, 213])),
    more=st.sampled_from([0, 1, 100]),
    dim=st.one_of(st.integers(1, 40), st.sampled_from([16, 64])),
    mask=st.sampled_from(MASKS),
).filter(lambda p: p.macs < 6_000_000)


def check(p, name, setting, seed=0, blocking=None):
    operands, strategy = Operands(p, setting.types, seed), registry.find("attention", name)
    prepared = (
        strategy.prepare_blocked(p, setting, blocking) if blocking else strategy.prepare(p, setting)
    )
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    check_again(prepared)
    y = prepared.output()
    assert y.dtype == setting.types.result.array_type
    limit = tolerance(setting.types, p.terms, p.roundings) + p.known_error(setting.types)
    assert max_rel_error(operands, y, "nchw") <= limit
    prepared.close()
    return y


FEW = st.builds(
    lambda key_heads, sharing, **others: Attention(
        heads=key_heads * sharing, key_heads=key_heads, **others
    ),
    batch=st.integers(1, 2),
    key_heads=st.integers(1, 2),
    sharing=st.integers(1, 4),
    tokens=st.integers(1, 2),
    keys=st.one_of(st.integers(1, 20), st.sampled_from([64, 67, 130])),
    dim=st.one_of(st.integers(1, 80), st.sampled_from([64, 128])),
)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    FEW,
    st.sampled_from(ATTENTION_BYTES),
    st.sampled_from(isas.available() or ("native",)),
    st.sampled_from(THREADS),
    st.integers(0, 99),
)
def test_few_queries(p, dtype, isa, threads, seed):
    check(p, "streamed", Setting(dtype=dtype, isa=isa, threads=threads), seed)


def test_few_queries_are_the_definition():
    p = parse("attention:1x4x2x20:kv2x90")
    q, kv, scales = exact_scales(p)
    prepared = convprof.prepare(p, "streamed", dtype="int8")
    prepared.bind(q, kv, scales)
    prepared.run()
    y, sums = weighted(p, q, kv)
    assert (np.abs(prepared.output() - y) <= 3 * 2 * 128 / sums).all()


def test_the_model_chooses_by_the_number_of_queries():
    setting = Setting(dtype="s8:s8:f32", tune="off", isa=VECTORS)
    auto = registry.find("attention", "auto")
    texts = ("1x32x1x128:kv32x1024", "1x12x197x64")
    chosen = [auto.choose(parse(f"attention:{text}"), setting)[0] for text in texts]
    assert [str(each).split(" ")[0] for each in chosen] == ["streamed", "fused"]


@pytest.mark.parametrize("name", ["naive", "fused"])
def test_random_problems(name):
    @settings(max_examples=5, deadline=None, derandomize=True)
    @given(
        PROBLEMS,
        st.sampled_from(ATTENTION_BYTES),
        st.sampled_from(isas.available() if name == "fused" else ("native",)),
        st.sampled_from(THREADS),
        st.integers(0, 99),
    )
    def problem(p, dtype, isa, threads, seed):
        check(p, name, Setting(dtype=dtype, isa=isa, threads=threads), seed)

    problem()


CASES = [
    *("1x1x1x1", "1x2x65x33", "1x3x197x64", "1x4x130x16:kv2x226:causal"),
    *("2x2x33x16:kv2x300:keys", "2x2x70x15:kv1x200:pairs"),
]


@pytest.mark.parametrize("text", CASES)
def test_particular_problems(text):
    p, setting = parse(f"attention:{text}"), Setting(dtype="s8:s8:f32", threads=THREADS[-1])
    ours = check(p, "fused", setting, seed=1)
    # Weights of a block relative to the largest score so far: a unit of 1/255 is the difference.
    np.testing.assert_allclose(check(p, "naive", setting, seed=1), ours, atol=0.2 / p.keys**0.5)


def exact_scales(p, seed=0):
    """Operands with scales that make a unit of scores 1/1,000."""
    q, kv, *mask, _ = Operands(p, types("s8:s8:f32"), seed).all("nchw")
    return q, kv, *mask, np.array([0.001 * p.dim**0.5, 1, 2], np.float32)


def weighted(p, q, kv, added=0.0):
    """The definition, with rounded weights of all keys: results, and the sums of weights."""
    k, v = (np.repeat(x, p.sharing, axis=1).astype("f8") for x in kv)
    scores = q.astype("f8") @ k.swapaxes(-1, -2) + added
    below = scores - scores.max(axis=-1, keepdims=True)
    weights = np.where(below > -FAR / 2, np.rint(255 * np.exp(0.001 * below)), 0)
    sums = weights.sum(axis=-1, keepdims=True)
    return 2 * (weights @ v) / sums, sums


@pytest.mark.parametrize("isa", isas.available())
def test_one_block_of_keys_is_the_definition(isa):
    p = parse("attention:1x4x37x20:kv2x90")
    q, kv, scales = exact_scales(p)
    prepared = convprof.prepare(p, "fused", dtype="int8", isa=isa)
    prepared.bind(q, kv, scales)
    prepared.run()
    y, sums = weighted(p, q, kv)
    # Weights near a half may be rounded the other way, by an exponential in f32.
    assert (np.abs(prepared.output() - y) <= 3 * 2 * 128 / sums).all()


def test_a_mask_is_in_units_and_low_numbers_do_not_count():
    p = parse("attention:2x1x5x8:kv1x40:keys")
    q, kv, mask, scales = exact_scales(p)
    mask[0, ..., 3:] = -np.inf
    mask[1, ..., ::2] = -1e30
    units = np.clip(np.trunc(mask.astype("f8") / 0.001), -FAR, FAR)
    y, sums = weighted(p, q, kv, units)
    for name in ("naive", "fused"):
        prepared = convprof.prepare(p, name, dtype="int8")
        prepared.bind(q, kv, mask, scales)
        prepared.run()
        assert (np.abs(prepared.output() - y) <= 3 * 2 * 128 / sums).all()
    reference = p.reference_in(types("s8:s8:f32"), (q, kv, mask, scales))
    assert np.abs(reference - y).max() < 0.02 * np.abs(y).max()


def test_keys_that_do_not_count_until_a_later_block():
    p = parse("attention:1x2x20x8:kv2x64:keys")
    q, kv, mask, scales = exact_scales(p)
    mask[...] = 0
    mask[..., :50] = -np.inf
    strategy, setting = registry.find("attention", "fused"), Setting(dtype="s8:s8:f32")
    prepared = strategy.prepare_blocked(p, setting, AttentionBlocking(2, 16, 2, 1))
    prepared.bind(q, kv, mask, scales)
    prepared.run()
    y, sums = weighted(p, q, kv, np.where(np.arange(64) < 50, -FAR, 0))
    assert (np.abs(prepared.output() - y) <= 3 * 2 * 128 / sums).all()


@pytest.mark.parametrize("earlier", [1, 2, 3])
def test_the_only_query_of_a_block_has_whole_blocks_of_keys(earlier):
    lanes = isas.find(VECTORS).lanes(4)
    tokens = 2 * lanes + 1
    p = Attention(heads=2, tokens=tokens, keys=tokens - 1 + earlier * lanes, dim=8, mask="causal")
    blocking = AttentionBlocking(1, lanes, 1, 1)
    check(p, "fused", Setting(dtype="s8:s8:f32", isa=VECTORS), 3, blocking)


@pytest.mark.parametrize("name", ["naive", "fused"])
def test_a_mask_of_scores_that_are_nearly_equal(name):
    p = parse("attention:1x2x9x8:keys")
    q, kv, mask, _ = exact_scales(p)
    mask[...] = np.where(np.arange(9) < 5, 0, -np.inf)
    operands = q, kv, mask, np.array([1e-30, 1e-30, 1], np.float32)
    prepared = convprof.prepare(p, name, dtype="int8")
    prepared.bind(*operands)
    prepared.run()
    mean = kv[1][..., :5, :].mean(axis=-2, keepdims=True)
    np.testing.assert_allclose(prepared.output(), np.broadcast_to(mean, q.shape), rtol=1e-5)
    reference = p.reference_in(types("s8:s8:f32"), operands)
    np.testing.assert_allclose(reference, np.broadcast_to(mean, q.shape), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "dtype", "seed"),
    [("1x8x1x16:kv1x17", "s8:s8:u8", 449), ("2x8x8x1:kv1x72:keys", "s8:s8:s8", 315)],
)
def test_a_result_that_is_one_byte_more_or_less_is_not_wrong(text, dtype, seed):
    check(parse(f"attention:{text}"), "fused", Setting(dtype=dtype, isa=VECTORS), seed)


def test_results_of_bytes_saturate():
    p = parse("attention:1x1x4x8")
    q, kv, scales = exact_scales(p)
    kv[1] = 100
    kv[1, ..., 4:] = -100
    prepared = convprof.prepare(p, "fused", dtype="s8:s8:u8")
    for step, low, high in ((2.0, 28, 228), (0.5, 0, 255)):
        prepared.bind(q, kv, scales, np.array([step], np.float32), np.array([128], np.int32))
        prepared.run()
        assert np.unique(prepared.output()).tolist() == [low, high]


@pytest.mark.parametrize("way", ["any CPU", "signed bytes only"])
def test_ways_of_other_cpus(monkeypatch, way):
    if way == "any CPU":
        monkeypatch.setattr(forms, "bytes_dot", lambda _, source: Bytes(4, 4, source == "s8"))
    else:  # keys are not copied as u8
        monkeypatch.setattr(forms, "Shifted", object)
    for text in ("1x2x17x13", "1x2x18x8:kv1x20:causal"):
        check(parse(f"attention:{text}"), "fused", Setting(dtype="s8:s8:f32", isa=VECTORS))
    check(parse("attention:1x3x1x13:kv1x20"), "streamed", Setting(dtype="s8:s8:f32", isa=VECTORS))


@pytest.mark.skipif(not isas.find(VECTORS).has("avx512vnni"), reason="the CPU has no AVX-512 VNNI")
def test_products_are_vpdpbusd_without_conversions():
    prepared = convprof.prepare("attention:1x3x197x64", "fused", dtype="int8", isa=VECTORS)
    products = [text for title, text in prepared.inner_loops() if "tile" in title]
    assert products
    for text in products:
        assert "vpdpbusd" in text
        assert "vpxor" not in text
        assert "vpmovsx" not in text


def test_int8_is_what_attention_means_by_it():
    assert of_kind("u8:s8:s32", "attention") == "s8:s8:f32"
    assert of_kind("u8:s8:s32", "gemm") == "u8:s8:s32"
    assert of_kind("bf16", "attention") == "bf16"
    prepared = convprof.prepare("attention:1x1x2x4", "fused", dtype="int8")
    assert prepared.setting.dtype == "s8:s8:f32"


def test_refusals():
    with pytest.raises(RefusedError, match=r"^fused has up to 4,096 elements in a head of bytes"):
        convprof.prepare("attention:1x1x2x5000", "fused", dtype="int8")
    prepared = convprof.prepare("attention:1x1x2x4", "fused", dtype="int8")
    q, kv, scales = exact_scales(prepared.problem)
    for bad in (0, -1, np.nan, np.inf):
        scales[1] = bad
        with pytest.raises(ProblemError, match="must be finite and above 0"):
            prepared.bind(q, kv, scales)
    prepared = convprof.prepare("attention:1x1x2x4", "fused", dtype="s8:s8:u8")
    q, kv, scales = exact_scales(prepared.problem)
    for bad in (0, -1, np.nan, np.inf):
        with pytest.raises(ProblemError, match="must be finite and above 0"):
            prepared.bind(q, kv, scales, np.array([bad], np.float32), np.array([3], np.int32))


def test_the_memory_of_fused_is_flat_in_the_number_of_tokens():
    sizes = {
        tokens: convprof.prepare(
            f"attention:1x1x{tokens}x64", "fused", dtype="int8"
        ).workspace_bytes
        for tokens in (1040, 16640)
    }
    assert max(sizes.values()) - min(sizes.values()) < 64 * 1024  # other blocks of keys
    assert max(sizes.values()) < 512 * 1024
