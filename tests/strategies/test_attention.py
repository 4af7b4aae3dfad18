"""Attention by every strategy against the float64 oracle."""

from __future__ import annotations

import numpy as np
import pytest
from checks import any_setting, check_again, most_allocated
from hypothesis import given, settings
from hypothesis import strategies as st

import convprof
from convprof.codegen import isa as isas
from convprof.dtypes import DTYPES, F32, SHORT_FLOATS
from convprof.errors import ProblemError, TooLargeError
from convprof.machine import facts
from convprof.problems import Attention, Gemm, parse
from convprof.problems.attention import MASKS
from convprof.strategies import memory, plan_runner, registry
from convprof.strategies.attention import fused
from convprof.strategies.attention.kinds import kinds
from convprof.strategies.base import Setting
from convprof.strategies.peers.package import Library
from convprof.strategies.plan import WEIGHTS, X, Y

STRATEGIES = [s.name for s in registry.strategies("attention") if not isinstance(s, Library)]
STAGED = [name for name in STRATEGIES if name not in {"auto", "streamed"}]
"""The strategies that take every problem and choose nothing."""
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13, "bf16": 8e-3, "f16": 1e-3}
"""Half of what ``dtypes.tolerance`` allows for short floats."""

each_strategy = pytest.mark.parametrize("name", STAGED)

TOKENS = st.one_of(st.integers(1, 70), st.sampled_from([127, 130, 197, 257, 300]))
DIMS = st.one_of(st.integers(1, 80), st.sampled_from([16, 32, 64]))
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
    tokens=TOKENS,
    more=st.sampled_from([0, 0, 1, 64, 100]),
    dim=DIMS,
    mask=st.sampled_from(MASKS),
).filter(lambda p: p.macs < 12_000_000)


def operands(p, dtype, seed, spread=1.0):
    random = np.random.default_rng(seed)
    kind = DTYPES[dtype].array_type
    q, *others = (
        random.uniform(-1, 1, spec.shape).astype(kind) for spec in p.operands("nchw", F32)
    )
    return q * q.dtype.type(spread), *others


def prepared_for(p, name, setting, seed=0, spread=1.0):
    arrays = operands(p, setting.dtype, seed, spread)
    prepared = convprof.prepare(
        p, name, threads=setting.threads, dtype=setting.dtype, isa=setting.isa
    )
    prepared.bind(*arrays)
    return prepared, p.reference(arrays)


def error(prepared, reference):
    y = prepared.output()
    assert reference.shape == y.shape
    return np.max(np.abs(y - reference)) / np.max(np.abs(reference))


def check(p, name, setting, seed=0, spread=1.0):
    prepared, reference = prepared_for(p, name, setting, seed, spread)
    prepared.run()
    assert DTYPES[setting.dtype].array_type == prepared.output().dtype
    assert error(prepared, reference) < TOLERANCE[setting.dtype] * max(1, spread)
    check_again(prepared)
    prepared.close()


def test_the_oracle_is_the_definition():
    p = Attention(batch=2, heads=3, tokens=4, dim=5)
    q, (k, v) = operands(p, "f64", 0)
    y = p.reference((q, np.stack([k, v])))
    for b, h, i in np.ndindex(2, 3, 4):
        weights = [np.exp(sum(q[b, h, i] * k[b, h, j]) / 5**0.5) for j in range(4)]
        expected = sum(weights[j] * v[b, h, j] for j in range(4)) / sum(weights)
        np.testing.assert_allclose(y[b, h, i], expected, rtol=1e-13)
    points = np.array([0, 7, 21, 22, 119])
    some = p.reference((q, np.stack([k, v])), points)
    np.testing.assert_allclose(some, y.ravel()[points], rtol=1e-14)


@each_strategy
def test_random_problems(name):
    # No example after the 5th of 40 took a branch of its own.
    @settings(max_examples=10 if name == "fused" else 6, deadline=None, derandomize=True)
    @given(PROBLEMS, any_setting("attention", name, THREADS, ["nchw"]), st.integers(0, 999))
    def problem(p, setting, seed):
        check(p, name, setting, seed)

    problem()


FEW = st.builds(
    lambda key_heads, sharing, **others: Attention(
        heads=key_heads * sharing, key_heads=key_heads, **others
    ),
    batch=st.integers(1, 2),
    key_heads=st.integers(1, 2),
    sharing=st.integers(1, 4),
    tokens=st.integers(1, 2),
    keys=st.one_of(st.integers(1, 20), st.sampled_from([64, 67, 130])),
    dim=DIMS,
)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(FEW, any_setting("attention", "streamed", THREADS, ["nchw"]), st.integers(0, 999))
def test_few_queries(p, setting, seed):
    check(p, "streamed", setting, seed)


