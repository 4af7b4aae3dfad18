"""Inputs for a problem from a seed, the same numbers in every layout."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from convprof.networks import parameters
from convprof.problems import NetworkProblem
from convprof.problems.layouts import NCHW, to_layout, to_logical
from convprof.problems.tensors import relative_error
from convprof.strategies import memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import Types
    from convprof.problems import Problem
    from convprof.problems.graph import Network, Weights
    from convprof.problems.tensors import Array, Points, TensorSpec


class NetworkOperands:
    """The input, standard normal, and weights that keep activations of order one."""

    points = None
    """All of the result is verified."""

    def __init__(self, problem: NetworkProblem, types: Types, seed: int) -> None:
        """Draw what is not given; ``TooLargeError`` if the operands would not fit."""
        self.problem = problem
        self.types = types
        network, real = problem.network, problem.real
        # Once as drawn, once in the order of the kernels; the reference takes a layer at a time.
        needed = 2 * types.weights.bytes * parameters.elements(network)
        memory.require(needed, problem.descriptor)
        x = normal_input(network, seed) if real is None else real.x
        stored = problem.operands(NCHW, types)[0]
        self._x: Array = x.astype(stored.dtype.array_type, copy=False)
        self.weights: Weights = parameters.draw(network, seed) if real is None else real.weights

    def all(self, layout: str) -> tuple[Any, ...]:
        """Return the input in ``layout``, and the weights by layer and name."""
        stored_in = self.problem.operands(layout, self.types)[0].layout
        return np.ascontiguousarray(to_layout(self._x, stored_in)), self.weights

    @functools.cached_property
    def reference(self) -> Array:
        """The float64 result, in its logical shape; in int8 with the roundings of the file."""
        real = self.problem.real
        if real is not None:
            return real.expected(self.types)
        return self.problem.network.reference(self._x, self.weights)


def normal_input(network: Network, seed: int) -> Array:
    """Return a standard normal input of a network in f32; whole numbers where it reads ids."""
    random = np.random.default_rng(seed)
    x = random.standard_normal(network.input, dtype=np.float32)
    for numbers in network.whole:
        numbers.draw(x, random)
    return x


WHOLE_MACS = 300_000_000
"""Up to here the float64 reference of the whole output takes less than a second."""

POINTS = 4096
LEAST_VARIANCE = 0.5
LARGEST_WHOLE = 255
"""Whole numbers are drawn up to here, so that long sums of their products fit 32 bits."""
GATHERED_ELEMENTS = 1 << 24
"""At most as many operand elements are gathered for the points: 128 MiB in float64."""


class Drawn(Protocol):
    """Operands that were drawn, and what a result is verified against."""

    @property
    def problem(self) -> Problem:
        """What is computed."""

    @property
    def types(self) -> Types:
        """The element types of the tensors."""

    @property
    def points(self) -> Points | None:
        """Flat indices of the results that the reference has; None for all of them."""

    @property
    def reference(self) -> Array:
        """The float64 result."""

    def all(self, layout: str) -> tuple[Any, ...]:
        """Return every operand, for ``Prepared.bind``."""


class Operands:
    """Operands of one problem, uniform in [-1, 1), and the float64 reference of its output."""

    def __init__(self, problem: Problem, types: Types, seed: int) -> None:
        """Draw the operands; ``TooLargeError`` if they would not fit."""
        self.problem = problem
        self.types = types
        random = np.random.default_rng(seed)
        self._stored: dict[tuple[int, str], Array] = {}
        self._drawn = tuple(_draw(random, spec) for spec in problem.operands(NCHW, types))

    @property
    def second(self) -> Array:
        """The weights of a convolution, ``b`` of a GEMM; the second operand, in NCHW."""
        return self._drawn[1]

    def first(self, layout: str) -> Array:
        """Return the activation in ``layout``; ``a`` of a GEMM, ``q`` of attention."""
        return self.all(layout)[0]

    def all(self, layout: str) -> tuple[Array, ...]:
        """Return every operand as it is in memory in that layout."""
        specs = self.problem.operands(layout, self.types)
        return tuple(self._in_memory(i, spec) for i, spec in enumerate(specs))

    def _in_memory(self, position: int, spec: TensorSpec) -> Array:
        drawn = self._drawn[position]
        if spec.layout in (None, NCHW):
            return drawn
        key = position, spec.layout
        if key not in self._stored:
            copy = memory.zeros(spec.shape, spec.dtype.array_type)
            copy[...] = to_layout(drawn, spec.layout)
            self._stored[key] = copy
        return self._stored[key]

    @functools.cached_property
    def points(self) -> Points | None:
        """Flat indices of the output points to verify; None for all of them."""
        problem = self.problem
        if problem.macs <= WHOLE_MACS:
            return None
        size = problem.result(NCHW, self.types).elements
        count = max(1, min(POINTS, size, GATHERED_ELEMENTS * size // problem.macs))
        corners = np.array([0, size - 1])
        return np.unique(np.append(np.random.default_rng(0).integers(0, size, count), corners))

    @functools.cached_property
    def reference(self) -> Array:
        """The float64 result, all of it (NCHW) or at ``points``."""
        return self.problem.reference_in(self.types, self._drawn, self.points)


def _draw(random: np.random.Generator, spec: TensorSpec) -> Array:
    """Return numbers from -1 to 1, or a little above 0; of a type of whole numbers, small ones."""
    memory.require(4 * spec.nbytes, f"an operand of {spec.shape}")
    array = memory.zeros(spec.shape, spec.dtype.array_type)
    if spec.dtype.is_exact:
        limits = np.iinfo(spec.dtype.array_type)
        least, most = spec.limits or (-LARGEST_WHOLE, LARGEST_WHOLE)
        least, most = max(limits.min, int(least)), min(limits.max, int(most))
        array[...] = random.integers(least, most, spec.shape, endpoint=True)
        return array
    least, most = spec.limits or (-1.0, 1.0)
    array[...] = random.random(spec.shape, dtype=np.float32) * (most - least) + least
    if spec.positive:
        np.abs(array, out=array)
        array[...] += LEAST_VARIANCE
    return array


_CLASSES: dict[str, Callable[[Any, Types, int], Drawn]] = {NetworkProblem.kind: NetworkOperands}
"""By kind of problem, where operands are not drawn one by one."""


def draw(problem: Problem, types: Types, seed: int) -> Drawn:
    """Draw the operands of a problem; ``TooLargeError`` if they would not fit."""
    return _CLASSES.get(problem.kind, Operands)(problem, types, seed)


def max_rel_error(operands: Drawn, output: Array, layout: str) -> float:
    """Return ``max|y - y64| / max|y64|`` of an output in ``layout`` against the reference."""
    stored_in = operands.problem.result(layout, operands.types).layout
    y = to_logical(output, stored_in)
    if operands.points is not None:
        y = y[np.unravel_index(operands.points, y.shape)]
    return relative_error(y, operands.reference)
