from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems.ops import AdaptiveAverage, Pool2d

SMALL = st.integers(1, 7)


@given(
    more=st.integers(0, 13), beyond=SMALL, stride=SMALL, pad=st.integers(0, 3), ceil=st.booleans()
)
def test_windows_are_as_many_as_can_be_laid(more, beyond, stride, pad, ceil):
    r = pad + beyond
    h = max(1, r - 2 * pad) + more
    op = Pool2d(which="max", r=r, s=1, stride=(stride, 1), pad=(pad, 0), ceil=ceil)
    last = h + pad if ceil else h + 2 * pad - r + 1  # exclusive, from the padding's beginning
    starts = range(0, last, stride)
    if ceil:  # no window but the last may reach past the end
        whole = [s for s in starts if s + r <= h + 2 * pad]
        starts = [s for s in starts if s <= whole[-1] + stride]
        if whole[-1] + r == h + 2 * pad:
            starts = whole
    assert op.output((2, 3, h, 4)) == (2, 3, len(starts), 4)
    assert op.flops((2, 3, h, 4)) == 2 * 3 * len(starts) * 4 * r


def test_pool_costs():
    op = Pool2d.square("max", 3, stride=2, pad=1)
    x = (1, 64, 112, 112)
    assert op.text == "max 3x3 s2"
    assert op.output(x) == (1, 64, 56, 56)
    assert op.macs(x) == op.parameters(x) == 0
    assert op.bytes_min(F32, x) == 4 * 64 * (112 * 112 + 56 * 56)


def test_uneven_padding():
    op = Pool2d(which="avg", r=2, s=2, stride=(1, 1), pad=(0, 0, 1, 1))
    assert op.output((1, 1, 4, 5)) == (1, 1, 4, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pad": (3, 0)}, r"pad=\(3, 0\): must be less than the window"),
        ({"stride": (0, 1)}, "stride=0"),
        ({"r": 0}, "r=0"),
    ],
)
def test_impossible_windows(settings, message):
    with pytest.raises(ProblemError, match=message):
        Pool2d(**{"which": "max", "r": 3, "s": 3, "stride": (1, 1), **settings})


@given(h=st.integers(1, 40), p=st.integers(1, 40))
def test_adaptive_average_reads_every_pixel_of_every_region(h, p):
    spans = [math.ceil((i + 1) * h / p) - math.floor(i * h / p) for i in range(p)]
    expected = 0 if h == p else 3 * (sum(spans) * 2 + p * 2)
    assert expected == AdaptiveAverage(p, 2).flops((1, 3, h, 2))
    assert AdaptiveAverage(p, 2).output((1, 3, h, 2)) == (1, 3, p, 2)


def test_global_average():
    op = AdaptiveAverage(1, 1)
    assert op.output((2, 5, 7, 7)) == (2, 5, 1, 1)
    assert op.flops((2, 5, 7, 7)) == 2 * 5 * (49 + 1)
    assert op.text == "avg to 1x1"
