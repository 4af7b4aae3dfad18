"""Padding: the input with a border, and the stages that copy it into the border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.integers import ceil_div
from convprof.strategies.plan import Buffer, Stage, X
from convprof.strategies.requantised import bordered

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems import Conv2d
    from convprof.strategies.kernels import Buffers, Words
    from convprof.strategies.plan import Plan

PADDED = "padded"


def pad_planes(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy planes ``(n, c)`` of an NCHW image into the middle of their padded planes.

    With a stride the padded plane is stored as one sub-plane per stride phase, so that the pixels
    of one filter tap are neighbours in memory. The border is zeroed once, and no stage writes to
    it.
    """
    x, padded = buffers[0], buffers[1]
    h, w, top, left, sh, sw = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    phases_h, phases_w, rows, columns = dims[6], dims[7], dims[8], dims[9]
    for plane in range(lo, hi):
        source = plane * h * w
        target = plane * phases_h * phases_w * rows * columns
        for i in range(h):
            phase_h = (i + top) % sh
            if phase_h < phases_h:
                for phase_w in range(phases_w):
                    first = (phase_w - left) % sw
                    count = (w - first + sw - 1) // sw
                    row = phase_h * phases_w + phase_w
                    to = target + (row * rows + (i + top) // sh) * columns + (first + left) // sw
                    start = source + i * w + first
                    if sw == 1:
                        for j in range(count):
                            padded[to + j] = x[start + j]
                    else:
                        for j in range(count):
                            padded[to + j] = x[start + j * sw]


def pad_rows(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy rows ``(n, h)`` of an NHWC image into the middle of their padded rows."""
    x, padded = buffers[0], buffers[1]
    h, length, top, skip, rows, row_length = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    for task in range(lo, hi):
        n = task // h
        i = task % h
        source = task * length
        target = (n * rows + i + top) * row_length + skip
        for j in range(length):
            padded[target + j] = x[source + j]


@dataclass(frozen=True)
class Padded:
    """The padded input of a convolution: its name, shape and the stages that make it."""

    buffer: str
    shape: tuple[int, ...]
    stages: tuple[Stage, ...]

    def declare(self, plan: Plan, types: Types) -> None:
        """Add the buffer to a plan, unless the input is read in place."""
        buffer = Buffer(self.shape, types.source)
        if self.buffer == X:
            return
        if types.requantises:
            plan.packed[self.buffer] = bordered(buffer)
        else:
            plan.workspaces[self.buffer] = buffer


def padded_nhwc(p: Conv2d) -> Padded:
    """Return the NHWC input with its border, ``(n, h', w', c)``; the input itself if it has none."""  # noqa: E501
    top, left, bottom, right = p.pads
    if not any(p.pads):
        return Padded(X, p.x_shape("nhwc"), ())
    shape = (p.n, p.h + top + bottom, p.w + left + right, p.c)
    dims = (p.h, p.w * p.c, top, left * p.c, shape[1], shape[2] * p.c)
    return Padded(PADDED, shape, (Stage("pad", pad_rows, p.n * p.h, (X, PADDED), dims),))


def padded_nchw(p: Conv2d, *, phases: bool = False) -> Padded:
    """Return the NCHW input with its border, ``(n, c, phases_h, phases_w, h', w')``.

    With ``phases`` each phase of a stride has its own plane (see ``pad_planes``); a filter of one
    row needs only the first phase. Without ``phases``, or at stride 1, the one phase is the padded
    image.
    """
    top, left, bottom, right = p.pads
    sh, sw = p.stride if phases else (1, 1)
    phases_h, phases_w = sh if p.r > 1 else 1, sw if p.s > 1 else 1
    if not any(p.pads) and (sh, sw) == (1, 1):
        return Padded(X, (p.n, p.c, 1, 1, p.h, p.w), ())
    rows, columns = ceil_div(p.h + top + bottom, sh), ceil_div(p.w + left + right, sw)
    shape = (p.n, p.c, phases_h, phases_w, rows, columns)
    dims = (p.h, p.w, top, left, sh, sw, phases_h, phases_w, rows, columns)
    return Padded(PADDED, shape, (Stage("pad", pad_planes, p.n * p.c, (X, PADDED), dims),))
