"""``network NAME``: every layer hot and cold, and all of them as a chain, in one session."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convprof import doubts, stats
from convprof.measure.contestant import Contestant
from convprof.measure.participant import Suspect
from convprof.problems.layouts import to_logical
from convprof.strategies import registry
from convprof.strategies.networks.choice import AUTO, layer_choices, spelled
from convprof.strategies.networks.connections import connect, is_of_type
from convprof.strategies.networks.quantised import (
    WHOLE,
    is_quantised,
)
from convprof.strategies.networks.recipe import recipe_for
from convprof.strategies.networks.strategy import Chained
from convprof.studies.compare import isas
from convprof.studies.comparison import Comparison, figures, ratio_of
from convprof.studies.network.accuracy import accuracies
from convprof.studies.network.concurrency import concurrency
from convprof.studies.network.concurrency import contestants as modes
from convprof.studies.network.layers import Layer, ceiling, kinds, measure_bandwidth
from convprof.studies.network.libraries import libraries
from convprof.studies.network.reconcile import reconcile
from convprof.studies.roofline_session import RooflineSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.contestant import Cache
    from convprof.measure.events import Event
    from convprof.measure.participant import Participant
    from convprof.measure.settings import Settings
    from convprof.problems import NetworkProblem, Problem
    from convprof.problems.graph import Network
    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array
    from convprof.results import Measurement
    from convprof.strategies.networks.connections import Connections, Link
    from convprof.studies.compare.isas import IsaComparison
    from convprof.studies.network.accuracy import Accuracy
    from convprof.studies.network.concurrency import Concurrency
    from convprof.studies.network.options import Options
    from convprof.studies.network.reconcile import Reconciliation


CHAIN = "chain"


class NetworkStudy:
    """One network in one way. Iterate over ``events()``, then read ``result()``."""

    def __init__(
        self,
        whole: NetworkProblem,
        options: Options,
        settings: Settings,
        machine: MachineModel | None,
        watch: NoiseWatch | None = None,
    ) -> None:
        """RefusedError for a layer that none of the strategies takes."""
        network: Network = whole.network
        self._problem = whole
        self.options = options
        self.network = network
        self.recipe = recipe_for(whole, fuse=options.fuse)
        chosen = layer_choices(self.recipe, options.strategies, options.setting, options.layout)
        self.made: Connections = connect(
            self.recipe.inner, self.recipe.steps, chosen, options.layout
        )
        self._contestants = self._alone()
        chain = Chained(CHAIN, self.recipe, chosen)
        together = [Contestant(chain, whole, options.setting), *libraries(whole, options)]
        self._whole = together
        self._modes = [together[0], *modes(chain, whole, options)]
        self._others = self._with_other_isas(whole)
        contestants = [c for pair in self._contestants.values() for c in pair.values()]
        self._machine = machine
        self._accuracy: list[Accuracy] = []
        self.session = RooflineSession(
            [*contestants, *self._others, *together, *self._modes[1:]], settings, machine, watch
        )
        self.session.suspects = self._suspects

    def events(self) -> Iterator[Event]:
        """Measure, and then the bandwidths that layers without arithmetic are limited by."""
        yield from self.session.events()
        named = (m for m in self.session.measurements() if m.strategy == CHAIN)
        chain = next(named, None)
        self._accuracy = accuracies(
            self._problem, self.recipe, self.options, chain, self._chain_result()
        )
        if self._machine is None:
            return
        hot = {id(pair["hot"]) for pair in self._contestants.values()}
        for participant in self.session.participants:
            if id(participant.contestant) in hot and participant.samples:
                measurement = self.session.measurement(participant)
                yield from measure_bandwidth(measurement, self._machine)

    def _chain_result(self) -> Array | None:
        """Return the chain's result in its logical shape, where its layers are in bytes."""
        if self._problem.real is None or not is_quantised(self.options.setting):
            return None
        for participant in self.session.participants:
            if participant.contestant is self._whole[0]:
                setting = self.options.setting
                layout = self._problem.result(setting.layout, setting.types).layout
                return to_logical(participant.bench.output(), layout)
        return None

    def _with_other_isas(self, whole: NetworkProblem) -> list[Contestant]:
        """Return the chain with the kernels of each other instruction set."""
        options = self.options
        settings = [replace(options.setting, isa=isa) for isa in options.isas[:-1]]
        return [
            Contestant(
                Chained(
                    CHAIN,
                    self.recipe,
                    layer_choices(self.recipe, options.strategies, setting, options.layout),
                ),
                whole,
                setting,
            )
            for setting in settings
        ]

    def _suspects(self) -> list[Suspect]:
        """Return the layers whose hot time is far above their longest time within the chain."""
        participants = {id(p.contestant): p for p in self.session.participants if p.samples}
        chain = participants.get(id(self._whole[0]))
        longest: dict[int, float] = {}
        for link in self.made.links:
            if link.step is not None and chain is not None:
                hot = id(self._contestants[_key(link)]["hot"])
                within = chain.phases.get(link.step.name, 0.0)
                longest[hot] = max(within, longest.get(hot, 0.0))
        suspects = []
        for hot, chain_s in longest.items():
            participant = participants.get(hot)
            if participant is None or not chain_s:
                continue
            hot_s = stats.median(list(participant.seconds.values()))
            reason = doubts.of_chain(hot_s, chain_s)
            if reason is not None:
                suspects.append(Suspect(participant, reason))
        return suspects

    def measurements(self) -> list[Measurement]:
        """Return all results so far, with their share of the measured peak."""
        return self.session.measurements()

    def result(self) -> NetworkResult:
        """Return what was found so far."""
        measured = {
            id(participant.contestant): self.session.measurement(participant)
            for participant in self.session.participants
            if participant.samples
        }
        chain = measured.get(id(self._whole[0]))
        phases = (chain.phases or {}) if chain else {}
        return NetworkResult(
            network=self.network.name,
            input=self.network.input,
            options=self.options,
            layers=self._layers(measured, phases),
            chain=chain,
            conversions={
                link.name: phases[link.name]
                for link in self.made.conversions
                if link.name in phases
            },
            libraries=self._libraries(measured),
            excluded=[m for m in self.session.measurements() if m.status != "ok"],
            concurrency=concurrency(self.session, self._modes),
            isa_chains=self._isa_chains(measured),
            isas=isas.compared(self.session),
            accuracy=self._accuracy,
            widened=self._widened(),
            reasons=self.recipe.reasons if is_quantised(self.options.setting) else {},
        )

    def _widened(self) -> list[str]:
        """Return the layers that compute in f32 although the network is in a shorter type."""
        steps, setting = self.recipe.steps, self.options.setting
        dtypes = self.recipe.dtypes(setting)
        wide = [s.name for s, dtype in zip(steps, dtypes, strict=True) if dtype == WHOLE]
        computed = {link.step.name for link in self.made.links if link.step is not None}
        return [name for name in wide if name in computed]

    def _isa_chains(self, measured: Mapping[int, Measurement]) -> list[Measurement]:
        """Return the chains of several instruction sets; empty for one."""
        if not self._others:
            return []
        chains = (*self._others, self._whole[0])
        return [measured[id(chain)] for chain in chains if id(chain) in measured]

    def to_json(self) -> dict[str, Any]:
        """Return what was found, for the document's ``networks``."""
        return self.result().to_json()

    def _layers(
        self, measured: Mapping[int, Measurement], phases: Mapping[str, float]
    ) -> list[Layer]:
        """Return every step with its times so far; equal ones were measured once."""
        links = {link.step.name: link for link in self.made.links if link.step is not None}
        chosen = {id(e.contestant): _chosen(e) for e in self.session.participants}
        layers = []
        for step in self.recipe.steps:
            if step.name not in links:
                layers.append(Layer(step, None, None, None, None, None, view=True))
                continue
            pair = self._contestants[_key(links[step.name])]
            hot, cold = measured.get(id(pair["hot"])), measured.get(id(pair["cold"]))
            share, bound = ceiling(hot, self._machine) if hot and self._machine else (None, None)
            by = chosen[id(pair["hot"])] if hot else None
            layers.append(Layer(step, hot, cold, phases.get(step.name), share, bound, by))
        return layers

    def _libraries(self, measured: Mapping[int, Measurement]) -> list[Comparison[Measurement]]:
        """Return the libraries that share rounds with the chain."""
        participants = {
            id(participant.contestant): participant for participant in self.session.participants
        }
        chain, *others = (participants.get(id(contestant)) for contestant in self._whole)
        if chain is None:
            return []
        return [
            Comparison(measured[id(other.contestant)], measured[id(chain.contestant)], ratio)
            for other in others
            if other is not None and (ratio := ratio_of(other, chain)) is not None
        ]

    def _alone(self) -> dict[tuple[Problem, str, str], dict[Cache, Contestant]]:
        """Return a hot and a cold contestant for each different layer; equal ones share them."""
        pairs: dict[tuple[Problem, str, str], dict[Cache, Contestant]] = {}
        for link in self.made.links:
            if link.step is None or _key(link) in pairs:
                continue
            setting = link.choice.setting(self.options.setting)
            strategy = registry.find(link.problem.kind, link.choice.strategy)
            problem: Any = replace(link.problem, name=f"{self.network.name}:{link.name}")
            pairs[_key(link)] = {
                "hot": Contestant(strategy, problem, setting, "hot"),
                "cold": Contestant(strategy, problem, setting, "cold"),
            }
        return pairs