@pytest.mark.parametrize("dtype", SHORT_FLOATS)
def test_few_queries_of_short_floats(dtype):
    setting = Setting(dtype=dtype)
    reason = registry.find("attention", "streamed").why_not(CASES["one query"], setting)
    if reason is not None:
        pytest.skip(reason)
    check(CASES["one query"], "streamed", setting)


def test_streamed_refuses_what_it_does_not_pay_for():
    streamed, setting = registry.find("attention", "streamed"), Setting()
    reasons = {
        text: streamed.why_not(parse(f"attention:{text}"), setting)
        for text in ("1x8x1x64:kv1x90", "1x9x1x64:kv1x90", "1x2x3x64:causal", "1x1x1x600")
    }
    assert list(reasons.values()) == [
        None,
        "streamed is for up to 8 queries of a head of keys, not 9",
        "streamed computes attention without a mask, not causal",
        "streamed has up to 512 elements in a head, not 600",
    ]


def test_the_model_chooses_by_the_number_of_queries():
    chosen = {}
    for text in ("1x32x1x128:kv32x1024", "1x12x197x64"):  # with vectors of any length
        setting = Setting(tune="off")
        auto = registry.find("attention", "auto")
        chosen[text] = str(auto.choose(parse(f"attention:{text}"), setting)[0]).split(" ")[0]
    assert list(chosen.values()) == ["streamed", "fused"]


@pytest.mark.usefixtures("_usual_core")
@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("keys", ["64:kv12x1024", "128:kv12x512"])
def test_the_model_counts_the_copies_of_few_queries(dtype, keys):
    setting, auto = (
        Setting(dtype=dtype, isa="avx512", tune="off"),
        registry.find("attention", "auto"),
    )
    if auto.why_not(CASES["vit"], setting):
        pytest.skip("no F16C")
    problems = [parse(f"attention:1x12x{queries}x{keys}") for queries in (1, 2, 4, 6, 9)]
    chosen = [auto.candidates(p, setting)[0].strategy.name for p in problems]
    assert chosen == [*["streamed"] * 4, "fused"]


CASES = {
    "one token": Attention(heads=1, tokens=1, dim=1),
    "one dimension": Attention(heads=2, tokens=33, dim=1),
    "one block": Attention(heads=2, tokens=64, dim=64),
    "one token beyond": Attention(heads=2, tokens=65, dim=33),
    "several blocks of keys": Attention(heads=1, tokens=500, dim=20),
    "vit": Attention(heads=3, tokens=197, dim=64),
    "wide": Attention(heads=1, tokens=20, dim=300),
    "one query": Attention(heads=6, tokens=1, dim=32, key_heads=2, keys=150, mask="causal"),
    "causal": Attention(heads=2, tokens=197, dim=64, mask="causal"),
    "causal after others": Attention(heads=4, tokens=130, dim=16, key_heads=2, keys=226,
                                     mask="causal"),
    "keys": Attention(batch=2, heads=4, tokens=33, dim=16, key_heads=2, keys=200, mask="keys"),
    "pairs": Attention(batch=2, heads=2, tokens=70, dim=16, keys=200, mask="pairs"),
}  # fmt: skip


@each_strategy
@pytest.mark.parametrize("case", CASES)
def test_particular_problems(case, name):
    check(CASES[case], name, Setting(threads=THREADS[-1]))


@each_strategy
@pytest.mark.parametrize("case", ["keys", "pairs"])
def test_keys_that_do_not_count(case, name):
    p = CASES[case]
    prepared = convprof.prepare(p, name)
    q, kv, mask = operands(p, "f32", 0)
    mask[...] = np.where(mask < 0.3, DTYPES["f32"].lowest, 0)
    mask[0, 0, 0] = DTYPES["f32"].lowest  # the mean of all values
    prepared.bind(q, kv, mask)
    prepared.run()
    assert error(prepared, p.reference((q, kv, mask))) < TOLERANCE["f32"]


@pytest.mark.parametrize(
    ("tokens", "more"), [(1, 0), (16, 0), (40, 0), (33, 1), (33, 15), (70, 64), (5, 47)]
)
@pytest.mark.parametrize("keys", [8, 16])
def test_a_block_of_queries_has_the_keys_up_to_its_last_query(keys, tokens, more):
    p, width = Attention(heads=1, tokens=tokens, keys=tokens + more, dim=1, mask="causal"), 16
    of_blocks = kinds(p, width, keys)
    for first in range(0, tokens, width):
        block = first // width
        kind = [each for each in of_blocks if each.run.first <= block][-1]
        steps = max(0, kind.run.steps + (block - kind.run.first) * kind.run.growth)
        assert kind.has_steps or not steps
        assert kind.queries == min(width, tokens - first)
        before = kind.begin.keys + steps * keys if kind.last.keys else 0
        diagonal = kind.last if kind.last.keys else kind.begin
        assert before + diagonal.keys == more + first + kind.queries
        for query in range(kind.queries):
            assert before + diagonal.of(query) == more + first + query + 1
            assert diagonal.of(query) <= diagonal.computed(query) <= diagonal.keys


