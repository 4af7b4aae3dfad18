from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from checks import any_setting, check_again, with_examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import convprof
from convprof.dtypes import COMMON, DTYPES
from convprof.errors import TooLargeError
from convprof.machine import facts
from convprof.problems import Conv2d, Gemm
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import memory, offset_gemm, plan_runner, registry
from convprof.strategies.base import Setting
from convprof.strategies.conv import frequency
from convprof.strategies.peers.package import Library
from convprof.strategies.plan import WEIGHTS, X, Y

# winograd, which rounds more, and auto, which is one of the others, have files of their own
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
LEFT_OUT = {"winograd", "auto"} if len(THREADS) > 1 else {"winograd", "auto", "threaded"}
STRATEGIES = [
    s.name
    for s in registry.strategies("conv2d")
    if not isinstance(s, Library) and s.name not in LEFT_OUT
]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}

each_strategy = pytest.mark.parametrize("name", STRATEGIES)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def threads_of(name):
    """Return the numbers of threads that a strategy takes."""
    strategy, p = registry.find("conv2d", name), Conv2d(c=1, h=3, w=3, k=1, r=3, s=3)
    return [n for n in THREADS if strategy.why_not(p, Setting(threads=n)) is None]


alone = pytest.mark.parametrize("name", [name for name in STRATEGIES if 1 in threads_of(name)])


def refuses(p, name, setting):
    return registry.find("conv2d", name).why_not(p, setting) is not None


@st.composite
def convolutions(draw):
    """Draw any convolution of small sizes; the filter may just fit the padded image."""
    taps, steps = st.integers(1, 4), st.sampled_from([1, 1, 2, 3])
    r, s = draw(taps), draw(taps)
    stride, dilation = draw(st.tuples(steps, steps)), draw(st.tuples(steps, steps))
    pad = draw(st.tuples(*[st.sampled_from([0, 0, 1, 2, 5])] * 4))
    least_h = max(1, (r - 1) * dilation[0] + 1 - pad[0] - pad[2])
    least_w = max(1, (s - 1) * dilation[1] + 1 - pad[1] - pad[3])
    groups = draw(st.integers(1, 4))
    per_group = st.sampled_from([1, 1, 2, 3, 5, 9])
    return Conv2d(
        n=draw(st.integers(1, 3)),
        c=groups * draw(per_group),
        h=least_h + draw(st.integers(0, 7)),
        w=least_w + draw(st.integers(0, 7)),
        k=groups * draw(per_group),
        r=r,
        s=s,
        stride=stride,
        pad=pad,
        dilation=dilation,
        groups=groups,
    )


def operands(p, dtype, seed):
    """Return positive operands: no sum cancels, so every output has the same relative error."""
    random = np.random.default_rng(seed)
    kind = DTYPES[dtype].numpy
    shapes = p.x_shape("nchw"), p.weight_shape
    return tuple(random.uniform(0.25, 1, shape).astype(kind) for shape in shapes)


def laid_out(x, layout):
    return x if layout == "nchw" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def nchw(y, layout):
    return y if layout == "nchw" else y.transpose(0, 3, 1, 2)


def prepared_for(p, name, setting, seed=0):
    """Return a bound strategy, the operands and the reference."""
    x, weights = operands(p, setting.dtype, seed)
    prepared = convprof.prepare(
        p, name, setting.layout, setting.threads, setting.dtype, isa=setting.isa
    )
    prepared.bind(laid_out(x, setting.layout), weights)
    return prepared, (x, weights), p.reference((x, weights))


def error(prepared, layout, reference, of_zeros=1e-300):
    y = nchw(prepared.output(), layout)
    assert reference.shape == y.shape
    # All outputs may be in the padding: then they are exactly 0.
    return np.max(np.abs(y - reference)) / (np.max(np.abs(reference)) or of_zeros)


def check(p, name, setting, seed=0):
    prepared, _, reference = prepared_for(p, name, setting, seed)
    prepared.run()
    assert DTYPES[setting.dtype].numpy == prepared.output().dtype
    of_zeros = 1 if name == "fft" else 1e-300  # its zeros are sums of what cancels, rounded
    assert error(prepared, setting.layout, reference, of_zeros) < TOLERANCE[setting.dtype]
    check_again(prepared)
    prepared.close()


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
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        convolutions(),
        any_setting("conv2d", name, threads_of(name)),
        st.integers(0, 999),
    )
    def problem(p, setting, seed):
        assume(not refuses(p, name, setting))
        check(p, name, setting, seed)

    with_examples(problem, RARE if registry.find("conv2d", name).generated else [])()