def _key(link: Link) -> tuple[Problem, str, str]:
    return link.problem, link.choice.strategy, link.layout


def _chosen(participant: Participant) -> str:
    """Return the strategy that computes a layer: what ``auto`` has chosen, where it says so."""
    contestant = participant.contestant
    name = spelled(contestant.problem, contestant.strategy.name)
    explanation = participant.prepared.explanation
    return explanation[0].partition(" ")[0] if name == AUTO and explanation else name


# The result of ``network NAME``: layers, chain, libraries, and what could not be measured.


@dataclass(frozen=True)
class NetworkResult:
    """One network in one way; fields are None or shorter where not all was measured."""

    network: str
    input: Shape
    options: Options
    layers: list[Layer]
    """Every step, in order."""
    chain: Measurement | None
    """All of them one after the other."""
    conversions: dict[str, float]
    """Seconds within the chain of each change of layout, by name."""
    libraries: list[Comparison[Measurement]]
    """Each library that ran the whole network, compared with the chain."""
    excluded: list[Measurement]
    """Contestants that were refused, failed or computed a wrong result."""
    concurrency: Concurrency | None = None
    """Other numbers of threads, and streams; None if they were not asked for."""
    isa_chains: list[Measurement] = field(default_factory=list)
    """The chains with the kernels of several instruction sets, in the order of their names."""
    isas: list[IsaComparison] = field(default_factory=list)
    """Each of these chains against the one before."""
    accuracy: list[Accuracy] = field(default_factory=list)
    """The errors on real weights; empty without."""
    widened: Sequence[str] = ()
    """The names of the layers that compute in f32 in a network in bytes or short floats."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """By name of a layer that computes in f32, what the layer lacks in a file of bytes."""

    @property
    def measured(self) -> list[Layer]:
        """The layers that have a time."""
        return [layer for layer in self.layers if layer.hot is not None]

    @property
    def in_bytes(self) -> bool:
        """Whether layers compute in bytes where they can."""
        return is_quantised(self.options.setting)

    @property
    def conversions_of_type(self) -> list[str]:
        """The names of the conversions between f32 and bytes."""
        return [name for name in self.conversions if is_of_type(name)]

    @property
    def converted(self) -> str:
        """What the conversions convert: ``layouts``, ``f32 and bytes``, or both."""
        of_type = len(self.conversions_of_type)
        of_layout = len(self.conversions) - of_type
        if of_type and of_layout:
            return "layouts, and between f32 and bytes"
        return "f32 and bytes" if of_type else "layouts"

    @property
    def missing(self) -> int:
        """How many layers should have a time, and have none."""
        return sum(1 for layer in self.layers if layer.hot is None and not layer.view)

    @property
    def doubt(self) -> str | None:
        """Why nothing follows from chain and layers: the chain, or many layers, are in doubt."""
        if self.chain is None or self.chain.time_s is None:
            return None
        parts = ((seconds, m.doubt) for m, seconds in self._times())
        return self.chain.doubt or doubts.of_sum(parts, self.chain.time_s.median)

    def _times(self) -> list[tuple[Measurement, float]]:
        return [
            (m, m.time_s.median)
            for layer in self.layers
            for m in (layer.hot, layer.cold)
            if m is not None and m.time_s is not None
        ]

    def reconciliation(self) -> Reconciliation | None:
        """Return the parts of the chain's time; None unless all of it was measured."""
        chain = self.chain
        if chain is None or chain.time_s is None or not chain.phases:
            return None
        return reconcile(self.layers, chain.time_s.median, sum(self.conversions.values()))

    def to_json(self) -> dict[str, Any]:
        """Return what was found, for the document's ``networks``."""
        reconciliation = self.reconciliation()
        return {
            "kind": "network",
            "network": self.network,
            "input": list(self.input),
            "threads": self.options.threads,
            "layout": self.options.layout,
            "fused": self.options.fuse,
            "dtype": self.options.dtype,
            "isa": self.options.isa,
            "widened": list(self.widened),
            "reasons": [{"name": n, "reason": reason} for n, reason in self.reasons.items()],
            "layers": [layer.to_json() for layer in self.layers],
            "kinds": [asdict(kind) for kind in kinds(self.layers)],
            "conversions": [{"name": n, "chain_s": s} for n, s in self.conversions.items()],
            "reconciliation": reconciliation.to_json() if reconciliation else None,
            "concurrency": self.concurrency.to_json() if self.concurrency else None,
            "accuracy": [each.to_json() for each in self.accuracy],
            "libraries": [
                {"name": each.a.strategy, **figures(each.ratio, each.doubt)}
                for each in self.libraries
            ],
        }
