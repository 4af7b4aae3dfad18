from __future__ import annotations

import math

import numpy as np
import pytest

import convprof
from convprof.errors import RefusedError
from convprof.machine import facts
from convprof.problems import Conv2d
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.blas_threads import blas
from convprof.strategies.conv import frequency
from convprof.strategies.conv.overlap_save import Cut, Tiling, cuts, fft_flops, smooth_sizes

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}

each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def result(p, layout="nhwc", dtype="f32", threads=1):
    """Return ``y (n, k, p, q)``, the reference, and what computed it."""
    random = np.random.default_rng(1)
    kind = {"f32": np.float32, "f64": np.float64}[dtype]
    x = random.standard_normal(p.x_shape("nchw")).astype(kind)
    weights = random.standard_normal(p.weight_shape).astype(kind)
    prepared = convprof.prepare(p, "fft", layout, threads, dtype)
    prepared.bind(x if layout == "nchw" else x.transpose(0, 2, 3, 1), weights)
    prepared.run()
    y = prepared.output()
    assert y.dtype == kind
    reference = p.reference((x, weights))
    return (y if layout == "nchw" else y.transpose(0, 3, 1, 2)), reference, prepared


def check(p, layout="nhwc", dtype="f32", threads=1):
    y, reference, _ = result(p, layout, dtype, threads)
    assert np.max(np.abs(y - reference)) < TOLERANCE[dtype] * np.max(np.abs(reference))


def forced(monkeypatch, rows, columns):
    monkeypatch.setattr(Tiling, "choose", lambda p: Tiling(p, rows, columns))


