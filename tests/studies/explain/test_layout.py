"""Addresses, cache lines and vector loads, against NumPy's own layouts."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import TooLargeError
from convprof.problems import Conv2d, parse
from convprof.strategies import memory
from convprof.studies.explain.here import Here
from convprof.studies.explain.layout import DEFAULT, layout, strides, vector_load, window_addresses

HERE = Here("avx512", 16, 32, 64, line_assumed=False, caches=(("L1", 49152), ("L2", 2097152)))
STRIDED = Conv2d(n=2, c=6, h=9, w=11, k=4, r=3, s=2, stride=(2, 1), pad=(1, 0), groups=2)


@pytest.mark.parametrize("name", ["nchw", "nhwc"])
@pytest.mark.parametrize("p", [parse(DEFAULT), STRIDED])
def test_strides_are_numpys(p, name):
    array = np.zeros(p.x_shape(name), np.float32)
    expected = dict(zip(name, (step // 4 for step in array.strides), strict=True))
    found = strides(p, name)
    assert {axis: getattr(found, axis) for axis in "nchw"} == expected


def test_the_order_of_elements_equals_a_transposed_copys():
    page = layout(parse(DEFAULT), HERE)
    p = page.shown
    labels = np.stack(np.indices((p.c, p.h, p.w)), axis=-1)
    nchw, nhwc = page.arranged
    assert np.array_equal(nchw.order, labels.reshape(-1, 3))
    assert np.array_equal(nhwc.order, labels.transpose(1, 2, 0, 3).reshape(-1, 3))


@pytest.mark.parametrize("name", ["nchw", "nhwc"])
@pytest.mark.parametrize("p", [parse(DEFAULT), STRIDED])
def test_a_window_reads_what_marking_it_in_the_tensor_marks(p, name):
    (i, j), found = window_addresses(p, strides(p, name))
    image = np.zeros((p.c, p.h, p.w), bool)
    for r in range(p.r):
        for s in range(p.s):
            y = i * p.stride[0] + r * p.dilation[0] - p.pads[0]
            x = j * p.stride[1] + s * p.dilation[1] - p.pads[1]
            if 0 <= y < p.h and 0 <= x < p.w:
                image[: p.cg, y, x] = True
    marked = image if name == "nchw" else image.transpose(1, 2, 0)
    assert np.array_equal(found, np.flatnonzero(marked))


def test_cache_lines_of_a_resnet_layer_are_counted_at_real_size():
    page = layout(Conv2d(c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1)), HERE)
    nchw, nhwc = page.real
    assert (nchw.window.elements, nchw.window.runs) == (576, 192)
    assert (nhwc.window.lines, nhwc.window.runs, nhwc.window.used) == (36, 3, 1.0)
    assert 192 <= nchw.window.lines <= 2 * 192
    assert page.shown.c == 4
    assert "64 -> 4 input channels" in page.reduction


def test_a_longer_line_holds_more():
    wide = Here("neon", 4, 32, 128, line_assumed=False, caches=())
    p = Conv2d(c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1))
    assert layout(p, wide).real[1].window.lines == 18


@pytest.mark.parametrize(("name", "expected"), [("nchw", (16, 1, 1, 16)), ("nhwc", (16, 16, 1, 1))])
def test_a_vector_load_takes_neighbours(name, expected):
    load = vector_load(Conv2d(c=64, h=56, w=56, k=1, r=1, s=1), name, 16)
    assert (load.elements, load.channels, load.rows, load.columns) == expected


def test_a_load_ends_with_the_image():
    load = vector_load(Conv2d(c=1, h=2, w=3, k=1, r=1, s=1), "nchw", 16)
    assert (load.elements, load.channels, load.rows, load.columns) == (6, 1, 2, 3)


def test_a_window_of_nothing_but_padding_touches_no_line():
    p = Conv2d(c=1, h=1, w=1, k=1, r=2, s=2, dilation=(9, 9), pad=(9, 9))
    i, j = p.p // 2, p.q // 2
    window = layout(p, HERE).real[0].window
    assert window.pixel == (i, j)
    assert window.lines == min(1, window.elements)


def test_a_window_that_does_not_fit_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    with pytest.raises(TooLargeError, match="a window of 4096x99x99"):
        layout(Conv2d(c=4096, h=99, w=99, k=1, r=99, s=99), HERE)
