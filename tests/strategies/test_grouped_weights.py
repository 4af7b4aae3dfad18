"""Products with weights of 8 and 4 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen import disassembly
from convprof.codegen import isa as isas
from convprof.codegen.kernels.grouped_weights import TYPES, GroupedTile
from convprof.codegen.kernels.ways import bf16_dot
from convprof.codegen.target import target
from convprof.codegen.tile_list import kernel
from convprof.dtypes import GROUPED, tolerance
from convprof.errors import ProblemError
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.grouped_weights import CHANNEL, GROUPS, WIDTHS, GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import grouped_tiles

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


@pytest.mark.parametrize("weights", [*WIDTHS])
def test_every_blocking_gives_the_same_product(weights):
    g = Gemm(m=9, n=150, k=1030, grouped_weights=GroupedWeights(weights, 64))
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
    assert prepared.bytes_moved() == g.bytes_min(Setting().types)


@pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly")
@pytest.mark.parametrize("name", isas.available())
@pytest.mark.parametrize("bits", [8, 4])
def test_loops_for_one_row_and_for_pairs_do_not_spill(name, bits):
    isa = isas.find(name)
    if isa.registers < 32:
        pytest.skip("with 16 registers constants are operands in memory")
    dot_of_pairs = bf16_dot(isa) if bits == 4 else None
    for m, dot in ((1, None), (1, dot_of_pairs), (8, dot_of_pairs)):
        first = grouped_tiles.blockings(Gemm(m=m, n=512, k=512), isa, 1)[0]
        if dot or m == 1:  # else sums and constants are more than 32 registers
            tile = GroupedTile(
                types=grouped_tiles.PAIR_TYPES if dot else TYPES,
                lanes=isa.lanes(4),
                rows=first.rows,
                vectors=first.vectors,
                columns=first.vectors * isa.lanes(4),
                bits=bits,
                words=16,
                groups=4,
                a_row=512,
                c_row=512,
                pairs=dot,
            )
            loop = disassembly.busiest(kernel(tile, isa).module.assembly())
            per_step = tile.rows * tile.vectors * tile.per_word
            assert loop.spills == 0, tile.title
            if dot:
                code = "\n".join(loop.instructions)
                assert code.count("vdpbf16ps") == per_step // 2
                assert code.count("vpermw") == tile.vectors * tile.per_word // 2


def test_other_strategies_refuse_in_a_sentence():
    g = Gemm(m=1, n=8, k=32, grouped_weights=GroupedWeights("int8", 32))
    packed, naive = (registry.find("gemm", name) for name in ("packed", "naive"))
    assert packed.why_not(g, Setting()) == "packed takes no weights of 8 or 4 bits"
    assert naive.why_not(g, Setting(dtype="f16")) == (
        "naive takes weights of 8 and 4 bits with activations of f32 and bf16 only"
    )
