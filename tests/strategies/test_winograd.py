"""``winograd`` against the float64 oracle, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convprof.codegen.isa import available, find
from convprof.codegen.kernels.winograd_tables import axes
from convprof.dtypes import DTYPES, FLOAT_PRODUCTS, SHORT_FLOATS, tolerance, types
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d
from convprof.problems.epilogue import Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import plan_runner, registry
from convprof.strategies.base import Setting
from convprof.strategies.conv import winograd_model
from convprof.strategies.conv.winograd import WinogradBlocks
from convprof.strategies.conv.winograd_model import WinogradBlocking
from convprof.strategies.unfused_epilogue import variants

WINOGRAD = registry.find("conv2d", "winograd")
SUMS = {"f32": 5e-5, "f64": 1e-12}
TOLERANCE = {  # the result is rounded once
    name: SUMS[types(name).accumulator.name] + types(name).result.epsilon for name in FLOAT_PRODUCTS
}
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]


def error(p, setting, variant=None):
    random = np.random.default_rng(0)
    kind = setting.types.source.array_type
    x = random.uniform(-1, 1, p.x_shape("nchw")).astype(kind)
    weights = random.uniform(-1, 1, p.weight_shape).astype(kind)
    variant = variant or WINOGRAD.blockings(p, setting)[0]
    prepared = WINOGRAD.prepare_blocked(p, setting, variant)
    prepared.bind(x if setting.layout == "nchw" else x.transpose(0, 2, 3, 1), weights)
    prepared.run()
    first = prepared.output().copy()
    prepared.run()
    y = prepared.output()
    assert np.array_equal(first, y)
    y = y if setting.layout == "nchw" else y.transpose(0, 3, 1, 2)
    reference = p.reference((x, weights))
    return np.abs(y - reference).max() / np.abs(reference).max()


@st.composite
def problems(draw, filters=((3, 3, 1, 1),)):
    """Draw a convolution with one of ``filters``: taps and strides."""
    r, s, *stride = draw(st.sampled_from(filters))
    sizes, pads = st.integers(1, 17), st.integers(0, 3)
    h, w, top, left = draw(sizes), draw(sizes), draw(pads), draw(pads)
    bottom, right = max(draw(pads), r - h - top), max(draw(pads), s - w - left)
    return Conv2d(
        n=draw(st.integers(1, 3)), c=draw(st.integers(1, 36)), k=draw(st.integers(1, 36)),
        h=h, w=w, r=r, s=s, pad=(top, left, bottom, right), stride=tuple(stride),
    )  # fmt: skip


SETTINGS = st.builds(
    Setting,
    st.sampled_from(["nchw", "nhwc"]),
    st.sampled_from(FLOAT_PRODUCTS),
    st.sampled_from(THREADS),
    st.sampled_from(available() or ("native",)),
)
STRIDED = (
    (3, 3, 2, 2),
    (3, 3, 2, 2),
    (5, 5, 2, 2),
    (7, 7, 2, 2),
    (4, 2, 2, 1),
    (1, 3, 1, 2),
    (4, 3, 3, 1),
)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(problems(STRIDED), SETTINGS)
def test_random_strides(p, setting):
    if WINOGRAD.why_not(p, setting) is None:
        assert error(p, setting) < TOLERANCE[setting.dtype]


# Of 100 examples, the 81st was the last that took a branch which none before it had taken.
@settings(max_examples=20, deadline=None, derandomize=True)
@example(
    Conv2d(n=2, c=28, h=2, w=7, k=19, r=3, s=3, pad=(0, 3, 1, 0)),
    Setting("nchw", "f64", THREADS[-1]),
)
@given(problems(), SETTINGS)
def test_random_problems(p, setting):
    if WINOGRAD.why_not(p, setting) is None:  # SSE has no conversion of f16
        assert error(p, setting) < TOLERANCE[setting.dtype]


@pytest.mark.parametrize("threads", THREADS)
def test_every_variant(threads):
    p = Conv2d(n=2, c=20, k=33, h=19, w=13, r=3, s=3, pad=(1, 1))
    setting = Setting("nhwc", "f32", threads)
    variants = WINOGRAD.blockings(p, setting)
    assert {variant.m for variant in variants} == {2, 4, 6}
    for variant in variants:
        assert error(p, setting, variant) < TOLERANCE["f32"]


def test_every_size_of_tile_with_a_stride():
    """11 outputs have whole and narrower tiles of nearly every size; some reach over the edge."""
    p = Conv2d(n=2, c=20, k=9, h=23, w=23, r=3, s=3, stride=(2, 2))
    sizes = axes(DTYPES["f32"], (3, 3), (2, 2))
    assert list(sizes) == [2, 3, 4, 5, 6]
    for m in sizes:
        assert error(p, Setting("nhwc"), WinogradBlocking(m, 7)) < TOLERANCE["f32"]


def test_sums_of_all_phases_have_the_error_that_sizes_of_stride_one_have():
    p = Conv2d(c=256, k=40, h=25, w=25, r=3, s=3, stride=(2, 2))
    most = tolerance(types("f32"), 9 * p.c)
    for m in (4, 6):
        assert error(p, Setting("nhwc"), WinogradBlocking(m, 9)) < most / 2


def test_a_block_has_tiles_for_the_cache_of_each_thread():
    p = Conv2d(c=24, k=24, h=224, w=224, r=3, s=3, pad=(1, 1))
    one, two = (WINOGRAD.blockings(p, Setting("nhwc", threads=each))[0].tiles for each in (1, 2))
    assert one < two <= 2 * one


def test_blocks_of_a_long_convolution_are_not_cut_into_slices(monkeypatch):
    p = Conv2d(c=5, k=5, h=8, w=8, r=3, s=3, pad=(1, 1))
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", p.macs // 4)
    prepared = WINOGRAD.prepare_blocked(p, Setting("nhwc"), WinogradBlocking(2, 4))
    assert len(prepared.works()) == 4 * 3  # 16 tiles in blocks of four, three stages each


def test_filters_too_large_for_the_cache_share_out_frequencies(monkeypatch):
    from convprof.strategies.conv import winograd

    monkeypatch.setattr(winograd, "l2_bytes", lambda: 1 << 12)
    for stride in ((1, 1), (2, 2)):
        p = Conv2d(n=1, c=24, k=40, h=10, w=11, r=3, s=3, pad=(1, 1), stride=stride)
        for threads in THREADS:
            assert error(p, Setting("nhwc", "f32", threads)) < TOLERANCE["f32"]


LAST_STAGE = Conv2d(c=512, h=7, w=7, k=512, r=3, s=3, pad=(1, 1))
STAGE_BEFORE = Conv2d(c=256, h=14, w=14, k=256, r=3, s=3, pad=(1, 1))


@pytest.mark.parametrize(
    ("p", "alone", "sizes"),
    [(LAST_STAGE, False, {2}), (LAST_STAGE, True, {2, 4}), (STAGE_BEFORE, False, {2, 4})],
)
def test_a_chain_does_not_try_filters_that_come_from_memory(monkeypatch, p, alone, sizes):
    """8, 19 and 5 MB of filters in 16 bits, and a last-level cache of 32 MiB."""
    monkeypatch.setattr(winograd_model, "l2_bytes", lambda: 1 << 20)
    monkeypatch.setattr(winograd_model, "l3_bytes", lambda: 32 << 20)
    monkeypatch.setattr(winograd_model, "CHAINED_BYTES_PER_CYCLE", 1e-3)  # on every CPU
    setting = Setting(dtype="u8:s8:u8", alone=alone)
    assert {blocking.m for blocking in WINOGRAD.blockings(p, setting)} == sizes
    assert WINOGRAD.pays(p, setting)
    monkeypatch.setattr(winograd_model, "l3_bytes", lambda: 1 << 20)
    assert WINOGRAD.pays(p, setting) is alone


@pytest.mark.parametrize("m", [2, 4, 6])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_filters_are_transformed_in_float64(m, dtype):
    p = Conv2d(c=70, k=45, h=8, w=8, r=3, s=3)
    blocks = WinogradBlocks(p, Setting("nhwc", dtype), WinogradBlocking(m, 4))
    w = np.random.default_rng(0).uniform(-1, 1, p.weight_shape).astype(DTYPES[dtype].numpy)
    packed = blocks.packed()
    target = np.zeros(packed.buffer.shape, packed.buffer.dtype.numpy)
    packed.fill(target, w)
    g = np.array(blocks.axes[0].g)
    wide = np.einsum("ir,kcrs,js->ijck", g, w.astype(np.float64), g).reshape(-1, p.c, p.k)
    found = [
        target[:, p.c * k : p.c * (k + v * blocks.lanes)].reshape(len(wide), p.c, -1)
        for k, v in blocks.panels.each()
    ]
    together = np.concatenate(found, axis=2)
    error = np.abs(together[..., : p.k] - wide).max()
    assert error <= 2 * np.finfo(w.dtype).eps * np.abs(wide).max()
    assert not together[..., p.k :].any()


@pytest.mark.parametrize(("r", "stride"), [(3, 2), (5, 2), (5, 3)])
@pytest.mark.parametrize("dtype", ["f32", "s8:s8:s32"])
def test_the_filters_of_each_phase_are_at_its_frequencies(r, stride, dtype):
    """45 columns do not fill the panels; 70 channels are more than are packed at once."""
    p = Conv2d(c=70, k=45, h=9, w=9, r=r, s=r, stride=(stride, stride))
    blocks = WinogradBlocks(p, Setting("nhwc", dtype), WinogradBlocking(4, 4))
    w = np.random.default_rng(0).integers(-128, 128, p.weight_shape)
    packed, filters, group = blocks.packed(), blocks.filters, blocks.multiply.k_group
    target = np.zeros(packed.buffer.shape, packed.buffer.dtype.numpy)
    packed.fill(target, w.astype(types(dtype).weights.array_type))
    down, across = blocks.axes
    for f, phases in filters.phases.items():
        i, j = divmod(f, across.size)
        expected = [
            np.einsum("r,kcrs,s->ck", y.g[i], w[:, :, y.first :: stride, x.first :: stride], x.g[j])
            for y in down.phases[: down.phases_at[i]]
            for x in across.phases[: across.phases_at[j]]
        ]
        assert len(expected) == phases
        rows = target[filters.starts[f] :][:phases].reshape(-1)
        for k, vectors in blocks.panels.each():
            wide = vectors * blocks.lanes
            panel = rows[phases * blocks.depth * k :][: phases * blocks.depth * wide]
            panel = panel.reshape(phases, -1, wide, group).swapaxes(2, 3).reshape(phases, -1, wide)
            columns = min(wide, p.k - k)
            known = np.array(expected)[:, :, k : k + columns]
            assert np.allclose(panel[:, : p.c, :columns], known, rtol=1e-6, atol=1e-3)
            assert not panel[:, p.c :].any()
            assert not panel[:, :, columns:].any()


def test_fewer_flops_are_executed_than_the_definition_counts():
    p = Conv2d(c=64, k=64, h=56, w=56, r=3, s=3, pad=(1, 1))
    executed = WINOGRAD.prepare(p, Setting("nhwc")).executed_flops()
    products = 2 * (6 * 8 + 4 * 7) ** 2 * 64 * 64  # 56 outputs are 6 of six, 4 of five
    assert products < executed < 1.2 * products
    assert executed < p.flops / 3


def test_a_stride_executes_four_sevenths_of_the_flops():
    p = Conv2d(c=64, k=64, h=56, w=56, r=3, s=3, pad=(1, 1), stride=(2, 2))
    plan = WINOGRAD.plan_blocked(p, Setting("nhwc"), WinogradBlocking(4, 49))
    products = 2 * (7 * 9) ** 2 * 64 * 64  # 28 outputs are 7 of four
    assert products < plan.executed_flops < 1.2 * products
    assert products < 0.57 * p.flops


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"r": 5, "s": 5}, "needs a filter of at most 4 times the stride; got 5x5 stride 1"),
        (
            {"r": 9, "s": 9, "stride": (3, 2)},
            "needs a filter of at most 4 times the stride; got 9x9 stride 3x2",
        ),
        (
            {"r": 2, "s": 2, "stride": (2, 3)},
            "needs a filter larger than the stride; got 2x2 stride 2x3",
        ),
        ({"r": 6, "s": 6, "stride": (5, 5)}, "needs a stride of at most 4; got 6x6 stride 5"),
        ({"dilation": (2, 2)}, "needs a dense filter; got dilation 2"),
        ({"groups": 4}, "needs a convolution without groups; got 4 groups"),
    ],
)
def test_what_it_refuses(changes, reason):
    p = Conv2d(**{"c": 8, "k": 8, "h": 12, "w": 12, "r": 3, "s": 3, **changes})
    assert WINOGRAD.why_not(p, Setting()) == f"winograd {reason}"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", SHORT_FLOATS)
def test_an_epilogue_of_short_floats_is_computed_before_the_sums_are_rounded(dtype, layout):
    p = Conv2d(c=5, h=6, w=7, k=19, r=3, s=3, pad=(1, 0), epilogue=Epilogue.parse("bias,add,relu"))
    setting = Setting(layout, dtype)
    operands = Operands(p, setting.types, 0)
    for strategy in variants(WINOGRAD, p):
        prepared = strategy.prepare(p, setting)
        prepared.bind(*operands.all(layout))
        prepared.run()
        assert max_rel_error(operands, prepared.output(), layout) < TOLERANCE[dtype]


STRIDED_LAYER = Conv2d(c=128, h=56, w=56, k=128, r=3, s=3, pad=(1, 1), stride=(2, 2))


@pytest.mark.parametrize("isa", available())
@pytest.mark.parametrize("dtype", ["f32", "bf16", "u8:s8:u8"])
def test_a_stride_pays_unless_instructions_for_pairs_do(isa, dtype):
    """1.8 times fewer products, where direct tiles of short elements have two or more in one."""
    setting = Setting("nhwc", dtype, isa=isa)
    direct = registry.find("conv2d", "microkernel").cycles(STRIDED_LAYER, setting)
    gain = direct / WINOGRAD.cycles(STRIDED_LAYER, setting)
    assert WINOGRAD.pays(STRIDED_LAYER, setting) is (gain > 1)
    if dtype == "f32" and isa != "amx":
        assert 1.4 < gain < 2
    members = {
        each.strategy.name
        for each in registry.find("conv2d", "auto").candidates(STRIDED_LAYER, setting)
    }
    assert members == ({"microkernel", "winograd"} if gain > 1 else {"microkernel"})


@pytest.mark.skipif(
    "avx512" not in available(), reason="no instructions for pairs of bf16 or bytes"
)
@pytest.mark.parametrize("dtype", ["bf16", "u8:s8:u8"])
def test_a_stride_does_not_pay_with_instructions_for_pairs(dtype):
    isa = find("avx512")
    if not isa.has("avx512bf16" if dtype == "bf16" else "avx512vnni"):
        pytest.skip("no instruction for pairs of this type")
    assert not WINOGRAD.pays(STRIDED_LAYER, Setting("nhwc", dtype, isa="avx512"))
