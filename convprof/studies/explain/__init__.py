"""Worked examples with real numbers: what is to be shown, computed; nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.problems import Conv2d

if TYPE_CHECKING:
    from convprof.problems import Problem

TOPICS = {
    "conv": "One output by hand, the options, the output size, names in PyTorch and Keras.",
    "im2col": "The patch matrix: index arrays, copies, bytes.",
    "layout": "NCHW and NHWC: the address of each element.",
    "tile": "What one tile of A, B and C touches, and what it saves.",
    "winograd": "One tile through the transforms, step by step.",
}
"""Topic -> what its page shows, in the order in which they are best read."""


def convolution(problem: Problem, topic: str) -> Conv2d:
    """Return the problem if it is a convolution; InputError otherwise."""
    if not isinstance(problem, Conv2d):
        kind = "a matrix product" if problem.kind == "gemm" else f"of kind {problem.kind}"
        raise InputError(
            f"explain {topic}: {problem.descriptor} is {kind}; "
            "name a convolution, e.g. resnet50:layer1.0.conv2"
        )
    return problem
