"""The worked gradients against the float64 references, the strategies and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_convolutions import convolutions
from hypothesis import given, settings

from convprof.problems import Conv2d, parse
from convprof.studies.explain.backward import (
    DEFAULT,
    Step,
    backward,
    parts,
    read_by,
    steps,
    weight,
)
from convprof.studies.explain.example import padded

LAYERS = [
    parse(DEFAULT),
    Conv2d(c=4, h=7, w=8, k=4, r=3, s=2, stride=(2, 1), pad=(0, 1, 1, 1), groups=2),
    Conv2d(c=2, h=9, w=9, k=2, r=3, s=3, dilation=(2, 2), pad=(2, 2)),
]


@given(convolutions())
@settings(max_examples=60, deadline=None)
def test_every_element_by_hand_is_the_reference(p):
    p = p.with_batch(1)
    random = np.random.default_rng(5)
    x = random.integers(1, 10, (p.c, p.h, p.w))
    weights = random.integers(-2, 3, p.weight_shape)
    dy = random.integers(-3, 4, (p.k, p.p, p.q))
    dx, dw = p.data_gradient(dy[None], weights)[0], p.weights_gradient(x[None], dy[None])
    for c, i, j in ((0, 0, 0), (p.c - 1, p.h // 2, p.w // 2), (0, p.h - 1, p.w - 1)):
        assert sum(part.total for part in parts(p, weights, dy, (c, i, j))) == dx[c, i, j]
    for tap in ((0, 0, 0, 0), (p.k - 1, p.cg - 1, p.r - 1, p.s - 1)):
        assert weight(p, x, dy, tap).total == dw[tap]


@given(convolutions())
@settings(max_examples=40, deadline=None)
def test_the_outputs_marked_are_the_outputs_that_change(p):
    p = p.with_batch(1)
    element = (0, p.h // 2, p.w // 2)
    weights = np.ones(p.weight_shape, int)
    x = np.zeros((1, p.c, p.h, p.w))
    x[0][element] = 1
    changed = p.reference((x, weights))[0] != 0
    for part in parts(p, weights, np.zeros((p.k, p.p, p.q), int), element):
        assert np.array_equal(part.used, changed[part.filter])


def test_the_factors_of_a_weight_are_what_its_tap_reads():
    p = LAYERS[1]
    x = np.arange(p.c * p.h * p.w).reshape(p.c, p.h, p.w)
    dy = np.ones((p.k, p.p, p.q), int)
    part = weight(p, x, dy, (3, 1, 2, 1))
    assert np.array_equal(part.factors, padded(p, x)[3][read_by(p, 2, 1)])


@pytest.mark.parametrize("p", LAYERS, ids=str)
def test_strategies_and_central_differences_agree(p):
    page = backward(p, seed=4)
    assert np.array_equal(page.y - page.target, page.dy)
    for gradient in (page.dx, page.dw):
        assert [each.strategy for each in gradient.checked] == ["direct", "microkernel"]
        assert all(each.difference == 0 for each in gradient.checked)
        exact, *others = gradient.steps
        assert exact.central == 0
        assert all(step.central < 1e-5 for step in others)
        assert exact.one_sided > others[0].one_sided > others[1].one_sided


def test_a_wrong_gradient_is_seen():
    at = np.array([3, -1])
    assert steps(lambda v: float(np.sum(v**2)), at, 2 * at)[0] == Step(0.5, 0.5 / 6, 0)
    assert steps(lambda v: float(np.sum(v**2)), at, 2 * at + 1)[0].central > 0.1


def test_the_seed_draws_the_numbers():
    first, same, other = (backward(parse(DEFAULT), seed) for seed in (1, 1, 2))
    assert np.array_equal(first.dx.values, same.dx.values)
    assert not np.array_equal(first.dx.values, other.dx.values)
