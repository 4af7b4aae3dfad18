"""The address of each element of an activation tensor, in NCHW and in NHWC.

Addresses are in elements from the tensor's start, which is assumed to be the start of a cache line.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Conv2d
from convprof.problems.axis import Axis
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import memory

if TYPE_CHECKING:
    from convprof.studies.explain.here import Here

    Integers = np.ndarray[Any, np.dtype[np.int64]]


DEFAULT = "mb1ic4ih4oc4kh3ph1"
SHOWN_OUTPUTS = 4
SHOWN_CHANNELS = 4
ITEM_BYTES = 4
"""Bytes of an f32."""


@dataclass(frozen=True)
class Strides:
    """The distance between neighbours, in elements."""

    n: int
    c: int
    h: int
    w: int


@dataclass(frozen=True)
class Load:
    """What one vector load takes, in elements: how many channels, rows and columns it covers."""

    elements: int
    channels: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Window:
    """What one filter window reads: one output pixel, the channels of one group."""

    pixel: tuple[int, int]
    """Output row and column."""
    elements: int
    """Elements read; taps in the padding are not."""
    lines: int
    """Distinct cache lines that contain them."""
    runs: int
    """Stretches of neighbours in memory."""
    used: float
    """Share of the lines' bytes that the window uses."""


@dataclass(frozen=True, eq=False)
class Arranged:
    """One layout of a tensor."""

    layout: str
    strides: Strides
    order: Integers
    """(elements, 3): channel, row, column of the element at each address of the first image."""
    load: Load
    window: Window
    in_window: np.ndarray[Any, np.dtype[np.bool_]]
    """For each address, whether the window reads it."""


@dataclass(frozen=True)
class Real:
    """One layout of the named problem: counts only."""

    layout: str
    strides: Strides
    load: Load
    window: Window


@dataclass(frozen=True, eq=False)
class LayoutPage:
    """The page: the small tensor in both layouts, and the counts of the named problem."""

    named: Conv2d
    shown: Conv2d
    reduction: str
    here: Here
    arranged: tuple[Arranged, ...]
    real: tuple[Real, ...]


def layout(named: Conv2d, here: Here) -> LayoutPage:
    """Work the example. Raises TooLargeError for a window that does not fit the memory."""
    # With a stride fewer outputs need as much of the image.
    outputs = max(2, SHOWN_OUTPUTS // max(named.stride))
    p = reduced(named, Limits(outputs, SHOWN_CHANNELS, SHOWN_CHANNELS))
    reduction = difference(named, p)
    real = tuple(_real(named, name, here) for name in LAYOUTS)
    return LayoutPage(
        named, p, reduction, here, tuple(_arranged(p, name, here) for name in LAYOUTS), real
    )


def strides(p: Conv2d, name: str) -> Strides:
    """Return the distance in elements from one index to the next along each axis."""
    shape = p.x_shape(name)
    steps = (*itertools.accumulate(shape[:0:-1], lambda a, b: a * b, initial=1),)[::-1]
    return Strides(**dict(zip(name, steps, strict=True)))


def _arranged(p: Conv2d, name: str, here: Here) -> Arranged:
    steps = strides(p, name)
    c, h, w = (axis.ravel() for axis in np.indices((p.c, p.h, p.w)))
    address = c * steps.c + h * steps.h + w * steps.w
    order = np.empty((address.size, 3), np.int64)
    order[address] = np.stack([c, h, w], axis=1)
    pixel, read = window_addresses(p, steps)
    inside = np.zeros(address.size, bool)
    inside[read] = True
    load = vector_load(p, name, here.lanes)
    return Arranged(name, steps, order, load, _window(pixel, read, here), inside)


def _real(p: Conv2d, name: str, here: Here) -> Real:
    steps = strides(p, name)
    pixel, read = window_addresses(p, steps)
    return Real(name, steps, vector_load(p, name, here.lanes), _window(pixel, read, here))


def vector_load(p: Conv2d, name: str, lanes: int) -> Load:
    """Return what a load of ``lanes`` neighbours from the start of an image takes."""
    count = min(lanes, p.c * p.h * p.w)
    shape = p.x_shape(name)[1:]
    indices = dict(zip(name[1:], np.unravel_index(np.arange(count), shape), strict=True))
    return Load(count, *(len(np.unique(indices[axis])) for axis in "chw"))


def window_addresses(p: Conv2d, steps: Strides) -> tuple[tuple[int, int], Integers]:
    """Return the middle output pixel, and the addresses that it reads in the first group."""
    memory.require(
        4 * p.cg * p.r * p.s * np.dtype(np.int64).itemsize, f"a window of {p.cg}x{p.r}x{p.s}"
    )
    pixel = (p.p // 2, p.q // 2)
    top, left, _, _ = p.pads
    i = pixel[0] * p.stride[0] - top + np.arange(p.r) * p.dilation[0]
    j = pixel[1] * p.stride[1] - left + np.arange(p.s) * p.dilation[1]
    i, j = i[(i >= 0) & (i < p.h)], j[(j >= 0) & (j < p.w)]
    c = np.arange(p.cg)[:, None, None]
    address = c * steps.c + i[:, None] * steps.h + j * steps.w
    return pixel, np.sort(address, axis=None)


def _window(pixel: tuple[int, int], read: Integers, here: Here) -> Window:
    per_line = here.line_bytes // ITEM_BYTES
    lines = len(np.unique(read // per_line))
    return Window(
        pixel,
        elements=read.size,
        lines=lines,
        runs=int(np.count_nonzero(np.diff(read) > 1)) + 1 if read.size else 0,
        used=read.size / (lines * per_line) if lines else 0.0,
    )


# A convolution small enough to print that does the same as the convolution that is named.

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


def reduced(p: Conv2d, limits: Limits) -> Conv2d:
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
