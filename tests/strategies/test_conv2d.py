from __future__ import annotations

import numpy as np
import pytest
from checks import any_setting, most_allocated, with_examples
from convolutions import (
    CASES,
    THREADS,
    alone,
    check,
    convolutions,
    each_layout,
    each_strategy,
    error,
    laid_out,
    operands,
    prepared_for,
    refuses,
    threads_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import convprof
from convprof.dtypes import COMMON, listed, short_name
from convprof.problems import Conv2d, Gemm
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import offset_gemm, plan_runner, registry
from convprof.strategies.base import Setting
from convprof.strategies.conv import frequency
from convprof.strategies.plan import WEIGHTS, X, Y

# What took a branch that none of 17 to 43 examples before it had taken; no other of 200 did.
RARE = [
    (
        Conv2d(n=3, c=3, h=4, w=4, k=27, r=1, s=3, stride=(1, 2), pad=(5, 0, 2, 0),
               dilation=(3, 1), groups=3),
        Setting("nhwc", "f64", THREADS[-1], "avx2"),
        59,
    ),
    (
        Conv2d(n=2, c=2, h=1, w=10, k=1, r=1, s=3, stride=(3, 1), pad=(1, 0), dilation=(2, 1)),
        Setting("nchw", "f64", THREADS[-1], "sse"),
        540,
    ),
    (
        Conv2d(n=2, c=2, h=1, w=10, k=1, r=1, s=3, pad=(1, 0, 0, 0), dilation=(3, 1)),
        Setting("nchw", "f64", THREADS[-1], "sse"),
        540,
    ),
    (
        Conv2d(c=10, h=4, w=13, k=10, r=3, s=4, stride=(3, 1), pad=(0, 0, 3, 1),
               dilation=(3, 3), groups=2),
        Setting("nchw", "f32", 1, "avx512"),
        999,
    ),
]  # fmt: skip


@each_strategy
def test_random_problems(name):
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(
        convolutions(),
        any_setting("conv2d", name, threads_of(name)),
        st.integers(0, 999),
    )
    def problem(p, setting, seed):
        if not refuses(p, name, setting):  # fft refuses a filter of one tap
            check(p, name, setting, seed)

    with_examples(problem, RARE if registry.find("conv2d", name).generated else [])()


@each_strategy
@each_layout
@pytest.mark.parametrize("case", CASES)
def test_particular_problems(case, layout, name):
    if refuses(CASES[case], name, Setting(layout, threads=threads_of(name)[-1])):
        pytest.skip(f"{name} refuses it")
    # random problems are of every type, in both layouts and on every number of threads
    if layout == "nchw":
        check(CASES[case], name, Setting(layout, "f32", threads_of(name)[0]))
    else:
        dtype = "f64" if case in ("depthwise", "stem", "groups of several") else "f32"
        check(CASES[case], name, Setting(layout, dtype, threads_of(name)[-1]))


@each_layout
@pytest.mark.parametrize("name", ["im2col", "tiled", "threaded"])
@pytest.mark.parametrize("l1_bytes", [1, 2048, 1 << 30])
def test_any_size_of_the_first_cache(monkeypatch, l1_bytes, name, layout):
    monkeypatch.setattr(offset_gemm, "l1_data_bytes", lambda: l1_bytes)
    p = Conv2d(n=2, c=26, h=17, w=18, k=18, r=3, s=3, pad=(1, 0), groups=2)
    for threads in threads_of(name):
        check(p, name, Setting(layout, "f32", threads))


@each_strategy
@each_layout
def test_work_in_slices_that_can_be_interrupted(monkeypatch, layout, name):
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", 20_000)
    p = Conv2d(n=2, c=8, h=11, w=10, k=10, r=3, s=3, pad=(1, 1), groups=2)
    assert p.macs > 3 * 20_000
    for threads in threads_of(name):
        check(p, name, Setting(layout, "f32", threads))


@each_strategy
@each_layout
def test_two_prepared_objects_agree_to_the_bit_and_share_nothing(name, layout):
    p = CASES["groups of several"]
    for threads in threads_of(name):
        one, _, reference = prepared_for(p, name, Setting(layout, "f32", threads), seed=1)
        two, _, _ = prepared_for(p, name, Setting(layout, "f32", threads), seed=1)
        other, _, other_reference = prepared_for(p, name, Setting(layout, "f32", threads), seed=2)
        for prepared in (one, two, other):
            prepared.run()
        assert one.output().tobytes() == two.output().tobytes()
        assert error(one, layout, reference) < 1e-5
        assert error(other, layout, other_reference) < 1e-5


@alone
@each_layout
def test_binding_again(name, layout):
    p = CASES["border on one side"]
    prepared, _, reference = prepared_for(p, name, Setting(layout, "f32", 1), seed=1)
    prepared.run()
    assert error(prepared, layout, reference) < 1e-5

    x, weights = operands(p, "f32", 2)
    prepared.bind(laid_out(x, layout), weights)
    prepared.run()
    assert error(prepared, layout, p.reference((x, weights))) < 1e-5


@alone
@each_layout
def test_operands_are_read_in_place_and_left_alone(name, layout):
    p = CASES["groups of several"]
    prepared, (x, weights), reference = prepared_for(p, name, Setting(layout, "f32", 1))
    mine, my_weights = laid_out(x, layout).copy(), weights.copy()
    prepared.bind(mine, my_weights)
    before = mine.tobytes(), my_weights.tobytes()
    prepared.run()
    prepared.run_phases()
    assert before == (mine.tobytes(), my_weights.tobytes())
    assert error(prepared, layout, reference) < 1e-5

    mine *= 2  # the activation is referenced, not copied: the next inference's input
    prepared.run()
    assert error(prepared, layout, 2 * reference) < 1e-5


@alone
@each_layout
def test_operands_of_another_type_or_order_are_converted(name, layout):
    p = CASES["groups of several"]
    prepared, (x, weights), reference = prepared_for(p, name, Setting(layout, "f32", 1))
    wide = np.asfortranarray(laid_out(x, layout).astype(np.float64))
    prepared.bind(wide, np.asfortranarray(weights))
    prepared.run()
    assert prepared.output().dtype == np.float32
    assert error(prepared, layout, reference) < 1e-5

    view = x.transpose(0, 2, 3, 1) if layout == "nhwc" else x[::-1, ::-1][::-1, ::-1]
    prepared.bind(view, weights.astype(np.float64))
    prepared.run()
    assert error(prepared, layout, reference) < 1e-5


@each_strategy
@each_layout
def test_running_allocates_no_arrays(name, layout):
    if name == "fft" and not frequency.FFT_HAS_OUT:
        pytest.skip("NumPy 1 allocates what its transforms return")
    p = Conv2d(n=2, c=32, h=28, w=28, k=32, r=3, s=3, pad=(1, 1), groups=2)
    for threads in threads_of(name):
        prepared, _, _ = prepared_for(p, name, Setting(layout, "f32", threads))
        # a view or a tuple; the smallest operand has 18,432 bytes
        assert most_allocated(prepared) < 16_384


WORKSPACES = (
    "stem",
    "groups of several",
    "large 1x1",
    "strided 1x1",
    "depthwise, strided",
)


@alone
@each_layout
@pytest.mark.parametrize("dtype", COMMON)
def test_workspace_bytes_equal_the_arrays(dtype, layout, name):
    setting = Setting(layout, dtype, 1)
    for case in WORKSPACES:
        if not refuses(CASES[case], name, setting):
            check_workspace(CASES[case], name, setting)


def check_workspace(p, name, setting):
    prepared, _, _ = prepared_for(p, name, setting)
    theirs = [prepared._arrays[key] for key in (X, WEIGHTS, Y)]
    ours = [array for array in prepared.memory() if not any(array is item for item in theirs)]
    assert len(prepared.memory()) == len(ours) + len(theirs)
    uncounted = sum(array.nbytes for array in ours) - prepared.workspace_bytes
    assert uncounted == 0


def phases(case, name, layout):
    prepared, _, reference = prepared_for(case, name, Setting(layout, "f32", 1))
    prepared.output().fill(-1)
    found = prepared.run_phases()
    assert error(prepared, layout, reference) < 1e-5
    assert all(0 <= seconds < float("inf") for seconds in found.values())
    return list(found)


@pytest.mark.parametrize("name", ["im2col", "im2col-blas"])
def test_phases_of_im2col(name):
    alone = Conv2d(c=4, h=6, w=6, k=4, r=3, s=3, pad=(1, 1))
    batch = Conv2d(n=2, c=4, h=6, w=6, k=4, r=3, s=3, pad=(1, 1))
    groups = Conv2d(c=4, h=6, w=6, k=4, r=3, s=3, groups=2)
    pointwise = Conv2d(c=4, h=6, w=6, k=4, r=1, s=1)
    pointwise_batch = Conv2d(n=2, c=4, h=6, w=6, k=4, r=1, s=1)

    assert phases(alone, name, "nchw") == ["pad", "im2col", "gemm"]
    assert phases(alone, name, "nhwc") == ["pad", "im2col", "gemm"]
    assert phases(batch, name, "nchw") == ["pad", "im2col", "gemm", "reshape"]
    assert phases(batch, name, "nhwc") == ["pad", "im2col", "gemm"]
    assert phases(groups, name, "nchw") == ["im2col", "gemm"]
    assert phases(groups, name, "nhwc") == ["im2col", "gemm", "reshape"]
    assert phases(pointwise, name, "nchw") == []  # the product alone
    assert phases(pointwise, name, "nhwc") == []
    assert phases(pointwise_batch, name, "nchw") == ["im2col", "gemm", "reshape"]
    assert phases(pointwise_batch, name, "nhwc") == []


def test_phases_of_the_ladder():
    padded = Conv2d(n=2, c=4, h=6, w=6, k=4, r=3, s=3, pad=(1, 1))
    dense = Conv2d(n=2, c=4, h=6, w=6, k=4, r=3, s=3)
    for name in ("direct", "reordered"):
        for layout in LAYOUTS:
            assert phases(padded, name, layout) == ["pad", "loops"]
            assert phases(dense, name, layout) == []
    assert phases(padded, "tiled", "nchw") == ["pad", "gemm", "crop"]
    assert phases(padded, "tiled", "nhwc") == ["pad", "gemm"]
    assert phases(dense, "tiled", "nhwc") == []
    assert phases(CASES["depthwise"], "tiled", "nhwc") == ["pad", "taps"]


@alone
def test_every_operation_is_executed(name):
    p = CASES["groups of several"]
    executed = convprof.prepare(p, strategy=name).executed_flops()
    if name == "fft":  # counted in test_fft.py
        assert executed != p.flops
    elif name == "microkernel":  # taps in the padding are left out
        assert executed == 2 * sum(p.n * p.cg * p.k * taps for taps in _taps_on_the_image(p))
    else:
        assert executed == p.flops


def _taps_on_the_image(p):
    top, left, _, _ = p.pads
    for i in range(p.p):
        for j in range(p.q):
            yield sum(
                0 <= i * p.stride[0] + r * p.dilation[0] - top < p.h
                and 0 <= j * p.stride[1] + s * p.dilation[1] - left < p.w
                for r in range(p.r)
                for s in range(p.s)
            )


@alone
def test_refusals(name):
    strategy = registry.find("conv2d", name)
    p = CASES["stem"]
    assert strategy.why_not(p, Setting()) is None
    some = listed(map(short_name, strategy.dtypes), "and")
    reason = f"{name} computes {some}, not u8:u8:s32"
    assert strategy.why_not(p, Setting(dtype="u8:u8:s32")) == reason
    assert strategy.why_not(Gemm(m=2, n=2, k=2), Setting()) == f"{name} computes conv2d, not gemm"
    serial = f"{name} runs on one thread, not 2"
    expected = serial if name in ("direct", "reordered", "tiled") else None
    assert expected == strategy.why_not(p, Setting(threads=2))


def test_running_again_after_another_thread_count():
    p = CASES["many pixels"]
    sets = [prepared_for(p, "microkernel", Setting("nchw", "f32", n)) for n in THREADS]
    for _ in range(3):
        for prepared, _, reference in sets:
            prepared.output().fill(0)
            prepared.run()
            assert error(prepared, "nchw", reference) < 1e-5
