"""What the patch matrix of a convolution costs: elements, copies, bytes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ProblemError
from convprof.integers import ceil_div
from convprof.problems.axis import Axis
from convprof.strategies import memory

if TYPE_CHECKING:
    from convprof.problems import Conv2d

ITEM_BYTES = 4
"""Bytes of an f32."""


@dataclass(frozen=True)
class Cost:
    """What the patch matrix of one convolution costs, all images and groups, in f32."""

    label: str
    problem: Conv2d
    input_elements: int
    copied_elements: int
    """Patch elements that are copies of an input element."""
    patch_elements: int

    @property
    def copies(self) -> float:
        """How often an input element is copied, on average."""
        return self.copied_elements / self.input_elements

    @property
    def padding(self) -> float:
        """Share of the patch matrix that is zeros of the padding."""
        return 1 - self.copied_elements / self.patch_elements

    @property
    def input_bytes(self) -> int:
        """Bytes of the input."""
        return self.input_elements * ITEM_BYTES

    @property
    def patch_bytes(self) -> int:
        """Bytes of the patch matrix."""
        return self.patch_elements * ITEM_BYTES


def cost(label: str, p: Conv2d) -> Cost:
    """Count elements of input and patch matrix, and how many of these are copies."""
    top, left, _, _ = p.pads
    rows = _inside(Axis(p.h, p.r, p.stride[0], p.dilation[0]), p.p, top)
    columns = _inside(Axis(p.w, p.s, p.stride[1], p.dilation[1]), p.q, left)
    return Cost(
        label,
        p,
        input_elements=p.n * p.c * p.h * p.w,
        copied_elements=p.n * p.c * rows * columns,
        patch_elements=p.n * p.c * p.r * p.s * p.p * p.q,
    )


def _inside(axis: Axis, out: int, before: int) -> int:
    """Return how many pairs (output, tap) of one axis read the input, not its padding."""
    fewer, step, more, stride = axis.taps, axis.dilation, out, axis.stride
    if more < fewer:  # outputs and taps play the same part: walk over the fewer
        fewer, step, more, stride = more, stride, fewer, step
    memory.require(4 * fewer * np.dtype(np.int64).itemsize, f"counting {fewer} positions")
    start = before - np.arange(fewer, dtype=np.int64) * step
    first = np.maximum(0, ceil_div(start, stride))
    last = np.minimum(more, (axis.size - 1 + start) // stride + 1)
    return int(np.maximum(0, last - first).sum())


def variants(p: Conv2d) -> list[Cost]:
    """Return what the cost becomes with another stride, dilation or padding, each alone."""
    stride = 1 if p.stride != (1, 1) else 2
    dilation = 1 if p.dilation != (1, 1) else 2
    padding = (0, 0) if any(p.pads) else (1, 1)
    changes: list[tuple[str, dict[str, Any]]] = [
        (f"stride {stride}", {"stride": (stride, stride)}),
        (f"dilation {dilation}", {"dilation": (dilation, dilation)}),
        (f"padding {padding[0]}", {"pad": padding}),
    ]
    costs = [cost("as shown", p)]
    for label, change in changes:
        try:
            costs.append(cost(label, dataclasses.replace(p, **change)))
        except ProblemError:  # the changed filter does not fit the image
            continue
    return costs