@each_layout
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [7, 11, 31])
def test_large_filters(size, dtype, layout):
    p = Conv2d(c=2, h=64, w=64, k=3, r=size, s=size, pad=(size // 2, size // 2))
    check(p, layout, dtype, THREADS[-1])


@pytest.mark.parametrize("pad", [(0, 0), (6, 6), (9, 0), (0, 6, 11, 0)])
def test_borders(pad):
    for threads in THREADS:
        check(Conv2d(n=2, c=3, h=33, w=30, k=5, r=7, s=7, pad=pad), threads=threads)


@pytest.mark.parametrize(
    "p",
    [
        Conv2d(c=4, h=40, w=23, k=6, r=9, s=3, pad=(5, 0, 1, 2), groups=2),
        Conv2d(c=4, h=40, w=23, k=6, r=3, s=9, stride=(3, 2), pad=(2, 1)),
        Conv2d(c=6, h=33, w=35, k=6, r=7, s=5, stride=(2, 1), groups=6),
        Conv2d(c=3, h=33, w=35, k=9, r=5, s=5, dilation=(3, 2), pad=(4, 4), groups=3),
        Conv2d(c=2, h=50, w=41, k=2, r=2, s=2, stride=(7, 5)),
        Conv2d(c=2, h=50, w=41, k=2, r=1, s=12, pad=(0, 6)),
        Conv2d(c=2, h=50, w=41, k=2, r=12, s=1, pad=(6, 0)),
    ],
    ids=lambda p: p.descriptor,
)
def test_every_way_of_cutting_gives_the_same_sums(monkeypatch, p):
    down = cuts(p.p, (p.r - 1) * p.dilation[0] + 1, p.stride[0])
    across = cuts(p.q, (p.s - 1) * p.dilation[1] + 1, p.stride[1])
    assert len(down) > 1 or len(across) > 1
    for rows in down:
        forced(monkeypatch, rows, across[0])
        check(p)
    for columns in across:
        forced(monkeypatch, down[-1], columns)
        check(p, threads=THREADS[-1])


@pytest.mark.parametrize("outputs", [1, 9, 10, 11, 19, 20, 21])
def test_images_that_just_fill_their_tiles_or_just_do_not(monkeypatch, outputs):
    p = Conv2d(c=2, h=outputs + 6, w=outputs + 6, k=3, r=7, s=7)
    cut = Cut(16, min(10, outputs), math.ceil(outputs / 10))
    forced(monkeypatch, cut, cut)
    check(p)


def test_a_stride_samples_the_dense_result(monkeypatch):
    dense = Conv2d(c=2, h=30, w=30, k=3, r=5, s=5)
    strided = Conv2d(c=2, h=30, w=30, k=3, r=5, s=5, stride=(2, 3))
    forced(monkeypatch, Cut(30, 26, 1), Cut(30, 26, 1))
    every, _, _ = result(dense)
    forced(monkeypatch, Cut(30, 13, 1), Cut(30, 9, 1))
    some, _, _ = result(strided)
    assert np.array_equal(every[:, :, ::2, ::3], some)


def test_it_is_a_correlation():
    x, weights = np.zeros((1, 1, 9, 9)), np.arange(9.0).reshape(1, 1, 3, 3)
    x[0, 0, 4, 4] = 1
    prepared = convprof.prepare(Conv2d(c=1, h=9, w=9, k=1, r=3, s=3), "fft", "nchw", 1, "f64")
    prepared.bind(x, weights)
    prepared.run()
    around = prepared.output()[0, 0, 2:5, 2:5]
    np.testing.assert_allclose(around, weights[0, 0, ::-1, ::-1], atol=1e-14)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_numpy_whose_transforms_cannot_write_in_place(monkeypatch, dtype):
    monkeypatch.setattr(frequency, "FFT_HAS_OUT", False)
    check(Conv2d(n=2, c=3, h=30, w=29, k=4, r=7, s=7, pad=(3, 3)), "nchw", dtype)


def test_refusals():
    strategy = registry.find("conv2d", "fft")
    pointwise = Conv2d(c=8, h=9, w=9, k=8, r=1, s=1, stride=(2, 2))
    reason = strategy.why_not(pointwise, Setting())
    assert reason == "fft needs a filter of at least 2 taps; got 1x1"
    with pytest.raises(RefusedError):
        convprof.prepare(pointwise, "fft")
    for r, s in ((1, 2), (2, 1), (9, 9)):
        assert strategy.why_not(Conv2d(c=8, h=9, w=9, k=8, r=r, s=s), Setting()) is None


def test_phases():
    p = Conv2d(c=3, h=20, w=20, k=4, r=7, s=7)
    inner = ["pad", "fft", "product", "inverse", "crop"]
    assert inner == list(result(p, "nhwc")[2].run_phases())
    assert ["to nhwc", *inner, "to nchw"] == list(result(p, "nchw")[2].run_phases())


def test_closing_gives_the_blas_threads_back():
    blas().release()
    before = [library.num_threads for library in blas()._libraries]
    prepared = result(Conv2d(c=3, h=20, w=20, k=4, r=7, s=7))[2]
    assert {library.num_threads for library in blas()._libraries} == {1}
    prepared.close()
    assert before == [library.num_threads for library in blas()._libraries]


def test_executed_flops(monkeypatch):
    p = Conv2d(n=2, c=3, h=12, w=16, k=5, r=5, s=9)
    forced(monkeypatch, Cut(8, 4, 2), Cut(16, 8, 1))
    tiles, half = 4, 9
    real, full = 2.5 * 16 * 4, 5 * 8 * 3  # N log2 N of 16 columns, of 8 rows
    there = 3 * tiles * (8 * real + half * full)
    back = 5 * tiles * (half * full + 4 * real)
    products = 8 * half * 8 * tiles * 3 * 5
    assert there + back + products == convprof.prepare(p, "fft").executed_flops()


def test_executed_flops_of_depthwise(monkeypatch):
    p = Conv2d(c=6, h=1, w=16, k=6, r=1, s=9, groups=6)
    forced(monkeypatch, Cut(1, 1, 1), Cut(16, 8, 1))
    transforms = 6 * 160 + 6 * 160  # rows only, there and back
    assert transforms + 6 * 9 * 6 == convprof.prepare(p, "fft").executed_flops()


def test_flops_of_transforms():
    assert fft_flops(1) == fft_flops(1, real=True) == 0
    assert fft_flops(8) == 120
    assert fft_flops(8, real=True) == 60


def test_a_large_filter_takes_fewer_flops_than_its_definition():
    p = Conv2d(c=64, h=56, w=56, k=64, r=11, s=11, pad=(5, 5))
    assert convprof.prepare(p, "fft").executed_flops() < p.flops / 10


def test_smooth_sizes():
    assert smooth_sizes(1, 16) == [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16]
    assert smooth_sizes(61, 100) == [64, 72, 75, 80, 81, 90, 96, 100]


@pytest.mark.parametrize("outputs", [1, 7, 56, 112, 1000])
@pytest.mark.parametrize("span", [1, 2, 7, 31, 300])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_cuts_cover_all_outputs_with_smooth_sizes(outputs, span, stride):
    found = cuts(outputs, span, stride)
    assert found
    for cut in found:
        assert (cut.count - 1) * cut.outputs < outputs <= cut.count * cut.outputs
        assert (cut.outputs - 1) * stride + span <= cut.points
        assert cut.points in smooth_sizes(1, cut.points)
    assert len({cut.count for cut in found}) == len(found)


def test_the_cheapest_tiling_is_chosen():
    sizes = []
    for r in (3, 7, 15, 31):
        p = Conv2d(c=64, h=112, w=112, k=64, r=r, s=r, pad=(r // 2, r // 2))
        chosen = Tiling.choose(p)
        down = cuts(p.p, r, 1)
        assert min(Tiling(p, cut, cut).cost() for cut in down) >= chosen.cost()
        sizes.append(chosen.rows.points * chosen.columns.points)
    assert sizes == sorted(sizes)  # a larger filter wants larger tiles
    assert sizes[0] < 32**2 < sizes[-1]
