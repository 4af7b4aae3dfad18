from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from convprof.problems.axis import Axis

axes = st.builds(
    Axis,
    size=st.integers(1, 40),
    taps=st.integers(1, 7),
    stride=st.integers(1, 6),
    dilation=st.integers(1, 5),
)


def counted(axis: Axis, out: int, begin: int) -> int:
    reads = {
        o * axis.stride - begin + tap * axis.dilation
        for o in range(out)
        for tap in range(axis.taps)
    }
    return len(reads & set(range(axis.size)))


@given(axes, st.integers(0, 12), st.integers(0, 12))
def test_touched_counts_distinct_inputs(axis, begin, end):
    out = max(0, axis.out(begin, end))
    assert counted(axis, out, begin) == axis.touched(out, begin)


@given(axes, st.integers(0, 12), st.integers(0, 12))
def test_end_for_gives_back_the_output_size(axis, begin, end):
    out = axis.out(begin, end)
    if out >= 1:
        settled = axis.end_for(out, begin)
        assert settled is not None
        assert out == axis.out(begin, settled)
        assert settled == begin or settled <= end


@given(axes)
def test_same_gives_the_ceiling_of_size_over_stride(axis):
    begin, end = axis.same()
    assert begin <= end <= begin + 1
    if axis.need(-(-axis.size // axis.stride)) >= 0:
        assert -(-axis.size // axis.stride) == axis.out(begin, end)


def test_strided_pointwise_touches_one_in_four():
    assert Axis(size=56, taps=1, stride=2, dilation=1).touched(28, 0) == 28


def test_outputs_that_need_negative_padding_do_not_follow():
    assert None is Axis(size=8, taps=3, stride=1, dilation=1).end_for(1, 0)
