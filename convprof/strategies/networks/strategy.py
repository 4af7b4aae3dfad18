"""A network with a choice per layer, as a strategy for problems of the kind ``network``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import COMMON, SHORT, SHORT_FLOATS
from convprof.problems import NetworkProblem
from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.networks.chain import Chain
from convprof.strategies.networks.choice import searches
from convprof.strategies.networks.connections import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.strategies.networks.choice import LayerChoice
    from convprof.strategies.networks.connections import Connections
    from convprof.strategies.networks.recipe import Recipe
    from convprof.strategies.networks.shared_weights import SharedWeights


class Chained(Strategy[NetworkProblem]):
    """The layers of one network, each with its own choice, one after the other.

    The recipe has the network that is computed, as written or folded and fused, and its steps.
    """

    kind = "network"
    parallel = True
    generated = True
    summary = "the layers one after the other, in memory that they share"
    dtypes = (*COMMON, *SHORT_FLOATS, SHORT["int8"])

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        choices: Sequence[LayerChoice],
        shared: SharedWeights | None = None,
    ) -> None:
        """``choices`` has one for each of the recipe's steps.

        ``shared``: the packed weights of chains that are prepared together; None: of no others.
        """
        self.name = name
        self.shared = shared
        self.recipe = recipe
        self.choices = tuple(choices)

    def searches(self, problem: NetworkProblem, setting: Setting) -> frozenset[str]:  # noqa: ARG002
        """Return the timed searches for the layers whose blocking is not chosen yet."""
        links = self._connected(setting).links
        return frozenset().union(*(searches(link.problem, link.choice, setting) for link in links))

    def _connected(self, setting: Setting) -> Connections:
        return connect(self.recipe.inner, self.recipe.steps, self.choices, setting.layout)

    def apart(self) -> Chained:
        """Return the chain with weights of its own."""
        return Chained(self.name, self.recipe, self.choices)

    def prepare(self, problem: NetworkProblem, setting: Setting) -> Prepared:
        """Connect the layers, allocate and compile."""
        recipe = self.recipe
        calibration = recipe.calibration([choice.dtype for choice in self.choices])
        return Chain(
            problem,
            setting,
            self._connected(setting),
            recipe.weights,
            calibration,
            shared=self.shared,
        )
