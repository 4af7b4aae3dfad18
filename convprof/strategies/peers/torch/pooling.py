"""Pooling in PyTorch, whose padding is symmetric and at most half of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.strategies.peers.torch.state import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convprof.problems.ops import AdaptiveAverage, Pool2d
    from convprof.problems.shapes import Shape

    Tensor = Any
    Run = Callable[..., Tensor]


def average_to(op: AdaptiveAverage, _: tuple[Shape, ...], __: Mapping[str, Tensor]) -> Run:
    """Return the adaptive average."""
    call, size = torch().module.nn.functional.adaptive_avg_pool2d, (op.p, op.q)
    return lambda x: call(x, size)


def pool(op: Pool2d, inputs: tuple[Shape, ...], _: Mapping[str, Tensor]) -> Run:
    """Return PyTorch's own pooling, with a padded copy first if it does not support the padding."""
    functional = torch().module.nn.functional
    window, (top, left, bottom, right) = (op.r, op.s), op.pads
    if (top, left) != (bottom, right) or 2 * top > op.r or 2 * left > op.s:
        return _padded(op, *inputs)
    if op.which == "max":
        return lambda x: functional.max_pool2d(x, window, op.stride, (top, left), 1, op.ceil)
    return lambda x: functional.avg_pool2d(
        x, window, op.stride, (top, left), op.ceil, op.count_padding
    )


def _padded(op: Pool2d, shape: Shape) -> Run:
    """Return a pooling of exactly the pixels inside the windows, with an added border.

    An average over all elements of the window is divided by the share of the elements that count.
    """
    t = torch().module
    functional = t.nn.functional
    _, _, h, w = shape
    _, _, p, q = op.output(shape)
    top, left, bottom, right = op.pads
    below = (p - 1) * op.stride[0] + op.r - h - top  # negative where pixels are left over
    after = (q - 1) * op.stride[1] + op.s - w - left
    around, window = (left, after, top, below), (op.r, op.s)
    if op.which == "max":
        lowest = float("-inf")
        return lambda x: functional.max_pool2d(
            functional.pad(x, around, value=lowest), window, op.stride
        )
    counted = t.ones(1, 1, h, w)
    if op.count_padding:
        counted = functional.pad(counted, (left, right, top, bottom), value=1.0)
        around_counted = 0, after - right, 0, below - bottom
    else:
        around_counted = around
    share = functional.avg_pool2d(functional.pad(counted, around_counted), window, op.stride)
    return lambda x: functional.avg_pool2d(functional.pad(x, around), window, op.stride) / share
