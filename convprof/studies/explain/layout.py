"""The address of each element of an activation tensor, in NCHW and in NHWC.

Addresses are in elements from the tensor's start, which is assumed to be the start of a cache line.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.layouts import LAYOUTS
from convprof.strategies import memory
from convprof.studies.explain.shrink import Limits, difference, shrink

if TYPE_CHECKING:
    from convprof.problems import Conv2d
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
    p = shrink(named, Limits(outputs, SHOWN_CHANNELS, SHOWN_CHANNELS))
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
