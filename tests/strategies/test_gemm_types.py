"""Matrix products of short floats and of whole numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import with_examples
from hypothesis import given, settings
from hypothesis import strategies as st

import convprof
from convprof.codegen.isa import available
from convprof.dtypes import (
    ATTENTION_BYTES,
    COMMON,
    PRODUCTS,
    SHORT_FLOATS,
    short_name,
    tolerance,
    types,
)
from convprof.errors import RefusedError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Attention, Gemm
from convprof.problems.epilogue import Epilogue
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import packed
from convprof.strategies.unfused_epilogue import variants

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
SHORT = [name for name in PRODUCTS if name not in COMMON]
SIZES = st.one_of(st.integers(1, 9), st.integers(1, 70), st.sampled_from([127, 129, 257]))
PROBLEMS = st.builds(Gemm, m=SIZES, n=SIZES, k=SIZES, batch=st.sampled_from([1, 1, 2, 3])).filter(
    lambda g: g.macs < 2_000_000
)


EDGES = Gemm(m=9, n=70, k=37, batch=2)
"""No size is a multiple of a tile's."""


def takers(dtype):
    """Return the strategies that compute a type, and the fewest threads that they take."""
    return [
        (each.name, each.least_threads)
        for each in registry.strategies("gemm")
        if dtype in each.dtypes and each.least_threads <= max(THREADS)
    ]


def prepared_for(g, name, setting, operands):
    prepared = registry.find("gemm", name).prepare(g, setting)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    return prepared


@pytest.mark.parametrize("dtype", SHORT)
def test_random_problems(dtype):
    of, names = types(dtype), takers(dtype)
    generated = [taker for taker in names if registry.find("gemm", taker[0]).generated]
    examples = [(EDGES, taker, isa, 0) for taker in generated for isa in available()]

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(PROBLEMS, st.sampled_from(names), st.sampled_from(available()), st.integers(0, 999))
    def problem(g, taker, isa, seed):
        name, threads = taker
        setting = Setting(dtype=dtype, threads=threads, isa=isa)
        if registry.find("gemm", name).why_not(g, setting):
            return
        operands = Operands(g, of, seed)
        prepared = prepared_for(g, name, setting, operands)
        assert prepared.output().dtype == of.result.array_type
        assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(of, g.k)
        first = prepared.output().tobytes()
        prepared.output().fill(1)
        prepared.run()
        assert first == prepared.output().tobytes()

    with_examples(problem, examples)()


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@pytest.mark.parametrize("name", ["naive", "reordered", "tiled"])
def test_sums_are_rounded_once(name, dtype):
    of, g = types(dtype), Gemm(m=9, n=33, k=3000)
    operands = Operands(g, of, 1)
    output = prepared_for(g, name, Setting(dtype=dtype), operands).output()
    nearest = operands.reference.astype(of.result.array_type)
    # A sum in f32 may be on the other side of the middle between two neighbours.
    assert np.mean(output == nearest) > 0.97


@pytest.mark.parametrize("dtype", ["u8:s8:s32", "s8:s8:s32"])
def test_the_largest_whole_numbers_do_not_saturate(dtype):
    of, g = types(dtype), Gemm(m=20, n=70, k=37)
    limits = np.iinfo(of.source.array_type), np.iinfo(of.weights.array_type)
    for name, threads in takers(dtype):
        for isa in available():
            setting = Setting(dtype=dtype, threads=threads, isa=isa)
            if registry.find("gemm", name).why_not(g, setting):
                continue
            for a, b in ((limits[0].max, limits[1].min), (limits[0].max, limits[1].max)):
                prepared = registry.find("gemm", name).prepare(g, setting)
                prepared.bind(np.full(g.a_shape, a), np.full(g.b_shape, b))
                prepared.run()
                assert (prepared.output() == g.k * int(a) * int(b)).all(), (name, isa)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_every_number_is_converted_as_numpy_does(dtype):
    kind = types(dtype).source.array_type
    every = np.arange(1 << 16, dtype=np.uint16).view(kind)
    with np.errstate(invalid="ignore"):  # AArch64 raises the flag for signaling NaN
        finite = every[np.isfinite(every.astype("f4"))]
    # m=1, k=1: a product with 1 reads each number, and writes it as f32.
    g = Gemm(m=1, k=1, n=finite.size)
    prepared = convprof.prepare(g, "reordered", "nchw", 1, f"{dtype}:{dtype}:f32")
    prepared.bind(np.ones((1, 1)), finite.reshape(1, -1))
    prepared.run()
    np.testing.assert_array_equal(prepared.output()[0], finite.astype("f4"))


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@given(st.lists(st.floats(-6e4, 6e4, width=32), min_size=1, max_size=99))
@settings(max_examples=50, deadline=None)
def test_a_sum_is_rounded_to_the_nearest_even(dtype, numbers):
    of = types(f"f32:f32:{dtype}")
    x = np.array(numbers, dtype="f4").reshape(1, -1)
    naive = registry.find("gemm", "naive")
    prepared = naive.prepare(Gemm(m=1, k=1, n=x.size), Setting(dtype=of.name))
    prepared.bind(np.ones((1, 1)), x)
    prepared.run()
    expected = (x + 0).astype(of.result.array_type)  # the sum begins with 0: -0 becomes 0
    np.testing.assert_array_equal(prepared.output().view("u2"), expected.view("u2"))


