"""The result of ``network NAME --plan``: a way for every layer, and the compared chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.studies.comparison import FIGURES, figures

if TYPE_CHECKING:
    from convprof.networks.steps import Step
    from convprof.problems.shapes import Shape
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.strategies.networks.choice import LayerChoice
    from convprof.studies.network.options import Options

OPTIMAL, GREEDY, AS_WRITTEN = "optimal", "greedy", "as written"


@dataclass(frozen=True, slots=True)
class Planned:
    """A step, its way in the optimal chain, and its fastest way in each layout."""

    step: Step
    way: LayerChoice
    strategy: str
    """The strategy of the way; for ``auto`` the one that it chose."""
    blocking: dict[str, Any] | None
    """The way's blocking; None where the strategy has no choice."""
    seconds: float
    """Between its neighbours; 0 for a view."""
    fastest: dict[str, tuple[str, float]]
    """By layout, strategy and seconds; a layout without a way is left out; a step without a layout
    has none."""

    @property
    def layout(self) -> str | None:
        """The layout; None for what has none."""
        return self.way.layout if self.step.problem.has_layout else None

    def to_json(self) -> dict[str, Any]:
        """Return the layer in JSON types."""
        return {
            "name": self.step.name,
            "nodes": list(self.step.nodes),
            "strategy": self.strategy,
            "layout": self.layout,
            "blocking": self.blocking,
            "predicted_s": self.seconds,
            "fastest": {
                layout: {"strategy": strategy, "seconds": seconds}
                for layout, (strategy, seconds) in self.fastest.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """A chain, or a library's network, and its time over the optimal chain's."""

    name: str
    also: tuple[str, ...]
    """Other chains that are the same: the same ways of all layers."""
    library: bool
    predicted_s: float | None
    """None for a library, and for the network as written, whose layers are others."""
    conversions: int | None
    measurement: Measurement
    ratio: Ratio | None
    """Its time over the optimal chain's, round by round; None for that chain itself."""

    @property
    def seconds(self) -> float:
        """The median."""
        return self.measurement.time_s.median if self.measurement.time_s else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the chain in JSON types."""
        return {
            "name": self.name,
            "also": list(self.also),
            "library": self.library,
            "predicted_s": self.predicted_s,
            "measured_s": self.seconds,
            "conversions": self.conversions,
            **(
                figures(self.ratio, self.measurement.doubt)
                if self.ratio
                else dict.fromkeys(FIGURES)
            ),
        }


@dataclass(frozen=True)
class PlanResult:
    """The plan of one network on one number of threads; less where not all was measured."""

    network: str
    input: Shape
    options: Options
    layers: list[Planned]
    """Every step, in order; empty without the times of all."""
    conversions: list[str]
    """Those of the optimal chain."""
    standings: list[Standing]
    """The fastest first."""
    excluded: list[Measurement]
    """Contestants that were refused, failed or computed a wrong result."""

    @property
    def optimal(self) -> Standing | None:
        """The optimal chain, if it was measured."""
        found = (s for s in self.standings if OPTIMAL in (s.name, *s.also))
        return next(found, None)

    def to_json(self) -> dict[str, Any]:
        """Return the plan for the document's ``networks``."""
        return {
            "kind": "plan",
            "network": self.network,
            "input": list(self.input),
            "threads": self.options.threads,
            "layout": self.options.layout,
            "layers": [layer.to_json() for layer in self.layers],
            "conversions": self.conversions,
            "chains": [standing.to_json() for standing in self.standings],
        }
