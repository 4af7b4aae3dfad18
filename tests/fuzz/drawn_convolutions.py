"""Small convolutions of every kind, for tests that compare with brute force."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from convprof.errors import ProblemError
from convprof.problems import Conv2d


@st.composite
def convolutions(draw):
    few, groups = st.integers(1, 3), draw(st.integers(1, 3))
    try:
        return Conv2d(
            n=draw(few), c=groups * draw(few), k=groups * draw(few),
            h=draw(st.integers(1, 14)), w=draw(st.integers(1, 14)),
            r=draw(st.integers(1, 7)), s=draw(st.integers(1, 7)),
            stride=(draw(st.integers(1, 5)), draw(st.integers(1, 5))),
            pad=tuple(draw(st.integers(0, 4)) for _ in range(4)),
            dilation=(draw(few), draw(few)), groups=groups,
        )  # fmt: skip
    except ProblemError:
        assume(False)
