"""What ``network NAME`` has found: layers, chain, libraries, and who could not be measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from convprof.studies.network.layers import kinds
from convprof.studies.network.reconcile import reconcile

if TYPE_CHECKING:
    from convprof.problems.operation import Shape
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.studies.network.how import How
    from convprof.studies.network.layers import Layer
    from convprof.studies.network.reconcile import Reconciliation


@dataclass(frozen=True)
class Found:
    """One network in one way; None and less where not all of it was measured."""

    network: str
    input: Shape
    how: How
    layers: list[Layer]
    """Every step, in order."""
    chain: Measurement | None
    """All of them one after the other."""
    conversions: dict[str, float]
    """Seconds within the chain of each change of layout, by name."""
    libraries: list[tuple[Measurement, Ratio]]
    """Those that ran the whole network, and their time over the chain's, round by round."""
    excluded: list[Measurement]
    """Who was refused, failed or computed a wrong result."""

    @property
    def measured(self) -> list[Layer]:
        """The layers that have a time."""
        return [layer for layer in self.layers if layer.hot is not None]

    @property
    def missing(self) -> int:
        """How many layers should have a time, and have none."""
        return sum(1 for layer in self.layers if layer.hot is None and not layer.view)

    def reconciliation(self) -> Reconciliation | None:
        """Return how the chain's time comes about; None unless all of it was measured."""
        chain = self.chain
        if chain is None or chain.time_s is None or not chain.phases:
            return None
        return reconcile(self.layers, chain.time_s.median, sum(self.conversions.values()))

    def to_json(self) -> dict[str, Any]:
        """Return what was found, for the document's comparisons."""
        found = self.reconciliation()
        return {
            "kind": "network",
            "network": self.network,
            "input": list(self.input),
            "threads": self.how.threads,
            "layout": self.how.layout,
            "fused": self.how.fuse,
            "layers": [layer.to_json() for layer in self.layers],
            "kinds": [asdict(kind) for kind in kinds(self.layers)],
            "conversions": [{"name": n, "chain_s": s} for n, s in self.conversions.items()],
            "reconciliation": found.to_json() if found else None,
            "libraries": [
                {"name": library.strategy, "ratio": asdict(ratio)}
                for library, ratio in self.libraries
            ],
        }
