"""Inputs for a problem from a seed, the same numbers in every layout."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Conv2d, Gemm
from convprof.strategies import memory, oracle
from convprof.strategies.base import DTYPES

if TYPE_CHECKING:
    from convprof.problems import Problem

    Array = np.ndarray[Any, Any]

WHOLE_MACS = 300_000_000
"""Up to here the float64 reference of the whole output takes less than a second."""

POINTS = 4096
GATHERED_ELEMENTS = 1 << 24
"""At most as many operand elements are gathered for the points: 128 MiB in float64."""


class Operands:
    """Operands of one problem, uniform in [-1, 1), and the float64 reference of its output."""

    def __init__(self, problem: Problem, dtype: str, seed: int) -> None:
        """Draw the operands; ``TooLargeError`` if they would not fit."""
        self.problem = problem
        self._kind = DTYPES[dtype][0]
        random = np.random.default_rng(seed)
        self._layouts: dict[str, Array] = {}
        self._first, self.second = (
            self._draw(random, shape) for shape in problem.operand_shapes("nchw")
        )

    def first(self, layout: str) -> Array:
        """Return the activation in ``layout`` (conv2d, reorder), or ``a`` (GEMM)."""
        if self.problem.kind == "gemm" or layout == "nchw":
            return self._first
        if layout not in self._layouts:
            turned = self._first.transpose(0, 2, 3, 1)
            copy = memory.zeros(turned.shape, self._kind)
            copy[...] = turned
            self._layouts[layout] = copy
        return self._layouts[layout]

    @functools.cached_property
    def points(self) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Flat indices of the output points to verify; None for all of them."""
        problem = self.problem
        if problem.macs <= WHOLE_MACS:
            return None
        size = math.prod(problem.result_shape("nchw"))
        count = max(1, min(POINTS, size, GATHERED_ELEMENTS * size // problem.macs))
        corners = np.array([0, size - 1])
        return np.unique(np.append(np.random.default_rng(0).integers(0, size, count), corners))

    @functools.cached_property
    def reference(self) -> Array:
        """The float64 result, all of it (NCHW) or at ``points``."""
        problem = self.problem
        if isinstance(problem, Conv2d):
            return oracle.conv2d(problem, self._first, self.second, self.points)
        if isinstance(problem, Gemm):
            return oracle.gemm(problem, self._first, self.second, self.points)
        return np.asarray(self._first, dtype=np.float64)

    def _draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        memory.require(
            4 * math.prod(shape) * np.dtype(self._kind).itemsize, f"an operand of {shape}"
        )
        array = memory.zeros(shape, self._kind)
        array[...] = random.random(shape, dtype=np.float32) * 2 - 1
        return array


def max_rel_error(operands: Operands, output: Array, layout: str) -> float:
    """Return ``max|y - y64| / max|y64|`` of an output in ``layout`` against the reference."""
    kind = operands.problem.kind
    turned = layout == "nhwc" if kind == "conv2d" else kind == "reorder" and layout == "nchw"
    y = output.transpose(0, 3, 1, 2) if turned else output
    if operands.points is not None:
        y = y[np.unravel_index(operands.points, y.shape)]
    reference = operands.reference
    scale = float(np.max(np.abs(reference), initial=0.0)) or 1.0
    return float(np.max(np.abs(y - reference), initial=0.0)) / scale
