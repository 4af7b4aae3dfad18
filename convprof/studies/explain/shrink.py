"""A convolution small enough to print that does the same as the convolution that is named."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from convprof.problems import Conv2d
from convprof.problems.axis import Axis

WIDEST_SPAN = 5
"""A filter that covers more inputs is shown smaller."""
FEW_TAPS = 3
GREATEST_STRIDE = 3


@dataclass(frozen=True)
class Limits:
    """What fits a page."""

    outputs: int
    """Output rows, and output columns."""
    channels: int
    """Input channels of all groups."""
    filters: int
    """Output channels of all groups."""


def shrink(p: Conv2d, limits: Limits) -> Conv2d:
    """Return the convolution with every size cut to the limits; ``p`` itself where it fits.

    Stride, dilation and padding stay what they are unless the filter itself has to shrink; then
    they shrink with it. One image; at most two groups.
    """
    groups = min(p.groups, 2, limits.channels)
    top, left, bottom, right = p.pads
    rows, up_down = _axis(Axis(p.h, p.r, p.stride[0], p.dilation[0]), (top, bottom), limits.outputs)
    columns, across = _axis(
        Axis(p.w, p.s, p.stride[1], p.dilation[1]), (left, right), limits.outputs
    )
    return Conv2d(
        c=groups * max(1, min(p.cg, limits.channels // groups)),
        h=rows.size,
        w=columns.size,
        k=groups * max(1, min(p.kg, limits.filters // groups)),
        r=rows.taps,
        s=columns.taps,
        stride=(rows.stride, columns.stride),
        pad=(up_down[0], across[0], up_down[1], across[1]),
        dilation=(rows.dilation, columns.dilation),
        groups=groups,
        name=p.name,
    )


def _axis(axis: Axis, pads: tuple[int, int], most: int) -> tuple[Axis, tuple[int, int]]:
    """Return one axis of at most ``most`` outputs, and its padding."""
    out = min(axis.out(*pads), most)
    span = axis.span
    if span > WIDEST_SPAN:
        taps = min(axis.taps, FEW_TAPS)
        dilation = min(axis.dilation, 2)
        small = (taps - 1) * dilation + 1
        pads = (_scaled(pads[0], small, span), _scaled(pads[1], small, span))
        stride = axis.stride
        if stride > GREATEST_STRIDE:
            stride = min(GREATEST_STRIDE, max(2, round(stride * small / span)))
        axis = Axis(axis.size, taps, stride, dilation)
    elif axis.stride > GREATEST_STRIDE:
        axis = dataclasses.replace(axis, stride=GREATEST_STRIDE)
    pads = (min(pads[0], axis.span), min(pads[1], axis.span))
    # The least input that gives the outputs, but never more than there was.
    size = min(axis.size, max(1, axis.need(out) + axis.size - sum(pads)))
    if axis.span > size + sum(pads):
        size = axis.span - sum(pads)
    axis = dataclasses.replace(axis, size=size)
    begin, end = pads
    while axis.out(begin, end) > most:  # padding alone makes too many outputs
        begin, end = (begin - 1, end) if begin > end else (begin, end - 1)
    return axis, (begin, end)


def _scaled(padding: int, small: int, span: int) -> int:
    """Return the padding for a smaller filter: the same share of it, none only where none was."""
    return min(small - 1, max(1, round(padding * (small - 1) / (span - 1)))) if padding else 0


def difference(p: Conv2d, small: Conv2d) -> str:
    """Return what was cut, ``64 -> 2 input channels, 56x56 -> 4x4 input``; empty for nothing."""
    changes = [
        (p.n, small.n, "images"),
        (p.groups, small.groups, "groups"),
        (p.c, small.c, "input channels"),
        (p.k, small.k, "output channels"),
        (_by(p.h, p.w), _by(small.h, small.w), "input"),
        (_by(p.r, p.s), _by(small.r, small.s), "filter"),
        (_by(*p.stride), _by(*small.stride), "stride"),
        (_by(*p.dilation), _by(*small.dilation), "dilation"),
        (_padding(p), _padding(small), "padding"),
    ]
    return ", ".join(f"{a} -> {b} {what}" for a, b, what in changes if a != b)


def _by(*values: int) -> str:
    return "x".join(map(str, values))


def _padding(p: Conv2d) -> str:
    return str(p.pads[0]) if len(set(p.pads)) == 1 else _by(*p.pads)
