"""Which tensors of a problem lie in memory in the layout of the setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems import Conv2d, NetworkProblem
from convprof.problems.operation import Operation
from convprof.problems.shapes import IMAGE_AXES

if TYPE_CHECKING:
    from convprof.problems import Problem

_OPERANDS = {"conv2d": 1, "conv2d-backward-data": 1, "conv2d-backward-weights": 2, "reorder": 1}
"""By kind of problem, how many of the first operands."""


def has_layout(problem: Problem) -> bool:
    """Return whether any tensor of the problem has a layout."""
    if isinstance(problem, NetworkProblem):
        return bool(problem.network.images)
    return problem.laid_out if isinstance(problem, Operation) else problem.kind in _OPERANDS


def operands_in_layout(problem: Problem) -> frozenset[int]:
    """Return the positions of the operands that lie in the layout; the others lie one way."""
    if isinstance(problem, Operation):
        images = [len(shape) == IMAGE_AXES for shape in problem.inputs]
        return frozenset(i for i, image in enumerate(images) if image and problem.laid_out)
    found = set(range(_OPERANDS.get(problem.kind, 0)))
    if isinstance(problem, Conv2d) and problem.epilogue.add:
        found.add(2 + problem.epilogue.bias)  # after x, the weights and a bias
    return frozenset(found)


def result_in_nhwc(problem: Problem, layout: str) -> bool:
    """Return whether the result is an image that lies in NHWC when ``layout`` is asked for."""
    if problem.kind == "reorder":  # its result is in the other one
        return layout == "nchw"
    if isinstance(problem, NetworkProblem | Operation):
        image = problem.gives_image
    else:
        image = problem.kind in ("conv2d", "conv2d-backward-data")
    return image and layout == "nhwc"
