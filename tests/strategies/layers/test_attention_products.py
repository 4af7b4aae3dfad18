"""The products of two activations, and attention as one operation, against float64 formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen.isa import available
from convprof.dtypes import COMMON, DTYPES, F32, tolerance
from convprof.errors import ProblemError, RefusedError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems.operation import Operation
from convprof.problems.ops import (
    Add,
    Attention,
    AttentionMix,
    AttentionScores,
    MatMul,
    Rearranged,
    RearrangedAttention,
    Reshape,
    Slice,
    Softmax,
    Terms,
    Transpose,
)
from convprof.strategies.base import Setting
from convprof.strategies.gemm import blocked
from convprof.strategies.layers import batched_products, fused_attention
from convprof.strategies.layers.attention_products import matmul, mix, scores
from convprof.strategies.layers.fused_attention import packed as packed_attention
from convprof.strategies.plan_runner import PlanRunner

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}
SETTINGS = st.builds(
    Setting,
    st.just("nhwc"),
    st.sampled_from(COMMON),
    st.sampled_from(THREADS),
    st.sampled_from(available() or ("native",)),
)
TOKENS = st.one_of(st.integers(1, 70), st.sampled_from([127, 197]))
DIMS = st.one_of(st.integers(1, 40), st.sampled_from([64, 80]))
SIZES = st.tuples(st.integers(1, 2), TOKENS, st.integers(1, 3), DIMS)


def parts(packed, heads):
    """Return queries, keys and values, (n, heads, t, d) each, in float64."""
    n, t, width = packed.shape
    split = packed.astype("f8").reshape(n, t, 3, heads, width // (3 * heads))
    return split.transpose(2, 0, 3, 1, 4)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def weighted(weights, packed, heads):
    n, t, width = packed.shape
    values = weights.astype("f8") @ parts(packed, heads)[2]
    return values.transpose(0, 2, 1, 3).reshape(n, t, width // 3)


def score_matrix(packed, heads):
    q, k, _ = parts(packed, heads)
    return q @ k.swapaxes(2, 3) / q.shape[-1] ** 0.5


def drawn(shape, setting, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, shape).astype(DTYPES[setting.dtype].numpy)


def check(builder, op, operands, setting, expected):
    problem = Operation(op=op, inputs=tuple(x.shape for x in operands))
    prepared = PlanRunner("vectors", problem, setting, builder(op, problem, setting))
    assert None is not prepared.works()
    prepared.bind(*operands)
    before = [x.tobytes() for x in operands]
    prepared.output().fill(np.nan)
    prepared.run()
    y = prepared.output()
    assert expected.shape == y.shape
    assert operands[0].dtype == y.dtype
    largest = np.max(np.abs(expected))
    assert np.max(np.abs(y - expected)) <= TOLERANCE[setting.dtype] * largest
    first = y.tobytes()
    y.fill(np.nan)  # and the scratch memory may be anybody's between two runs
    for key in prepared.scratch():
        prepared._arrays[key].fill(np.nan)
    prepared.run()
    assert first == prepared.output().tobytes()
    assert before == [x.tobytes() for x in operands]


def check_scores(sizes, setting, seed=0):
    n, t, heads, d = sizes
    packed = drawn((n, t, 3 * heads * d), setting, seed)
    check(scores, AttentionScores(heads), [packed], setting, score_matrix(packed, heads))


def check_mix(sizes, setting, seed=0):
    n, t, heads, d = sizes
    packed = drawn((n, t, 3 * heads * d), setting, seed)
    weights = drawn((n, heads, t, t), setting, seed + 1)
    expected = weighted(weights, packed, heads)
    check(mix, AttentionMix(heads), [weights, packed], setting, expected)


def check_attention(sizes, setting, seed=0):
    n, t, heads, d = sizes
    packed = drawn((n, t, 3 * heads * d), setting, seed)
    expected = weighted(softmax(score_matrix(packed, heads)), packed, heads)
    check(packed_attention, Attention(heads), [packed], setting, expected)


HEADS_FIRST = Rearranged((Reshape((2, 400, 2, 8)), Transpose((0, 2, 1, 3))))
IN_PROJECTION = [Rearranged((Slice(2, at, at + 16), *HEADS_FIRST.ops)) for at in (0, 16, 32)]
DENSE = Rearranged((Reshape((2, 2, 70, 8)),))
SHARED = Rearranged((Reshape((2, 1, 90, 8)),))
REARRANGED = {
    "a projection": ({"tokens_first": True, "sources": (0, 0, 0)}, IN_PROJECTION, [(2, 400, 48)]),
    "causal": (
        {"mask": Terms((1, 1, 400, 400), learned=False, causal=True)},
        [HEADS_FIRST, *IN_PROJECTION[1:]],
        [(2, 400, 16), *[(2, 400, 48)] * 2],
    ),
    "a mask of keys": (
        {"mask": Add(), "sharing": 2, "tokens_first": True},
        [DENSE, SHARED, SHARED],
        [(2, 2, 70, 8), *[(2, 1, 90, 8)] * 2, (2, 1, 1, 90)],
    ),
    "rows of an odd length": (
        {"tokens_first": True, "sources": (0, 0, 0)},
        [
            Rearranged((Slice(2, at, at + 16), Reshape((2, 40, 2, 8)), Transpose((0, 2, 1, 3))))
            for at in (0, 17, 33)
        ],
        [(2, 40, 49)],
    ),
    "terms": (
        {"mask": Terms((1, 2, 70, 90)), "sharing": 2},
        [DENSE, SHARED, SHARED],
        [(2, 2, 70, 8), *[(2, 1, 90, 8)] * 2],
    ),
}


def rearranged_op(case):
    settings, parts, inputs = REARRANGED[case]
    parts = dict(zip(("queries", "keys", "values"), parts, strict=True))
    return RearrangedAttention(heads=2, scale=0.3, **parts, **settings), inputs


@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        *((case, "f32") for case in REARRANGED),
        ("a mask of keys", "bf16"),
        ("rows of an odd length", "bf16"),
        ("rows of an odd length", "f16"),
    ],
)
def test_attention_reads_its_operands_where_they_are(case, dtype):
    op, inputs = rearranged_op(case)
    problem = Operation(op=op, inputs=tuple(inputs))
    setting = Setting("nhwc", dtype, THREADS[-1])
    operands = Operands(problem, setting.types, 0)
    plan = fused_attention.rearranged(op, problem, setting)
    buffers = {"a projection": 1, "causal": 2}  # keys and values of many tokens are copied
    phases = [*["gather"] * buffers.get(case, 0), "attention"]
    assert [step.phase for step in plan.steps] == phases
    prepared = PlanRunner("vectors", problem, setting, plan)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    limit = tolerance(setting.types, problem.terms)
    assert max_rel_error(operands, prepared.output(), "nchw") <= limit


def test_attention_refuses_keys_that_do_not_fit():
    op, inputs = rearranged_op("terms")
    with pytest.raises(ProblemError, match=r"its keys \(2, 1, 91, 8\) do not fit queries"):
        replace(op, keys=Rearranged((Reshape((2, 1, 91, 8)),))).output(
            inputs[0], (2, 1, 91, 8), inputs[2]
        )
    with pytest.raises(ProblemError, match="it needs 3 inputs"):
        op.output(inputs[0])


def check_matmul(op, a, b, setting):
    turned = b.swapaxes(-1, -2) if op.transpose_b else b
    check(matmul, op, [a, b], setting, op.scale * (a.astype("f8") @ turned))


CHECKS = {"scores": check_scores, "mix": check_mix, "attention": check_attention}
each = pytest.mark.parametrize("name", CHECKS)


@each
def test_random_sizes(name):
    @settings(max_examples=8, deadline=None, derandomize=True)
    @given(SIZES, SETTINGS, st.integers(0, 99))
    def sizes(given_sizes, setting, seed):
        CHECKS[name](given_sizes, setting, seed)

    sizes()


@each
@pytest.mark.parametrize("sizes", [(2, 197, 3, 64), (1, 257, 2, 80), (1, 1, 1, 1), (1, 65, 1, 33)])
def test_particular_sizes(sizes, name):
    CHECKS[name](sizes, Setting(threads=THREADS[-1]))


@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.tuples(*[st.integers(1, 80)] * 3),
    st.booleans(),
    st.sampled_from([1.0, 0.25]),
    SETTINGS,
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_product_of_two_activations(batch, mnk, transpose_b, scale, setting):
    m, n, k = mnk
    a = drawn((*batch, m, k), setting)
    b = drawn((*batch, n, k) if transpose_b else (*batch, k, n), setting, 1)
    check_matmul(MatMul(transpose_b=transpose_b, scale=scale), a, b, setting)


@pytest.mark.parametrize("op", [MatMul(), MatMul(scale=0.5), MatMul(transpose_b=True)])
@pytest.mark.parametrize("threads", THREADS)
def test_sums_and_columns_in_blocks(monkeypatch, op, threads):
    monkeypatch.setattr(batched_products, "KC_BYTES", 128)  # 32 steps
    monkeypatch.setattr(batched_products, "l2_bytes", lambda: 16 << 10)
    monkeypatch.setattr(blocked, "STAGE_MACS", 50_000)
    setting = Setting(threads=threads)
    a, b = drawn((2, 50, 70), setting), drawn((2, 70, 90), setting, 1)
    b = b.swapaxes(1, 2).copy() if op.transpose_b else b
    check_matmul(op, a, b, setting)


def test_rows_a_multiple_of_a_page_apart():
    setting = Setting()
    a, b = drawn((40, 1024), setting), drawn((1024, 48), setting, 1)
    check_matmul(MatMul(), a, b, setting)


@pytest.mark.parametrize("most", [0, 1000])
@pytest.mark.parametrize("dtype", COMMON)
def test_keys_and_values_in_place_and_copied(monkeypatch, most, dtype):
    monkeypatch.setattr(fused_attention, "MOST_BLOCKS", most)
    for sizes in ((2, 150, 3, 33), (1, 70, 2, 16)):
        check_attention(sizes, Setting(dtype=dtype, threads=THREADS[-1]))


def test_attention_costs_what_its_parts_cost():
    packed, square = (2, 197, 2304), (2, 12, 197, 197)
    whole, qk, pv = Attention(12), AttentionScores(12), AttentionMix(12)
    assert qk.output(packed) == square
    assert whole.output(packed) == pv.output(square, packed) == (2, 197, 768)
    assert whole.macs(packed) == qk.macs(packed) + pv.macs(square, packed)
    softmax_flops = Softmax().flops(square)
    flops = qk.flops(packed) + softmax_flops + pv.flops(square, packed)
    assert whole.flops(packed) == flops
    assert whole.problem(packed) is None
    assert whole.parameters(packed) == 0
    assert whole.text == "attention 12 heads"
    assert whole.bytes_min(F32, packed) == 4 * 4 * 2 * 197 * 768


def test_an_image_that_is_not_a_stack_of_matrices_is_refused():
    shape = (1, 2, 5, 5)
    problem = Operation(op=MatMul(), inputs=(shape, shape), laid_out=True)
    assert matmul(problem.op, problem, Setting(layout="nchw")).steps
    with pytest.raises(RefusedError, match="matmul: the rows of an image are matrices in nchw"):
        matmul(problem.op, problem, Setting(layout="nhwc"))
