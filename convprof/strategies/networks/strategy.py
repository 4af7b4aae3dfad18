"""A network in one of our ways, as a strategy for problems of the kind ``network``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from convprof.networks.fold import fold_weights
from convprof.networks.steps import steps
from convprof.strategies.base import Prepared, Setting, Strategy
from convprof.strategies.networks.chain import Chain
from convprof.strategies.networks.connections import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.networks.steps import Step, Way
    from convprof.problems import Problem
    from convprof.problems.graph import Network
    from convprof.strategies.networks.chain import Weights


class Chained(Strategy):
    """The layers of one network, each in a way of its own, one after the other.

    ``inner`` is the network that is computed: ``network`` itself, or what is left of it when batch
    norms are folded; then ``fuse`` takes activations, sums and softmaxes along with the layers.
    """

    kind: ClassVar[str] = "network"
    parallel: ClassVar[bool] = True
    generated: ClassVar[bool] = True
    summary: ClassVar[str] = "the layers one after the other, in memory that they share"

    def __init__(self, name: str, recipe: Recipe, ways: Sequence[Way]) -> None:
        """``ways`` has one for each of the recipe's steps."""
        self.name = name  # type: ignore[misc]  # the way has the name, not the class
        self.recipe = recipe
        self.ways = tuple(ways)

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Connect the layers, allocate and compile."""
        recipe = self.recipe
        made = connect(recipe.inner, recipe.steps, self.ways, setting.layout)
        return Chain(problem, setting, made, recipe.weights)  # type: ignore[arg-type]


class Recipe:
    """What of a network is computed: as written, or with all folded and fused that can be."""

    def __init__(self, network: Network, inner: Network, *, fuse: bool) -> None:
        """``inner`` is ``network`` or ``folded(network)``."""
        self.network, self.inner = network, inner
        self.fuse = fuse
        self.steps: list[Step] = steps(inner, fuse=fuse)

    @property
    def weights(self) -> Callable[[Weights], Weights]:
        """What turns the network's weights into those of the steps."""
        if self.inner is self.network:
            return lambda weights: weights
        return lambda weights: fold_weights(self.network, weights)
