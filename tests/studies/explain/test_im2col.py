"""The worked patch matrix: any convolution, against brute force and the float64 reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from drawn_convolutions import convolutions
from hypothesis import given, settings

from convprof.errors import TooLargeError
from convprof.problems import Conv2d, parse
from convprof.strategies import memory
from convprof.studies.explain.example import direct_sums
from convprof.studies.explain.im2col import DEFAULT, LIMITS, im2col
from convprof.studies.explain.patch_cost import cost, variants
from convprof.studies.explain.shrink import difference, shrink


@given(convolutions())
@settings(max_examples=150, deadline=None)
def test_the_shrunk_convolution_is_small_and_of_the_same_kind(p):
    small = shrink(p, LIMITS)
    assert small.n == 1
    assert small.p <= LIMITS.outputs
    assert small.q <= LIMITS.outputs
    assert small.c <= max(LIMITS.channels, small.groups)
    assert small.k <= max(LIMITS.filters, small.groups)
    assert (small.groups > 1) == (p.groups > 1)
    assert (small.stride[0] > 1) == (p.stride[0] > 1) or small.p == 1
    for before, after in zip((p.r, p.s, *p.dilation), (small.r, small.s, *small.dilation),
                             strict=True):  # fmt: skip
        assert after <= before
    assert max(small.h, small.w) <= 14
    assert (difference(p, small) == "") == (p == small)


@given(convolutions())
@settings(max_examples=100, deadline=None)
def test_the_product_is_the_direct_sum_and_every_copy_is_counted(p):
    page = im2col(p, seed=3)
    assert page.largest_difference == 0
    assert np.array_equal(page.product, page.direct)
    assert page.checked == page.shown.k * page.shown.p * page.shown.q
    assert page.copies.sum() * page.shown.c == page.cost.copied_elements
    assert np.count_nonzero(~page.zeros) * page.shown.groups == page.cost.copied_elements
    assert not page.patches[page.zeros].any()
    assert page.patches[~page.zeros].all()  # the input has no zero of its own


@given(convolutions())
@settings(max_examples=60, deadline=None)
def test_the_direct_sums_are_the_reference(p):
    p = p.with_batch(1)
    random = np.random.default_rng(0)
    x = random.integers(-4, 5, (1, p.c, p.h, p.w))
    weights = random.integers(-4, 5, p.weight_shape)
    top, left, bottom, right = p.pads
    padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right)))
    assert np.array_equal(p.reference((x, weights))[0], direct_sums(p, padded, weights))


@given(convolutions())
@settings(max_examples=100, deadline=None)
def test_the_cost_of_any_size_is_what_counting_one_by_one_gives(p):
    ones = np.ones((p.h, p.w), int)
    top, left, bottom, right = p.pads
    padded = np.pad(ones, ((top, bottom), (left, right)))
    copied = sum(
        padded[i * p.stride[0] + r * p.dilation[0], j * p.stride[1] + s * p.dilation[1]]
        for i in range(p.p)
        for j in range(p.q)
        for r in range(p.r)
        for s in range(p.s)
    )
    found = cost("", p)
    assert found.copied_elements == p.n * p.c * copied
    assert found.patch_elements == p.n * p.c * p.r * p.s * p.p * p.q
    assert found.input_elements == p.n * p.c * p.h * p.w


@pytest.mark.parametrize("text", [DEFAULT, "mb1ic2ih9iw7oc2oh4ow6kh2kw3sh2sw1ph0pw0dh0dw1"])
def test_the_formulas_are_the_numpy_that_makes_the_values(text):
    page = im2col(parse(text), seed=0)
    for index in (*page.rows, *page.columns):
        made = eval(index.formula, {"np": np})  # noqa: S307  # our own text, as a reader would type it
        assert np.array_equal(index.values, made), index.name


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others():
    p = parse(DEFAULT)
    assert np.array_equal(im2col(p, 1).x, im2col(p, 1).x)
    assert not np.array_equal(im2col(p, 1).x, im2col(p, 2).x)


def test_resnet50_conv1_is_copied_12_times():
    p = Conv2d(c=3, h=224, w=224, k=64, r=7, s=7, stride=(2, 2), pad=(3, 3))
    found = cost("", p)
    assert found.patch_bytes == 3 * 49 * 112 * 112 * 4
    assert 12.0 < found.copies < 12.25 == found.patch_bytes / found.input_bytes


def test_variants_change_one_thing_each_and_skip_what_does_not_fit():
    p = parse(DEFAULT)
    labels = {found.label: found.problem for found in variants(p)}
    assert labels["stride 2"] == dataclasses.replace(p, stride=(2, 2))
    assert labels["dilation 2"] == dataclasses.replace(p, dilation=(2, 2))
    assert labels["padding 0"] == dataclasses.replace(p, pad=(0, 0))
    only = Conv2d(c=1, h=1, w=1, k=1, r=3, s=3, pad=(1, 1))
    assert [found.label for found in variants(only)] == ["as shown", "stride 2"]


def test_what_is_too_large_to_count_is_refused_first(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    with pytest.raises(TooLargeError, match="counting 100000 positions"):
        cost("", Conv2d(c=1, h=200_000, w=1, k=1, r=100_000, s=1))
