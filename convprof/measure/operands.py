"""Inputs for a problem from a seed, the same numbers in every layout."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from convprof.networks import parameters
from convprof.problems import Attention, BackwardData, BackwardWeights, Conv2d, Gemm, oracle
from convprof.problems.layouts import operands_in_layout, result_in_nhwc
from convprof.problems.operation import Operation
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies import memory
from convprof.strategies.base import DTYPES

if TYPE_CHECKING:
    from convprof.problems import Problem

    Array = np.ndarray[Any, Any]
    Points = np.ndarray[Any, np.dtype[np.int64]]
    from collections.abc import Mapping

    from convprof.problems import NetworkProblem
    from convprof.problems.graph import Network


# Input and weights of a whole network from a seed, and the float64 reference of its result.


class WholeOperands:
    """The input, standard normal, and weights that keep activations of order one."""

    points = None
    """All of the result is verified."""

    def __init__(self, problem: NetworkProblem, dtype: str, seed: int) -> None:
        """Draw them; ``TooLargeError`` if they would not fit."""
        self.problem = problem
        self._network: Network = problem.network
        kind, item = DTYPES[dtype]
        # Once as drawn, once in the order of the kernels; the reference takes a layer at a time.
        memory.require(2 * item * parameters.elements(self._network), problem.descriptor)
        random = np.random.default_rng(seed)
        self._x = random.standard_normal(problem.network.input, dtype=np.float32).astype(kind)
        self.weights: Mapping[str, Mapping[str, Array]] = parameters.draw(self._network, seed)

    def all(self, layout: str) -> tuple[Any, ...]:
        """Return the input in ``layout``, and the weights by layer and name."""
        turned = layout == "nhwc" and self._x.ndim == IMAGE_AXES
        x = np.ascontiguousarray(self._x.transpose(0, 2, 3, 1)) if turned else self._x
        return x, self.weights

    @functools.cached_property
    def reference(self) -> Array:
        """The float64 result, in its logical shape."""
        return self.problem.reference(self._x, self.weights)


WHOLE_MACS = 300_000_000
"""Up to here the float64 reference of the whole output takes less than a second."""

POINTS = 4096
LEAST_VARIANCE = 0.5
GATHERED_ELEMENTS = 1 << 24
"""At most as many operand elements are gathered for the points: 128 MiB in float64."""


class Drawn(Protocol):
    """What a result is verified against."""

    @property
    def problem(self) -> Problem:
        """What was computed."""

    @property
    def points(self) -> Points | None:
        """Flat indices of the results that the reference has; None for all of them."""

    @property
    def reference(self) -> Array:
        """The float64 result."""


class Operands:
    """Operands of one problem, uniform in [-1, 1), and the float64 reference of its output."""

    def __init__(self, problem: Problem, dtype: str, seed: int) -> None:
        """Draw the operands; ``TooLargeError`` if they would not fit."""
        self.problem = problem
        self._kind = DTYPES[dtype][0]
        random = np.random.default_rng(seed)
        self._turned: dict[int, Array] = {}
        self._drawn = tuple(self._draw(random, shape) for shape in problem.operand_shapes("nchw"))
        if isinstance(problem, Operation):
            for position in problem.positive_operands():
                np.abs(self._drawn[position], out=self._drawn[position])
                self._drawn[position][...] += LEAST_VARIANCE

    @property
    def second(self) -> Array:
        """The weights of a convolution, ``b`` of a GEMM; the second operand, in NCHW."""
        return self._drawn[1]

    def first(self, layout: str) -> Array:
        """Return the activation in ``layout``; ``a`` of a GEMM, ``q`` of attention."""
        return self.all(layout)[0]

    def all(self, layout: str) -> tuple[Array, ...]:
        """Return every operand; those that lie in some layout are in ``layout``."""
        if layout == "nchw":
            return self._drawn
        turned = operands_in_layout(self.problem)
        return tuple(
            self._in_nhwc(position) if position in turned else drawn
            for position, drawn in enumerate(self._drawn)
        )

    def _in_nhwc(self, position: int) -> Array:
        if position not in self._turned:
            turned = self._drawn[position].transpose(0, 2, 3, 1)
            copy = memory.zeros(turned.shape, self._kind)
            copy[...] = turned
            self._turned[position] = copy
        return self._turned[position]

    @functools.cached_property
    def points(self) -> Points | None:
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
        if isinstance(problem, Operation):
            return problem.reference(self._drawn)
        first, second, *more = self._drawn
        if isinstance(problem, Conv2d):
            product = oracle.conv2d(problem, first, second, self.points)
            return oracle.epilogue(problem, product, more, self.points)
        if isinstance(problem, Gemm):
            product = oracle.gemm(problem, first, second, self.points)
            return oracle.epilogue(problem, product, more, self.points)
        if isinstance(problem, BackwardData | BackwardWeights):
            return _gradient(problem, (first, second), self.points)
        if isinstance(problem, Attention):
            return oracle.attention(problem, first, second, self.points)
        return np.asarray(first, dtype=np.float64)

    def _draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        memory.require(
            4 * math.prod(shape) * np.dtype(self._kind).itemsize, f"an operand of {shape}"
        )
        array = memory.zeros(shape, self._kind)
        array[...] = random.random(shape, dtype=np.float32) * 2 - 1
        return array


def _gradient(
    problem: BackwardData | BackwardWeights, operands: tuple[Array, Array], points: Points | None
) -> Array:
    """Return the float64 gradient, all of it (NCHW) or at ``points``."""
    forward, data = problem.forward, isinstance(problem, BackwardData)
    if isinstance(forward, Conv2d):
        of_conv = oracle.conv2d_backward_data if data else oracle.conv2d_backward_weights
        return of_conv(forward, *operands, points)
    of_gemm = oracle.gemm_backward_data if data else oracle.gemm_backward_weights
    return of_gemm(forward, *operands, points)


def max_rel_error(operands: Drawn, output: Array, layout: str) -> float:
    """Return ``max|y - y64| / max|y64|`` of an output in ``layout`` against the reference."""
    turned = result_in_nhwc(operands.problem, layout)
    y = output.transpose(0, 3, 1, 2) if turned else output
    if operands.points is not None:
        y = y[np.unravel_index(operands.points, y.shape)]
    reference = operands.reference
    scale = float(np.max(np.abs(reference), initial=0.0)) or 1.0
    return float(np.max(np.abs(y - reference), initial=0.0)) / scale