def test_nan_stays_nan():
    for dtype in ("bf16", "f16"):
        prepared = convprof.prepare(Gemm(m=1, k=1, n=3), "naive", "nchw", 1, dtype)
        prepared.bind(np.ones((1, 1)), np.array([[np.nan, np.inf, -np.inf]]))
        prepared.run()
        output = prepared.output()[0].astype("f4")
        assert np.isnan(output[0])
        assert output[1:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    "dtype", [name for name in SHORT if name not in (*SHORT_FLOATS, *ATTENTION_BYTES)]
)
def test_attention_refuses_the_types_in_one_line(dtype):
    for strategy in registry.strategies("attention"):
        problem = Attention(batch=1, heads=1, tokens=4, dim=4)
        reason = strategy.why_not(problem, Setting(dtype=dtype))
        assert reason is not None
        assert reason.startswith(f"{strategy.name} ")
        assert reason.endswith(f"not {short_name(dtype)}")
        assert "\n" not in reason


@pytest.mark.parametrize("name", ["naive+passes", "packed", "prepacked"])
@pytest.mark.parametrize(("dtype", "text"), [("u8:s8:f32", "bias,add,gelu"), ("s8:s8:f32", "silu")])
def test_any_function_may_follow_sums_of_bytes_in_f32(name, dtype, text):
    g, of = Gemm(m=9, n=37, k=70, epilogue=Epilogue.parse(text)), types(dtype)
    operands = Operands(g, of, 1)
    prepared = prepared_for(g, name, Setting(dtype=dtype), operands)
    assert prepared.output().dtype == np.float32
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(of, g.k)


@pytest.mark.parametrize("dtype", ["bf16", "u8:s8:u8", "s8:s8:s8"])
@pytest.mark.parametrize("name", ["naive", "packed", "prepacked"])
def test_what_follows_the_sums(name, dtype, monkeypatch):
    isas = available() if name != "naive" else ("native",)
    monkeypatch.setattr(packed, "l2_bytes", lambda: 1 << 15)  # then few rows part their sums
    texts = ("bias,relu", "bias,add,relu") if types(dtype).requantises else ("bias,add,silu",)
    for text, (m, n, k), isa in itertools.product(
        texts, [(7, 33, 9), (20, 70, 130), (4, 300, 400)], isas
    ):
        g = Gemm(m=m, n=n, k=k, epilogue=Epilogue.parse(text))
        for strategy in variants(registry.find("gemm", name), g):
            setting = Setting(dtype=dtype, isa=isa)
            if strategy.why_not(g, setting):
                continue
            operands = Operands(g, setting.types, 5)
            prepared = strategy.prepare(g, setting)
            prepared.bind(*operands.all("nchw"))
            prepared.run()
            error = max_rel_error(operands, prepared.output(), "nchw")
            assert error <= tolerance(setting.types, g.k), (strategy.name, isa)


def test_rounding_is_to_the_nearest_even_and_saturates():
    g = Gemm(m=1, n=6, k=1)
    prepared = convprof.prepare(g, "packed", "nchw", 1, "s8:s8:u8")
    weights = np.array([[1, 3, 5, -5, 127, -127]])  # times 1/2: ties, then what saturates
    scale = np.array([0.5, 0.5, 0.5, 0.5, 64, 64], "f4")
    prepared.bind(np.array([[11]]), weights, scale, np.array([10, 0, 7]))
    prepared.run()
    assert prepared.output().tolist() == [[7, 9, 9, 5, 255, 0]]


@pytest.mark.parametrize(
    ("epilogue", "dtype", "reason"),
    [
        (
            "relu",
            "u8:s8:s32",
            "packed computes no epilogue of int8: use bytes, as in u8:s8:u8",
        ),
        ("gelu", "u8:s8:u8", "packed computes relu in u8:s8:u8, not gelu"),
    ],
)
def test_what_sums_of_whole_numbers_do_not_end_with(epilogue, dtype, reason):
    g = Gemm(m=4, n=4, k=4, epilogue=Epilogue.parse(epilogue))
    assert registry.find("gemm", "packed").why_not(g, Setting(dtype=dtype)) == reason
    with pytest.raises(RefusedError):
        convprof.prepare(g, "packed", "nchw", 1, dtype)


def test_int8_means_unsigned_activations_and_signed_weights():
    assert types("int8") == types("u8:s8:s32")
    prepared = convprof.prepare(Gemm(m=2, n=2, k=2), "tiled", "nchw", 1, "int8")
    assert prepared.setting.dtype == "u8:s8:s32"
