"""Worked examples with real numbers: what is to be shown, computed; nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import InputError, ProblemError
from convprof.problems import as_convolution

if TYPE_CHECKING:
    from convprof.problems import Conv2d, Problem

TOPICS = {
    "conv": "One output by hand, the options, and their names in PyTorch.",
    "channels": "A digit through 32 and 64 filters; what pooling keeps.",
    "backward": "Gradients of input and weights by hand, and by finite differences.",
    "attention": "Queries, keys, values and softmax of a few patches, by hand.",
    "im2col": "The patch matrix: index arrays, copies, bytes.",
    "layout": "NCHW and NHWC: the address of each element.",
    "tile": "What one tile of A, B and C touches, and what it saves.",
    "winograd": "One tile through the transforms, step by step.",
    "cycles": "From the latency of one multiply-add to the peak, measured here.",
}
"""Topic -> what its page shows, in the order in which they are best read."""


def convolution(problem: Problem, topic: str) -> Conv2d:
    """Return the problem if it is a convolution; InputError otherwise."""
    try:
        return as_convolution(problem)
    except ProblemError as error:
        raise InputError(f"explain {topic}: {error}") from None
