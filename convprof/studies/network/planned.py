"""The result of ``network NAME --plan``: a choice for every layer, and the compared chains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convprof.strategies.networks.connections import is_of_type
from convprof.studies.comparison import FIGURES, figures
from convprof.studies.network.layers import step_json

if TYPE_CHECKING:
    from convprof.problems.shapes import Shape
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.strategies.networks.choice import LayerChoice
    from convprof.studies.network.accuracy import Accuracy
    from convprof.studies.network.concurrency import Concurrency
    from convprof.studies.network.layers import LayerStep
    from convprof.studies.network.options import Options

OPTIMAL, GREEDY, AS_WRITTEN = "optimal", "greedy", "as written"
ALL = "all "
"""How the name of a chain with one layout throughout begins."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A step, its choice in the optimal chain, and its fastest choice in each layout."""

    step: LayerStep
    choice: LayerChoice
    strategy: str
    """The strategy of the choice; for ``auto`` the one that it chose."""
    blocking: dict[str, Any] | None
    """The choice's blocking; None where the strategy has no choice."""
    seconds: float
    """Between its neighbours; 0 for a view."""
    fastest: dict[str, tuple[str, float]]
    """By layout, strategy and seconds, without layouts that have no choice; empty for a step
    without a layout."""

    @property
    def layout(self) -> str | None:
        """The layout; None for what has none."""
        return self.choice.layout if self.step.problem.has_layout else None

    def to_json(self) -> dict[str, Any]:
        """Return the layer in JSON types."""
        return {
            **step_json(self.step),
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
    """Other chains that are the same: they have the same choices for all layers."""
    library: bool
    predicted_s: float | None
    """None for a library, and for the network as written, whose layers are others."""
    conversions: int | None
    measurement: Measurement
    ratio: Ratio | None
    """Its time over the optimal chain's, round by round; None for that chain itself."""
    optimal_doubt: str | None = None
    """Why the optimal chain's time cannot be true; None if it can."""

    @property
    def doubt(self) -> str | None:
        """Why nothing can be concluded from it: its time, the optimal chain's, or the ratio."""
        ratio = self.ratio.doubt if self.ratio else None
        return self.measurement.doubt or self.optimal_doubt or ratio

    @property
    def clearly_faster(self) -> bool:
        """Whether it was measured to be faster than the optimal chain, by more than noise."""
        return self.doubt is None and self.ratio is not None and self.ratio.verdict == "faster"

    @property
    def clearly_slower(self) -> bool:
        """Whether it was measured to be slower than the optimal chain, by more than noise."""
        return self.doubt is None and self.ratio is not None and self.ratio.verdict == "slower"

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
            **(figures(self.ratio, self.doubt) if self.ratio else dict.fromkeys(FIGURES)),
        }


@dataclass(frozen=True)
class PlanResult:
    """The plan of one network on one number of threads; less where not all was measured."""

    network: str
    input: Shape
    options: Options
    layers: list[Planned]
    """Every step, in order, as in the chosen chain; empty without the times of all."""
    conversions: list[str]
    """The conversions of the chosen chain."""
    standings: list[Standing]
    """The fastest first."""
    excluded: list[Measurement]
    """Contestants that were refused, failed or computed a wrong result."""

    chosen: str = OPTIMAL
    """The chain that the layers belong to: the fastest one that was measured, if its layers are
    steps of the plan."""
    planned_conversions: list[str] = field(default_factory=list)
    """The conversions of the optimal chain."""
    concurrency: Concurrency | None = None
    """The optimal chain on other numbers of threads, and as streams; None if not asked for."""
    accuracy: list[Accuracy] = field(default_factory=list)
    """The errors on real weights; empty without."""

    @property
    def chains(self) -> list[Standing]:
        """Our chains."""
        return [standing for standing in self.standings if not standing.library]

    @property
    def libraries(self) -> list[Standing]:
        """The libraries."""
        return [standing for standing in self.standings if standing.library]

    @property
    def fastest(self) -> Standing | None:
        """The fastest of our chains; None if the optimal one is in doubt or was not measured.

        Another chain than the optimal one only where the measurement decides it.
        """
        optimal = self.optimal
        if optimal is None or optimal.doubt is not None:
            return None
        faster = [standing for standing in self.chains if standing.clearly_faster]
        return min(faster, key=lambda standing: standing.seconds, default=optimal)

    @property
    def planned_layouts(self) -> list[str]:
        """The conversions of layout in the optimal chain; the plan has chosen them."""
        return [name for name in self.planned_conversions if not is_of_type(name)]

    @property
    def uniform(self) -> list[Standing]:
        """The chains with one layout throughout."""
        return [s for s in self.chains if any(n.startswith(ALL) for n in (s.name, *s.also))]

    @property
    def conversions_share(self) -> float | None:
        """The share of conversions of layout in the optimal chain's time; None if not measured."""
        optimal = self.optimal
        phases = optimal.measurement.phases if optimal is not None else None
        if optimal is None or not phases or not optimal.seconds:
            return None
        return sum(phases.get(name, 0.0) for name in self.planned_layouts) / optimal.seconds

    @property
    def optimal(self) -> Standing | None:
        """The optimal chain, if it was measured."""
        standings = (s for s in self.standings if OPTIMAL in (s.name, *s.also))
        return next(standings, None)

    def to_json(self) -> dict[str, Any]:
        """Return the plan for the document's ``networks``."""
        return {
            "kind": "plan",
            "network": self.network,
            "input": list(self.input),
            "threads": self.options.threads,
            "layout": self.options.layout,
            "dtype": self.options.dtype,
            "isa": self.options.isa,
            "chosen": self.chosen,
            "layers": [layer.to_json() for layer in self.layers],
            "conversions": self.conversions,
            "planned_conversions": self.planned_conversions,
            "concurrency": self.concurrency.to_json() if self.concurrency else None,
            "accuracy": [each.to_json() for each in self.accuracy],
            "chains": [standing.to_json() for standing in self.standings],
        }
