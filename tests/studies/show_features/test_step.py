from __future__ import annotations

import itertools

import numpy as np
import pytest

from convprof.errors import RefusedError, UnknownNameError
from convprof.problems import Conv2d, Gemm
from convprof.studies.show_features.step import (
    FEWEST_CALLS,
    MOST_CALLS,
    Choice,
    Step,
    check,
    compute,
)


def conv_step(c=2, size=9, k=3, r=3):
    random = np.random.default_rng(0)
    problem = Conv2d(c=c, h=size, w=size + 2, k=k, r=r, s=r)
    x = random.standard_normal(problem.x_shape("nchw")).astype(np.float32)
    weights = random.standard_normal(problem.weight_shape).astype(np.float32)
    return Step("a filter", problem, x, weights)


def clock(tick):
    return (tick * k for k in itertools.count()).__next__


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("strategy", ["direct", "im2col", "winograd"])
def test_a_step_is_what_the_reference_says_whatever_the_layout(strategy, layout):
    step = conv_step()
    found = compute(step, Choice(strategy, layout))
    assert found.output == pytest.approx(step.problem.reference((step.first, step.second)), abs=1e-4)  # noqa: E501  # fmt: skip
    assert (found.strategy, found.layout, found.refused) == (strategy, layout, None)
    assert found.max_rel_error < 1e-4
    assert not found.wrong
    assert found.fallback == ""


def test_what_the_choice_refuses_is_computed_by_direct_and_says_so():
    step = conv_step(r=5)
    found = compute(step, Choice("winograd", "nhwc"))
    reason = "winograd needs a filter of at most 4 times the stride; got 5x5 stride 1"
    assert found.fallback == f"computed by direct: {reason}"
    assert found.output.shape == (1, 3, 5, 7)
    assert not found.wrong


def test_a_strategy_that_refuses_all_is_an_error_and_one_that_refuses_some_is_none():
    check([conv_step(), conv_step(r=5)], Choice("winograd"))
    with pytest.raises(RefusedError, match=r"winograd: refuses every filter here: winograd needs"):
        check([conv_step(r=1), conv_step(r=5)], Choice("winograd"))
    with pytest.raises(RefusedError, match="direct runs on one thread, not 2"):
        check([conv_step()], Choice("direct", threads=2))
    with pytest.raises(UnknownNameError, match="did you mean tiled"):
        check([conv_step()], Choice("tild"))


def test_a_product_goes_to_the_products_own_strategy():
    a = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    found = compute(Step("p", Gemm(m=5, n=5, k=4), a, a.T.copy()), Choice("direct", "nhwc"))
    assert (found.strategy, found.layout) == ("auto", None)
    assert found.output == pytest.approx(a @ a.T, rel=1e-5)


@pytest.mark.parametrize(("tick", "calls"), [(1.0, FEWEST_CALLS), (1e-9, MOST_CALLS)])
def test_calls_fill_the_budget(tick, calls):
    found = compute(conv_step(), Choice("direct"), clock(tick))
    assert len(found.times_s) == calls
    assert found.time_s == pytest.approx(tick)


def test_a_wrong_result_is_noticed_and_cancelled_rounding_is_not_one(monkeypatch):
    step = conv_step()
    even = Step("even", step.problem, np.full_like(step.first, 0.3), step.second)
    even.second[...] -= even.second.mean(axis=(1, 2, 3), keepdims=True)
    assert not compute(even, Choice("tiled")).wrong
    real = Conv2d.reference
    monkeypatch.setattr(Conv2d, "reference", lambda *given: real(*given) + 0.5)
    assert compute(step, Choice("tiled")).wrong