@each_strategy
@pytest.mark.parametrize("spread", [30.0, 1e6, 1e30])
def test_large_scores_do_not_overflow(spread, name):
    p = Attention(heads=2, tokens=300, dim=64)
    prepared, reference = prepared_for(p, name, Setting(), spread=spread)
    prepared.run()
    assert np.isfinite(prepared.output()).all()
    if spread == 30:
        assert error(prepared, reference) < 1e-4


def test_large_scores_of_bf16_do_not_overflow():
    p = Attention(heads=1, tokens=150, dim=64)
    for spread in (30.0, 1e30):
        prepared, reference = prepared_for(p, "fused", Setting(dtype="bf16"), spread=spread)
        prepared.run()
        assert np.isfinite(prepared.output().astype("f4")).all()
        if spread == 30:
            assert error(prepared, reference) < TOLERANCE["bf16"]


@each_strategy
def test_equal_scores_give_the_mean_of_the_values(name):
    p = Attention(heads=2, tokens=150, dim=7)
    _, kv = operands(p, "f32", 0)
    prepared = convprof.prepare(p, name)
    for value in (0, 1000):  # the same score for all keys
        kv[0] = value
        prepared.bind(np.ones(p.shape), kv)
        prepared.run()
        mean = np.broadcast_to(kv[1].astype("f8").mean(axis=2, keepdims=True), p.shape)
        np.testing.assert_allclose(prepared.output(), mean, atol=1e-6)


@each_strategy
def test_a_maximum_that_comes_last_outweighs_all_before(name):
    p = Attention(heads=1, tokens=400, dim=4)
    q, kv = np.ones(p.shape, "f4"), np.zeros((2, *p.shape), "f4")
    kv[0, ..., :] = 0.25 * np.arange(400)[:, None]
    kv[1, ..., :] = np.arange(400)[:, None]
    prepared = convprof.prepare(p, name)
    prepared.bind(q, kv)
    prepared.run()
    np.testing.assert_allclose(prepared.output(), p.reference((q, kv)), rtol=1e-5)
    kv[0] = kv[0, ..., ::-1, :].copy()  # and one that comes first
    prepared.run()
    np.testing.assert_allclose(prepared.output(), p.reference((q, kv)), rtol=1e-4)


@each_strategy
def test_work_in_slices_that_can_be_interrupted(monkeypatch, name):
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", 5_000)
    for threads in THREADS:
        check(Attention(heads=2, tokens=70, dim=9), name, Setting(threads=threads))


@pytest.mark.parametrize("l1_bytes", [1, 1 << 30])
def test_any_size_of_the_first_cache(monkeypatch, l1_bytes):
    monkeypatch.setattr(fused, "l1_data_bytes", lambda: l1_bytes)
    for threads in THREADS:
        check(Attention(heads=2, tokens=197, dim=24), "fused", Setting(threads=threads))


def test_every_variant_is_right():
    p = Attention(heads=2, tokens=300, dim=33)
    strategy, setting = registry.find("attention", "fused"), Setting(threads=THREADS[-1])
    q, kv = operands(p, "f32", 0)
    variants = strategy.blockings(p, setting)
    assert len(variants) > 2
    for variant in variants:
        prepared = strategy.prepare_blocked(p, setting, variant)
        prepared.bind(q, kv)
        prepared.run()
        assert error(prepared, p.reference((q, kv))) < 1e-5


def test_auto_is_one_of_ours():
    p = Attention(heads=2, tokens=100, dim=16)
    prepared, reference = prepared_for(p, "auto", Setting())
    prepared.run()
    assert error(prepared, reference) < 1e-5
    assert prepared.explanation[0].startswith("fused (queries ")


def test_the_memory_of_fused_is_flat_in_the_number_of_tokens():
    sizes = {
        tokens: convprof.prepare(
            Attention(heads=1, tokens=tokens, dim=64), "fused", threads=THREADS[-1]
        ).workspace_bytes
        for tokens in (1024, 4096, 16384)
    }
    assert max(sizes.values()) - min(sizes.values()) < 2048  # other tiles at the end
    assert sizes[1024] < 256 * 1024 * THREADS[-1]
    whole = convprof.prepare(Attention(heads=1, tokens=1024, dim=64), "naive").workspace_bytes
    assert whole >= 4 * 1024**2


