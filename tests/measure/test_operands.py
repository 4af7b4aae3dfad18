from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32, types
from convprof.errors import TooLargeError
from convprof.measure import operands as operands_module
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d, Gemm, LayoutConversion
from convprof.strategies import memory

CONV = Conv2d(n=2, c=3, h=5, w=6, k=4, r=3, s=2, pad=(1, 0))
GEMM = Gemm(m=5, n=6, k=7, batch=2)
REORDER = LayoutConversion(n=2, c=3, h=4, w=5)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_the_same_numbers_in_every_layout(dtype):
    drawn = Operands(CONV, types(dtype), seed=1)
    nchw, nhwc = drawn.first("nchw"), drawn.first("nhwc")
    kind = {"f32": np.float32, "f64": np.float64}[dtype]
    assert (nchw.dtype, nhwc.dtype, drawn.second.dtype) == (kind, kind, kind)
    assert (CONV.x_shape("nchw"), CONV.x_shape("nhwc")) == (nchw.shape, nhwc.shape)
    np.testing.assert_array_equal(nchw.transpose(0, 2, 3, 1), nhwc)
    assert nchw.flags.c_contiguous
    assert nhwc.flags.c_contiguous
    assert drawn.first("nhwc") is nhwc
    assert drawn.second.shape == CONV.weight_shape


def test_the_same_numbers_from_the_same_seed():
    first, again, other = (Operands(CONV, F32, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.first("nchw"), again.first("nchw"))
    np.testing.assert_array_equal(first.second, again.second)
    assert not np.array_equal(first.first("nchw"), other.first("nchw"))
    assert not np.array_equal(first.second, other.second)


def test_the_same_numbers_in_both_types():
    np.testing.assert_array_equal(
        Operands(CONV, F32, 1).first("nchw"), Operands(CONV, types("f64"), 1).first("nchw")
    )


def test_numbers_are_on_both_sides_of_zero():
    values = Operands(Conv2d(c=8, h=40, w=40, k=1, r=1, s=1), F32, 0).first("nchw")
    assert -1 <= values.min() < -0.99
    assert 0.99 < values.max() < 1
    assert abs(values.mean()) < 0.05


def test_a_gemm_has_one_layout():
    drawn = Operands(GEMM, F32, 0)
    assert drawn.first("nhwc") is drawn.first("nchw")
    assert (GEMM.a_shape, GEMM.b_shape) == (drawn.first("nchw").shape, drawn.second.shape)


def test_the_reference_of_small_problems_is_whole():
    conv, gemm, reorder = (Operands(p, F32, 0) for p in (CONV, GEMM, REORDER))
    assert conv.points is None
    np.testing.assert_array_equal(conv.reference, CONV.reference((conv.first("nchw"), conv.second)))
    np.testing.assert_array_equal(gemm.reference, GEMM.reference((gemm.first("nchw"), gemm.second)))
    np.testing.assert_array_equal(reorder.reference, reorder.first("nchw"))
    assert conv.reference.dtype == np.float64


@pytest.mark.parametrize("problem", [CONV, GEMM], ids=["conv2d", "gemm"])
def test_the_reference_of_large_problems_is_sampled(monkeypatch, problem):
    whole = Operands(problem, F32, 0).reference
    monkeypatch.setattr(operands_module, "WHOLE_MACS", problem.macs - 1)
    monkeypatch.setattr(operands_module, "POINTS", 20)
    sampled = Operands(problem, F32, 0)
    points = sampled.points
    assert points[0] == 0
    assert points[-1] == whole.size - 1
    assert 10 < len(points) <= 22
    assert len(set(points.tolist())) == len(points)
    np.testing.assert_allclose(sampled.reference, whole.ravel()[points], rtol=1e-12)
    np.testing.assert_array_equal(points, Operands(problem, types("f64"), 9).points)


def test_few_points_where_each_is_a_long_sum(monkeypatch):
    problem = Gemm(m=50, n=50, k=1000)
    monkeypatch.setattr(operands_module, "WHOLE_MACS", 0)
    monkeypatch.setattr(operands_module, "GATHERED_ELEMENTS", 30_000)
    assert len(Operands(problem, F32, 0).points) <= 30 + 2


def turned(y, layout):
    return y if layout == "nchw" else np.ascontiguousarray(y.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("sampled", [False, True])
def test_the_error_of_a_convolution(monkeypatch, layout, sampled):
    if sampled:
        monkeypatch.setattr(operands_module, "WHOLE_MACS", 0)
    drawn = Operands(CONV, types("f64"), 0)
    exact = CONV.reference((drawn.first("nchw"), drawn.second))
    assert max_rel_error(drawn, turned(exact, layout), layout) < 1e-15

    largest = np.max(np.abs(drawn.reference))
    off = exact.copy()
    off[-1, -1, -1, -1] += 0.25 * largest  # the last point is always looked at
    assert max_rel_error(drawn, turned(off, layout), layout) == pytest.approx(0.25)
    off[-1, -1, -1, -1] = np.nan
    assert np.isnan(max_rel_error(drawn, turned(off, layout), layout))


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_the_error_of_a_product_ignores_the_layout(layout):
    drawn = Operands(GEMM, F32, 0)
    assert max_rel_error(drawn, drawn.reference, layout) == 0
    assert max_rel_error(drawn, 2 * drawn.reference, layout) == 1


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_the_error_of_a_conversion_is_taken_in_the_other_layout(layout):
    drawn = Operands(REORDER, F32, 0)
    other = {"nchw": "nhwc", "nhwc": "nchw"}[layout]
    assert max_rel_error(drawn, drawn.first(other), layout) == 0
    assert max_rel_error(drawn, np.zeros(REORDER.operands(other, F32)[0].shape), layout) == 1


def test_a_result_of_nothing_but_padding():
    problem = Conv2d(c=1, h=1, w=1, k=1, r=1, s=1, stride=(1, 2), pad=(0, 1, 0, 0))
    drawn = Operands(problem, F32, 0)
    assert max_rel_error(drawn, np.zeros((1, 1, 1, 1)), "nchw") == 0
    assert max_rel_error(drawn, np.full((1, 1, 1, 1), 0.5), "nchw") == 0.5


def test_operands_that_do_not_fit(monkeypatch):
    def allocate(*_):
        raise AssertionError

    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    monkeypatch.setattr(memory, "zeros", allocate)
    with pytest.raises(TooLargeError, match=r"an operand of \(2, 3, 5, 6\) needs .* 100 B are"):
        Operands(CONV, F32, 0)