CASES = {
    "one pixel": Conv2d(c=1, h=1, w=1, k=1, r=1, s=1),
    "one pixel in a border": Conv2d(c=3, h=1, w=1, k=2, r=3, s=3, pad=(1, 1)),
    "filter of the image's size": Conv2d(c=5, h=7, w=6, k=4, r=7, s=6),
    "filter of the padded image's size": Conv2d(c=2, h=3, w=2, k=4, r=6, s=9, pad=(1, 3, 2, 4)),
    "depthwise": Conv2d(n=2, c=19, h=9, w=8, k=19, r=3, s=3, pad=(1, 1), groups=19),
    "depthwise, strided": Conv2d(
        c=33, h=11, w=9, k=33, r=3, s=5, pad=(1, 2), stride=(2, 2), groups=33
    ),
    "depthwise, dilated": Conv2d(c=6, h=9, w=9, k=6, r=3, s=3, dilation=(2, 3), groups=6),
    "depthwise with a multiplier": Conv2d(c=7, h=6, w=6, k=21, r=3, s=3, pad=(1, 1), groups=7),
    "groups of several": Conv2d(n=2, c=12, h=7, w=7, k=8, r=3, s=3, pad=(1, 1), groups=4),
    "large 1x1": Conv2d(c=300, h=17, w=19, k=270, r=1, s=1),
    "large 1x1 of a batch": Conv2d(n=3, c=70, h=16, w=17, k=40, r=1, s=1),
    "strided 1x1": Conv2d(n=2, c=24, h=15, w=14, k=40, r=1, s=1, stride=(2, 2)),
    "padded 1x1": Conv2d(c=6, h=5, w=5, k=4, r=1, s=1, pad=(2, 1)),
    "stride beyond the filter": Conv2d(c=3, h=13, w=14, k=4, r=2, s=2, stride=(5, 3)),
    "stem": Conv2d(c=3, h=37, w=41, k=16, r=7, s=7, stride=(2, 2), pad=(3, 3)),
    "many pixels": Conv2d(c=3, h=30, w=29, k=6, r=3, s=3, pad=(1, 1)),
    "many channels": Conv2d(c=130, h=5, w=4, k=290, r=3, s=3, pad=(1, 1)),
    "border on one side": Conv2d(c=4, h=6, w=6, k=4, r=3, s=3, pad=(2, 0, 0, 2)),
    "border wider than the filter": Conv2d(c=2, h=2, w=3, k=2, r=2, s=2, pad=(4, 3, 2, 5)),
    "one row": Conv2d(c=4, h=1, w=40, k=4, r=1, s=5, stride=(1, 3), pad=(0, 2)),
    "one column": Conv2d(c=4, h=40, w=1, k=4, r=5, s=1, stride=(3, 1), pad=(2, 0)),
}


@each_strategy
@each_layout
@pytest.mark.parametrize("case", CASES)
def test_particular_problems(case, layout, name):
    if refuses(CASES[case], name, Setting(layout, threads=threads_of(name)[-1])):
        pytest.skip(f"{name} refuses it")
    for threads in threads_of(name):
        check(CASES[case], name, Setting(layout, "f32", threads))
    if layout == "nhwc":  # random problems are of every type in both layouts
        check(CASES[case], name, Setting(layout, "f64", threads_of(name)[-1]))


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
        prepared.run()
        tracemalloc.start()
        try:
            prepared.run()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 16_384  # a view or a tuple; the smallest operand has 18,432 bytes


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
    assert strategy.why_not(p, Setting(dtype="bf16")) == f"{name} computes f32 and f64, not bf16"
    assert strategy.why_not(Gemm(m=2, n=2, k=2), Setting()) == f"{name} computes conv2d, not gemm"
    serial = f"{name} runs on one thread, not 2"
    expected = serial if name in ("direct", "reordered", "tiled") else None
    assert expected == strategy.why_not(p, Setting(threads=2))


@alone
@each_layout
def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch, layout, name):
    def allocate(*_):
        raise AssertionError

    monkeypatch.setattr(memory, "available_bytes", lambda: 3 << 20)
    monkeypatch.setattr(memory, "zeros", allocate)
    p = Conv2d(c=64, h=112, w=112, k=64, r=3, s=3, pad=(1, 1))
    with pytest.raises(TooLargeError) as caught:
        convprof.prepare(p, strategy=name, layout=layout)
    text = str(caught.value)
    assert text.startswith(f"{name} of {p.descriptor} needs ")
    assert text.endswith(
        " of memory and 3 MiB are available: "
        "use a smaller problem (for images, a smaller minibatch) or another strategy"
    )


@each_layout
def test_exactly_what_is_needed_is_enough(monkeypatch, layout):
    p = CASES["stem"]
    plain = convprof.prepare(p, strategy="im2col", layout=layout)
    operands = (np.prod(p.x_shape("nchw")), np.prod(p.weight_shape), np.prod(p.y_shape("nchw")))
    needed = 4 * int(sum(operands)) + plain.workspace_bytes

    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    convprof.prepare(p, strategy="im2col", layout=layout)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(TooLargeError):
        convprof.prepare(p, strategy="im2col", layout=layout)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)  # unknown: try
    convprof.prepare(p, strategy="im2col", layout=layout)


def test_a_direct_convolution_needs_less_than_im2col(monkeypatch):
    p = Conv2d(c=64, h=40, w=40, k=8, r=5, s=5)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 << 20)
    with pytest.raises(TooLargeError, match="im2col of mb1ic64ih40"):
        convprof.prepare(p, strategy="im2col")
    convprof.prepare(p, strategy="direct")


def test_running_again_after_another_thread_count():
    p = CASES["many pixels"]
    sets = [prepared_for(p, "microkernel", Setting("nchw", "f32", n)) for n in THREADS]
    for _ in range(3):
        for prepared, _, reference in sets:
            prepared.output().fill(0)
            prepared.run()
            assert error(prepared, "nchw", reference) < 1e-5
