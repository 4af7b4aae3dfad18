"""Convolutions of short floats and of whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from checks import with_examples
from convolutions import CASES, THREADS, convolutions
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.codegen.isa import available
from convprof.dtypes import COMMON, PRODUCTS, short_name, tolerance, types
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d
from convprof.problems.epilogue import Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.unfused_epilogue import variants

SHORT = [name for name in PRODUCTS if name not in COMMON]
RUNGS = ("direct", "reordered", "im2col", "tiled", "threaded")
TALL = {
    # six rows of taps are more than a group of four; some lose their first or last rows
    "depthwise, tall": Conv2d(c=21, h=7, w=6, k=21, r=6, s=2, pad=(4, 1), groups=21)
}
BRANCHES = [
    ((CASES | TALL)[case], Setting(layout, dtype, THREADS[-1], isa), 3)
    for case, layout, dtype, isa in (
        ("stem", "nchw", "u8:s8:s32", "avx512"),
        ("stem", "nhwc", "bf16", "avx2"),
        ("groups of several", "nhwc", "u8:s8:s32", "avx2"),
        ("depthwise", "nhwc", "u8:s8:s32", "avx512"),
        ("depthwise, strided", "nchw", "bf16", "avx512"),
        ("depthwise with a multiplier", "nhwc", "bf16:bf16:f32", "avx512"),
        ("border wider than the filter", "nhwc", "s8:s8:s32", "sse"),
        ("depthwise", "nhwc", "f16", "avx2"),
        ("depthwise, tall", "nhwc", "bf16", "avx512"),
        ("depthwise, tall", "nhwc", "u8:s8:u8", "avx512"),
        ("depthwise, dilated", "nchw", "u8:s8:s32", "avx512"),
        ("stem", "nchw", "u8:s8:u8", "avx512"),
        ("border on one side", "nhwc", "s8:s8:s8", "sse"),
    )
]


MICROKERNEL = registry.find("conv2d", "microkernel")


def check(p, strategy, setting, seed=0):
    operands = Operands(p, setting.types, seed)
    prepared = strategy.prepare(p, setting)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    assert prepared.output().dtype == setting.types.result.array_type
    error = max_rel_error(operands, prepared.output(), setting.layout)
    assert error <= tolerance(setting.types, p.terms)
    return prepared


def test_random_problems_on_register_tiles():
    settings_drawn = st.builds(
        Setting,
        st.sampled_from(LAYOUTS),
        st.sampled_from(SHORT),
        st.sampled_from(THREADS),
        st.sampled_from(available() or ("native",)),
    )

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(convolutions(), settings_drawn, st.integers(0, 999))
    def problem(p, setting, seed):
        if MICROKERNEL.why_not(p, setting) is None:
            check(p, MICROKERNEL, setting, seed)

    with_examples(problem, BRANCHES)()


@pytest.mark.parametrize(("layout", "dtype"), [("nchw", "bf16"), ("nhwc", "u8:s8:s32")])
@pytest.mark.parametrize("name", RUNGS)
def test_every_rung(name, layout, dtype):
    threads = registry.find("conv2d", name).least_threads
    if threads > max(THREADS):
        pytest.skip(f"{name} needs {threads} threads")
    for case in ("stem", "depthwise", "groups of several", "border on one side"):
        check(CASES[case], registry.find("conv2d", name), Setting(layout, dtype, threads))


@pytest.mark.parametrize("name", ["direct", "tiled"])
def test_sums_are_rounded_once(name):
    p, of = Conv2d(c=64, h=6, w=6, k=9, r=5, s=5, groups=1), types("bf16")
    operands = Operands(p, of, 1)
    prepared = registry.find("conv2d", name).prepare(p, Setting("nchw", "bf16"))
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    # A sum in f32 may be on the other side of the middle between two neighbours.
    assert np.mean(prepared.output() == operands.reference.astype(of.result.array_type)) > 0.9


@pytest.mark.parametrize("dtype", ["u8:s8:s32", "s8:s8:s32"])
@pytest.mark.parametrize("case", ["border on one side", "depthwise"])
def test_the_largest_whole_numbers_do_not_saturate(case, dtype):
    p, of = CASES[case], types(dtype)
    most = np.iinfo(of.source.array_type).max
    for isa in available():
        prepared = registry.find("conv2d", "microkernel").prepare(p, Setting("nhwc", dtype, 1, isa))
        prepared.bind(np.full(p.x_shape("nhwc"), most), np.full(p.weight_shape, -128))
        prepared.run()
        assert prepared.output().min() == -128 * int(most) * p.terms, isa


def test_channels_are_filled_up_so_that_a_group_reads_no_neighbouring_pixel():
    p = Conv2d(c=3, h=4, w=5, k=8, r=1, s=1)
    x = np.full(p.x_shape("nhwc"), np.nan, "f4")
    x[0, 0, 0] = 1
    prepared = registry.find("conv2d", "microkernel").prepare(p, Setting("nhwc", "bf16"))
    prepared.bind(x, np.ones(p.weight_shape))
    prepared.run()
    assert prepared.output()[0, 0, 0].tolist() == [3] * 8


@pytest.mark.parametrize("dtype", ["bf16", "u8:s8:u8"])
@pytest.mark.parametrize("name", ["direct", "tiled", "microkernel"])
def test_what_follows_the_sums(name, dtype):
    for case, text in (
        ("stem", "bias,relu"),
        ("depthwise", "bias,add,relu"),
        ("border wider than the filter", "bias"),
    ):
        p = CASES[case].with_epilogue(Epilogue.parse(text))
        for strategy in variants(registry.find("conv2d", name), p):
            setting = Setting("nhwc", dtype)
            if strategy.why_not(p, setting) is None:
                check(p, strategy, setting)


def test_no_byte_of_a_neighbouring_row_is_written():
    """A masked store of one byte of a vector writes four in LLVM 22."""
    for k in range(1, 17):
        check(Conv2d(c=4, h=2, w=5, k=k, r=1, s=1), MICROKERNEL, Setting("nhwc", "u8:s8:u8"))


def test_strategies_without_these_types_refuse_them_by_name():
    p = CASES["stem"]
    for strategy in registry.strategies("conv2d"):
        for dtype in SHORT:
            reason = strategy.why_not(p, Setting(dtype=dtype))
            if dtype not in strategy.dtypes:
                assert reason is not None
                assert reason.startswith(f"{strategy.name} computes ")
                assert reason.endswith(f"not {short_name(dtype)}")
