"""Products with weights of 8 and 4 bits."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen import disassembly
from convprof.codegen import isa as isas
from convprof.codegen.kernels.digit_weights import DIGIT_TYPES, DigitTile
from convprof.codegen.kernels.digits import DIGITS, DigitPass
from convprof.codegen.kernels.grouped_weights import TYPES, GroupedTile
from convprof.codegen.kernels.ways import mixed_dot
from convprof.codegen.target import target
from convprof.codegen.tile_list import kernel
from convprof.dtypes import DTYPES, F32, GROUPED, Types, tolerance, types
from convprof.errors import ProblemError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.grouped_weights import CHANNEL, GROUPS, WIDTHS, GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import digits, grouped_tiles

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TAKERS = [each.name for each in registry.strategies("gemm") if each.grouped]
WEIGHTS = st.builds(GroupedWeights, st.sampled_from([*WIDTHS]), st.sampled_from([*GROUPS, CHANNEL]))
SIZES = st.one_of(st.integers(1, 20), st.integers(1, 80), st.sampled_from([128, 129, 257]))

PRODUCTS = st.builds(
    Gemm, m=st.integers(1, 20), n=SIZES, k=SIZES, batch=st.just(1), grouped_weights=WEIGHTS
)


def result(g, name, setting, operands):
    prepared = registry.find("gemm", name).prepare(g, setting)
    prepared.bind(*operands)
    prepared.run()
    return prepared


def test_the_ladder_and_prepacked_take_them():
    assert {"naive", "tiled", "prepacked"} <= set(TAKERS)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(PRODUCTS, st.sampled_from(GROUPED), st.data())
def test_random_products(g, dtype, data):
    taker = data.draw(st.sampled_from([*TAKERS, "prepacked", "prepacked"]))
    isa = data.draw(st.sampled_from(isas.available()))
    threads = data.draw(st.sampled_from(THREADS))
    setting = Setting(dtype=dtype, threads=threads, isa=isa)
    if registry.find("gemm", taker).why_not(g, setting):
        return
    operands = Operands(g, setting.types, 1)
    prepared = result(g, taker, setting, operands.all("nchw"))
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(setting.types, g.k)
    first = prepared.output().tobytes()
    prepared.output().fill(1)
    prepared.run()
    assert first == prepared.output().tobytes()


@pytest.mark.parametrize(("k", "group"), [(1030, 64), (61, CHANNEL)])
@pytest.mark.parametrize("weights", [*WIDTHS])
def test_every_blocking_gives_the_same_product(weights, k, group):
    """The last group has no whole words of weights."""
    g = Gemm(m=9, n=150, k=k, grouped_weights=GroupedWeights(weights, group))
    setting, strategy = Setting(), registry.find("gemm", "prepacked")
    operands = Operands(g, setting.types, 1)
    for blocking in strategy.blockings(g, setting):
        prepared = strategy.prepare_blocked(g, setting, blocking)
        prepared.bind(*operands.all("nchw"))
        prepared.run()
        assert max_rel_error(operands, prepared.output(), "nchw") < 1e-6, blocking


@pytest.mark.parametrize("weights", [*WIDTHS])
def test_the_reference_at_points_is_the_reference(weights):
    g = Gemm(m=3, n=50, k=99, grouped_weights=GroupedWeights(weights, 32))
    operands = Operands(g, Setting().types, 1).all("nchw")
    points = np.array([0, 7, 7, 56, 149])
    whole = g.reference(operands)
    np.testing.assert_allclose(g.reference(operands, points), whole.reshape(-1)[points])


@pytest.mark.parametrize("dtype", GROUPED)
@pytest.mark.parametrize("weights", [*WIDTHS])
def test_every_weight_keeps_its_value(weights, dtype):
    """One weight per column, each possible one, and a scale of 1: the result is the weight."""
    of = GroupedWeights(weights, 32)
    half = 1 << (of.bits - 1)
    zero = 3 if of.has_zero_points else half
    every = np.arange(2 * half) - zero
    for row in (0, 5, 31):
        g = Gemm(m=1, n=every.size, k=32, grouped_weights=of)
        whole = np.full((32, every.size), zero)
        whole[row] += every
        stored = whole.astype(np.uint8)
        if of.bits == 4:
            stored = stored[::2] | stored[1::2] << 4
        elif not of.has_zero_points:
            stored = whole - half
        zeros = [np.full((1, every.size), zero)] if of.has_zero_points else []
        operands = (np.ones((1, 32)), stored, np.ones((1, every.size)), *zeros)
        prepared = result(g, "prepacked", Setting(dtype=dtype), operands)
        np.testing.assert_array_equal(prepared.output()[0].astype("f8"), every)


def test_a_scale_per_column_and_zero_points_of_one_byte():
    g = Gemm(m=1, n=128, k=250, grouped_weights=GroupedWeights("uint4", CHANNEL))
    assert (g.grouped_weights.group, g.dims()["group"]) == (250, 250)
    assert g.bytes_min(Setting().types) == 125 * 128 + 5 * 128 + 4 * (250 + 128)
    with pytest.raises(ProblemError, match=r"use one of 16, 32, 64, 128, 256, or channel"):
        Gemm(m=1, n=8, k=250, grouped_weights=GroupedWeights("uint4", 100))


def test_the_bytes_are_those_of_the_stored_weights_and_scales():
    g = Gemm(m=1, n=128, k=256, grouped_weights=GroupedWeights("int4", 64))
    prepared = registry.find("gemm", "prepacked").prepare(g, Setting())
    activations = 4 * (256 + 128)
    assert g.bytes_min(Setting().types) == 128 * 256 // 2 + 4 * 128 * 4 + activations
    copied = 3 * 256 + 4 * 4 * 4 if digits.DIGIT_BUFFER in prepared.plan.workspaces else 0
    assert prepared.bytes_moved() == g.bytes_min(Setting().types) + 2 * copied


def a_tile(kind, isa, bits, m, **more):
    """Return the first tile of a product with 4 groups of words."""
    g = Gemm(m=m, n=512, k=512, grouped_weights=GroupedWeights(f"int{bits}", 128))
    setting = Setting(isa=isa.name)
    first = grouped_tiles.blockings(g, g.grouped_weights, setting)[0]
    return kind(
        lanes=isa.lanes(4),
        rows=first.rows,
        vectors=first.vectors,
        columns=first.vectors * isa.lanes(4),
        bits=bits,
        words=16,
        groups=4,
        c_row=512,
        **more,
    )


@pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly")
@pytest.mark.parametrize("name", isas.available())
@pytest.mark.parametrize("bits", [8, 4])
def test_the_loop_for_one_row_does_not_spill(name, bits):
    isa = isas.find(name)
    if isa.registers < 32:
        pytest.skip("with 16 registers constants are operands in memory")
    tile = a_tile(GroupedTile, isa, bits, 1, types=TYPES, a_row=512)
    assert disassembly.busiest(kernel(tile, isa).module.assembly()).spills == 0


@pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly")
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("places", "m"), [(3, 1), (3, 2), (3, 3), (3, 4), (3, 8), (2, 1), (2, 8)])
def test_digits_need_an_instruction_each_for_four_weights(places, bits, m):
    isa = isas.find("native")
    dot = mixed_dot(isa)
    if dot is None or isa.registers < 32:
        pytest.skip("needs 32 registers and a dot product of bytes")
    more = {"types": DIGIT_TYPES, "a_row": places * 512, "digits": places}
    more |= {"start_row": 16, "dot": dot}
    tile = a_tile(DigitTile, isa, bits, m, **more)
    loop = disassembly.busiest(kernel(tile, isa).module.assembly())
    parts = tile.per_word // 4
    assert loop.products == {"vpdpbusd": tile.rows * tile.vectors * parts * places}
    logic = [line for line in loop.instructions if line.startswith(("vpand", "vpsrl", "vpternlog"))]
    assert len(logic) == (3 * tile.vectors if bits == 4 else 0)
    assert loop.spills == 0
    fetches = [line for line in loop.instructions if line.startswith("prefetch")]
    assert len(fetches) == (tile.vectors if m > 1 else 0), "one row reads as fast as it can"
    assert tile.rows == min(m, 4)
    assert tile.vectors > 1


needs_digits = pytest.mark.skipif(
    mixed_dot(isas.find("native")) is None, reason="no dot product of bytes"
)


@needs_digits
@pytest.mark.parametrize("weights", [*WIDTHS])
def test_a_group_has_the_precision_of_its_largest_activation(weights):
    """Whether the groups differ by powers of ten or not, the error is the error of f32."""
    g = Gemm(m=3, n=40, k=256, grouped_weights=GroupedWeights(weights, 32))
    operands = Operands(g, F32, 2)
    a, *stored = operands.all("nchw")
    every = np.repeat(10.0 ** np.arange(-4, 4), 32).astype("f4")
    scaled = (a * every).astype("f4")
    scaled[..., 96:128] = 0
    b = g.grouped_weights.dequantised(stored, g.k)
    exact = scaled.astype("f8") @ b
    y = result(g, "prepacked", Setting(), (scaled, *stored)).output()
    assert np.abs(y - exact).max() <= 4e-7 * np.abs(exact).max()
    alone = scaled * (np.arange(256) < 32)
    exact = alone.astype("f8") @ b
    y = result(g, "prepacked", Setting(), (alone, *stored)).output()
    assert np.abs(y - exact).max() <= 4e-7 * np.abs(exact).max()


@pytest.mark.parametrize("weights", [*WIDTHS])
def test_tiny_activations_keep_their_precision(weights):
    """The smallest units of digits are denormal numbers of f32."""
    g = Gemm(m=2, n=40, k=64, grouped_weights=GroupedWeights(weights, 32))
    a, *stored = Operands(g, F32, 2).all("nchw")
    tiny = (a * 1e-33).astype("f4")
    exact = tiny.astype("f8") @ g.grouped_weights.dequantised(stored, g.k)
    y = result(g, "prepacked", Setting(), (tiny, *stored)).output()
    assert np.abs(y - exact).max() <= 1e-6 * np.abs(exact).max()


@needs_digits
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_number_that_is_not_finite_makes_its_row_nan_only(bad):
    g = Gemm(m=3, n=20, k=64, grouped_weights=GroupedWeights("int4", 32))
    a, *others = Operands(g, F32, 2).all("nchw")
    a = a.copy()
    a[..., 1, 40] = bad
    y = result(g, "prepacked", Setting(), (a, *others)).output().reshape(3, 20)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


def written(x, tile, isa):
    """Return the digits (elements, digits) of a group, and the sums and unit of the group."""
    out, starts = np.full(tile.filled * tile.digits + 8, 99, "i1"), np.zeros(4, "f4")
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(kernel(tile, isa).address)
    function(x.ctypes.data, out.ctypes.data, starts.ctypes.data)
    assert (out[-8:] == 99).all(), "nothing is written after the group"
    apart = out[:-8].reshape(-1, tile.digits, 4).transpose(0, 2, 1)
    return apart.reshape(-1, tile.digits).astype("i8"), starts.astype("f8")


@pytest.mark.skipif(not isas.available(), reason="no kernels are generated for this CPU")
@pytest.mark.parametrize("isa", isas.available())
@pytest.mark.parametrize("dtype", GROUPED)
@pytest.mark.parametrize(("length", "filled"), [(32, 32), (3, 8), (37, 40), (300, 304)])
@pytest.mark.parametrize("largest", [-3.5, 255 / 128, 3e38, 1e-37])
def test_digits_are_a_number_in_base_256(length, filled, dtype, isa, largest):
    isa, places = isas.find(isa), DIGITS[dtype]
    most = 127 * (256**places - 1) // 255
    x = np.random.default_rng(0).uniform(-1, 1, length).astype("f4") * np.float32(abs(largest))
    x[length // 2] = largest
    short = x.view("u4") & (0xFFFF0000 if dtype == "bf16" else 0xFFFFFFFF)
    exact = short.astype("u4").view("f4").astype("f8")
    memory = (short >> 16).astype("u2") if dtype == "bf16" else x
    of = Types(types(dtype).source, DTYPES["s8"], F32.source, DTYPES["s8"])
    tile = DigitPass(of, isa.lanes(4), length, filled, places, fused=isa.fused)
    digit, starts = written(memory, tile, isa)
    numbers, unit = digit @ 256 ** np.arange(places), starts[3]
    assert np.log2(unit) % 1 == 0
    assert most / 2 - 1 <= np.abs(numbers).max() <= most
    np.testing.assert_allclose(numbers[:length] * unit, exact, rtol=0, atol=unit / 2)
    assert not numbers[length:].any()
    assert starts[:places].tolist() == (-digit.sum(axis=0)).tolist()


def test_other_strategies_refuse_in_a_sentence():
    g = Gemm(m=1, n=8, k=32, grouped_weights=GroupedWeights("int8", 32))
    packed, naive = (registry.find("gemm", name) for name in ("packed", "naive"))
    assert packed.why_not(g, Setting()) == "packed takes no weights of 8 or 4 bits"
    assert naive.why_not(g, Setting(dtype="f16")) == (
        "naive takes weights of 8 and 4 bits with activations of f32 and bf16 only"
    )
