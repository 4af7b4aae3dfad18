"""Why a network does not take the sum of the times of its layers.

The sum of the layers with hot caches, the sum with cold ones, the layers within the chain, and the
chain in one go are four totals of the same work. The differences between them have names: operands
that the layer before left in a farther cache, conversions, and the launch of each layer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.network.layers import Layer

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Seconds."""

    hot_s: float
    cold_s: float
    within_s: float
    """The layers of the chain, each timed between its neighbours."""
    conversions_s: float
    """Changes of layout between them, timed likewise."""
    chain_s: float
    """The whole chain in one go."""

    @property
    def distance_s(self) -> float:
        """The additional time of the layers in the chain: their operands are farther away."""
        return self.within_s - self.hot_s

    @property
    def joined_s(self) -> float:
        """What running the layers in one go saves (negative) or costs."""
        return self.chain_s - self.within_s - self.conversions_s

    @property
    def residual(self) -> float:
        """The chain over the sum of hot layers, less 1."""
        return self.chain_s / self.hot_s - 1 if self.hot_s else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the totals, and the differences between them."""
        return {**asdict(self), "distance_s": self.distance_s, "joined_s": self.joined_s}


def reconcile(
    layers: Sequence[Layer], chain_s: float, conversions_s: float
) -> Reconciliation | None:
    """Return the totals; None unless every layer was measured."""
    if any(None in (layer.hot, layer.cold, layer.chain_s) for layer in layers if not layer.view):
        return None
    return Reconciliation(
        sum(layer.hot_s for layer in layers),
        sum(layer.cold_s for layer in layers),
        sum(layer.chain_s or 0.0 for layer in layers),
        conversions_s,
        chain_s,
    )


def farthest(layers: Sequence[Layer]) -> list[Layer]:
    """Return the few layers that lose most time in the chain, the worst first."""
    losing = [
        layer for layer in layers if layer.chain_s is not None and layer.chain_s > layer.hot_s
    ]
    return sorted(losing, key=lambda layer: layer.hot_s - (layer.chain_s or 0.0))[:MOST_NAMED]