@each_strategy
def test_binding_again_and_changing_an_operand_in_place(name):
    p = CASES["one token beyond"]
    prepared, _ = prepared_for(p, name, Setting(), seed=1)
    prepared.run()
    q, kv = operands(p, "f32", 2)
    prepared.bind(q, kv)
    before = q.tobytes(), kv.tobytes()
    prepared.run()
    assert before == (q.tobytes(), kv.tobytes())
    assert error(prepared, p.reference((q, kv))) < 1e-5
    q *= 2
    kv *= 0.5  # nothing of it was prepared beforehand
    prepared.run()
    assert error(prepared, p.reference((q, kv))) < 1e-5
    assert prepared.prepare_s == 0


@each_strategy
def test_operands_that_do_not_fit(name):
    prepared = convprof.prepare(Attention(heads=2, tokens=3, dim=4), name)
    with pytest.raises(ProblemError, match=r"weights has shape \(1, 2, 3, 4\); this problem needs"):
        prepared.bind(np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 4)))


@each_strategy
def test_running_allocates_no_arrays(name):
    p = Attention(heads=2, tokens=150, dim=64)
    for threads in THREADS:
        prepared, _ = prepared_for(p, name, Setting(threads=threads))
        # the buffers of a NumPy loop; each operand has over 70,000 bytes
        assert most_allocated(prepared) < 40_000


@each_strategy
def test_workspace_bytes_equal_the_arrays(name):
    prepared, _ = prepared_for(CASES["vit"], name, Setting())
    theirs = [prepared._arrays[key] for key in (X, WEIGHTS, Y)]
    ours = [array for array in prepared.memory() if not any(array is item for item in theirs)]
    assert len(prepared.memory()) == len(ours) + len(theirs)
    uncounted = sum(array.nbytes for array in ours) - prepared.workspace_bytes
    assert uncounted == 0


@pytest.mark.parametrize("dtype", SHORT_FLOATS)
@pytest.mark.parametrize("name", ["naive", "fused"])
@pytest.mark.parametrize("case", ["one token beyond", "causal", "pairs"])
def test_short_floats(case, name, dtype):
    setting = Setting(dtype=dtype, threads=THREADS[-1])
    reason = registry.find("attention", name).why_not(CASES[case], setting)
    if reason is not None:
        pytest.skip(reason)
    check(CASES[case], name, setting)


@pytest.mark.parametrize("isa", isas.available())
def test_every_instruction_set_in_bf16(isa):
    for p in (CASES["vit"], CASES["one token beyond"]):
        check(p, "fused", Setting(dtype="bf16", isa=isa))


VECTORS = (isas.widths() or ("native",))[-1]
"""The widest vectors, without the tile registers of AMX."""


@pytest.mark.skipif(
    not isas.find(VECTORS).has("avx512bf16"), reason="the CPU multiplies no pairs of bf16"
)
def test_pairs_of_bf16_are_multiplied_without_conversions():
    prepared = convprof.prepare(CASES["vit"], "fused", dtype="bf16", isa=VECTORS)
    products = [text for title, text in prepared.inner_loops() if "tile" in title]
    assert products
    for text in products:
        assert "vdpbf16ps" in text
        assert "vfmadd" not in text
        assert "vpmovzxwd" not in text


def test_phases_and_inner_loops():
    p = CASES["vit"]
    prepared, _ = prepared_for(p, "naive", Setting())
    assert list(prepared.run_phases()) == ["scores", "softmax", "values"]
    prepared, _ = prepared_for(p, "fused", Setting())
    assert prepared.run_phases() == {}
    ((title, text),) = prepared.inner_loops()
    assert "tile" in title
    assert text


@each_strategy
def test_refusals(name):
    strategy = registry.find("attention", name)
    p = CASES["vit"]
    assert strategy.why_not(p, Setting(threads=2)) is None
    bytes_ = strategy.why_not(p, Setting(dtype="u8:s8:s32"))
    every = "f32, f64, bf16, f16, s8:s8:f32, s8:s8:s8 and s8:s8:u8"
    types = "f32 and f64" if name == "blas" else every
    assert bytes_ == f"{name} computes {types}, not int8"
    gemm = f"{name} computes attention, not gemm"
    assert gemm == strategy.why_not(Gemm(m=1, n=1, k=1), Setting())


@each_strategy
def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch, name):
    def allocate(*_):
        raise AssertionError

    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    monkeypatch.setattr(memory, "zeros", allocate)
    with pytest.raises(TooLargeError) as caught:
        convprof.prepare(Attention(heads=4, tokens=1024, dim=64), strategy=name)
    assert str(caught.value).startswith(f"{name} of attention:1x4x1024x64 needs ")
    assert "\n" not in str(caught.value)
