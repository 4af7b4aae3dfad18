"""Input and weights of a whole network from a seed, and the float64 reference of its result."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks import parameters
from convprof.problems.operation import IMAGE_AXES
from convprof.strategies import memory
from convprof.strategies.base import DTYPES
from convprof.strategies.reference_network import network as exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.networks.graph import Network
    from convprof.problems import Whole

    Array = np.ndarray[Any, Any]


class WholeOperands:
    """The input, standard normal, and weights that keep activations of order one."""

    points = None
    """All of the result is verified."""

    def __init__(self, problem: Whole, dtype: str, seed: int) -> None:
        """Draw them; ``TooLargeError`` if they would not fit."""
        self.problem = problem
        self._network: Network = problem.network  # type: ignore[assignment]  # there is one kind
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
        return exact(self._network, self._x, self.weights)
