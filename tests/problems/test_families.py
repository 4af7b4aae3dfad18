from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems import Conv2d, Gemm
from convprof.problems.families import VARIABLES, vary

GEMM = Gemm(m=4, n=5, k=6, name="it")
CONV = Conv2d(n=2, c=4, h=9, w=8, k=6, r=3, s=3, pad=(1, 1), name="layer")


@pytest.mark.parametrize(
    ("problem", "over", "x", "varied"),
    [
        (GEMM, "size", 7, Gemm(m=7, n=7, k=7)),
        (GEMM, "batch", 3, Gemm(m=4, n=5, k=6, batch=3)),
        (CONV, "channels", 8, Conv2d(n=2, c=8, h=9, w=8, k=8, r=3, s=3, pad=(1, 1))),
        (CONV, "image", 14, Conv2d(n=2, c=4, h=14, w=14, k=6, r=3, s=3, pad=(1, 1))),
        (CONV, "filter", 5, Conv2d(n=2, c=4, h=9, w=8, k=6, r=5, s=5, pad=(2, 2))),
        (CONV, "filter", 2, Conv2d(n=2, c=4, h=9, w=8, k=6, r=2, s=2, pad=(0, 0, 1, 1))),
        (CONV, "batch", 5, Conv2d(n=5, c=4, h=9, w=8, k=6, r=3, s=3, pad=(1, 1))),
    ],
)
def test_one_size_changes_and_the_name_goes(problem, over, x, varied):
    found = vary(problem, over, x)
    assert varied == found
    assert found.name == ""


def test_a_depthwise_convolution_stays_one():
    depthwise = Conv2d(c=8, h=9, w=9, k=8, r=3, s=3, groups=8)
    assert vary(depthwise, "channels", 16).groups == 16


def test_groups_must_still_divide():
    with pytest.raises(ProblemError, match="groups=2: must divide c=3"):
        vary(Conv2d(c=4, h=5, w=5, k=4, r=1, s=1, groups=2), "channels", 3)


@given(st.integers(1, 12), st.integers(1, 3))
def test_any_filter_keeps_the_image(size, dilation):
    problem = Conv2d(c=1, h=9, w=8, k=1, r=1, s=1, dilation=(dilation, dilation))
    found = vary(problem, "filter", size)
    assert (found.p, found.q) == (9, 8)


@pytest.mark.parametrize(("kind", "problem"), [("gemm", GEMM), ("conv2d", CONV)])
def test_the_bytes_grow_with_every_variable(kind, problem):
    for over in VARIABLES[kind]:
        sizes = [vary(problem, over, x).bytes_min(F32) for x in range(1, 9)]
        assert sizes == sorted(sizes), over
