"""Drawings of small convolutions, of every kind or such that the filter fits."""

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


LARGER = st.integers(0, 7)
"""Rows and columns beyond the smallest image."""


def fitting(draw, per_group, images, larger=LARGER, **geometry):
    """Draw sizes for a filter, stride, pad, dilation and groups; the filter may just fit."""
    pad, dilation, groups = (geometry[name] for name in ("pad", "dilation", "groups"))
    least_h = max(1, (geometry["r"] - 1) * dilation[0] + 1 - pad[0] - pad[2])
    least_w = max(1, (geometry["s"] - 1) * dilation[1] + 1 - pad[1] - pad[3])
    return Conv2d(
        n=draw(images),
        c=groups * draw(per_group),
        h=least_h + draw(larger),
        w=least_w + draw(larger),
        k=groups * draw(per_group),
        **geometry,
    )
