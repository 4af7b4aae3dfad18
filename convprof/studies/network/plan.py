"""``network --plan``: each layer in many choices, then the chains that are worth comparing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convprof.errors import RefusedError
from convprof.measure.contestant import Contestant
from convprof.measure.events import Part
from convprof.problems.layouts import LAYOUTS
from convprof.stats import median
from convprof.strategies.networks.choice import AUTO, LayerChoice, layer_choices, spelled
from convprof.strategies.networks.connections import connect, read_layout
from convprof.strategies.networks.quantised import is_quantised
from convprof.strategies.networks.recipe import Recipe, recipe_for
from convprof.strategies.networks.shared_weights import SharedWeights
from convprof.strategies.networks.strategy import Chained
from convprof.strategies.tuning import search_time
from convprof.strategies.tuning.tunable import stored
from convprof.studies.comparison import ratio_of
from convprof.studies.network import assign
from convprof.studies.network.accuracy import accuracies
from convprof.studies.network.assign import Costs, Route
from convprof.studies.network.concurrency import concurrency
from convprof.studies.network.concurrency import contestants as modes
from convprof.studies.network.libraries import libraries
from convprof.studies.network.plan_time import USUAL_CHAINS, probing_share, usual_call_s
from convprof.studies.network.planned import (
    ALL,
    AS_WRITTEN,
    GREEDY,
    OPTIMAL,
    Planned,
    PlanResult,
    Standing,
)
from convprof.studies.network.probe import Conversions, probes, times
from convprof.studies.roofline_session import RooflineSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.events import Event
    from convprof.measure.participant import Participant
    from convprof.measure.settings import Settings
    from convprof.networks.steps import Step
    from convprof.problems import NetworkProblem
    from convprof.problems.graph import Network
    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.studies.network.accuracy import Accuracy
    from convprof.studies.network.assign import Route
    from convprof.studies.network.options import Options


PROBE_ROUNDS = 6
"""For chains that serve to time their layers."""


class Plan:
    """One network on one number of threads. Iterate over ``events()``, then ask.

    The first session times the layers of many chains, and conversions; the second the chains that
    follow from them. Without strategies named, those that ``auto`` chooses from are candidates.
    """

    def __init__(
        self,
        whole: NetworkProblem,
        options: Options,
        settings: Settings,
        machine: MachineModel | None,
        watch: NoiseWatch | None = None,
        *,
        accuracy: bool = True,
    ) -> None:
        """RefusedError for a layer that none of the strategies takes.

        ``accuracy``: whether one more chain is computed after the measurement, for the errors on
        real weights.
        """
        network: Network = whole.network
        self._whole, self._settings = whole, settings
        self._machine, self._watch = machine, watch
        self.options, self.network = options, network
        self.recipe = recipe_for(whole, fuse=True)
        self.inner = self.recipe.inner
        self.steps: Sequence[Step] = self.recipe.steps
        self._dtypes = self.recipe.dtypes(options.setting)
        self._shared = SharedWeights()
        chains = probes(self.steps, options.strategies, options.setting, self._dtypes)
        self._probes = {probe.name: probe for probe in chains}
        self._conversions = Conversions(self.inner, self.steps, options.setting, self._dtypes)
        probing = [
            Contestant(
                Chained(probe.name, self.recipe, probe.choices, self._shared),
                whole,
                replace(options.setting, layout=probe.layout),
            )
            for probe in self._probes.values()
        ]
        contestants = [*probing, *self._conversions.contestants]
        probing_settings = replace(settings, rounds=PROBE_ROUNDS)
        self.alone = RooflineSession(contestants, probing_settings, machine, watch)
        self._rivals = libraries(whole, options)
        self._costs: Costs | None = None
        self.chosen: list[Candidate] = []
        self.together: RooflineSession | None = None
        self._written = written = as_written(self.recipe, options, self._shared)
        self._searches = len(written.searches(whole, options.setting)) if written else 0
        """Timed searches for the network as written: the probes have their blockings."""
        self._with_accuracy = accuracy
        self._accuracy: list[Accuracy] = []
        self._modes: list[Contestant] = []
        """The optimal chain, on other numbers of threads, and as streams."""

    def events(self) -> Iterator[Event]:
        """Measure layers and conversions, plan, measure the chains; yield what happens."""
        chains_expected = USUAL_CHAINS + len(self._rivals)
        yield Part("single layers", 0.0, self._probing_share(chains_expected), inner=True)
        yield from self.alone.events()
        if not self._timed():
            return
        self._costs = self.costs()
        self.alone.release()
        routes = self.routes(self._costs)
        self.chosen = chains(self.recipe, routes, self.options, self._written, self._shared)
        setting = self.options.setting
        chosen = [Contestant(item.strategy, self._whole, setting) for item in self.chosen]
        self._modes = [chosen[0], *modes(self.chosen[0].strategy, self._whole, self.options)]
        contestants = [*chosen, *self._rivals, *self._modes[1:]]
        self.together = RooflineSession(contestants, self._settings, self._machine, self._watch)
        share = self._probing_share(len(contestants))
        yield Part("whole chains", share, 1 - share, inner=True)
        yield from self.together.events()
        if not self._with_accuracy:
            return
        named = (m for m in self.together.measurements() if m.strategy == OPTIMAL)
        optimal = next(named, None)
        self._accuracy = accuracies(self._whole, self.recipe, self.options, optimal)

    def _probing_share(self, chains: int) -> float:
        """Return the fraction of the time for the layers, by the probes timed so far."""
        calls_s = [
            participant.estimate_s
            for participant in self.alone.participants
            if participant.contestant.strategy.name in self._probes
        ]
        call_s = median(calls_s) if calls_s else self._usual_call_s()
        probing = replace(self._settings, rounds=PROBE_ROUNDS)
        return probing_share(
            len(self._probes),
            chains,
            call_s,
            probing,
            self._settings,
            searching_s=self._searches * search_time.usual_s(),
        )

    def _usual_call_s(self) -> float:
        setting, machine = self.options.setting, self._machine
        peak = machine.peak(setting.dtype, setting.threads) if machine else None
        return usual_call_s(self._whole.flops, peak.flop_per_s if peak else None)

    def measurements(self) -> list[Measurement]:
        """Return all results so far, with their share of the measured peak."""
        measurements = self.alone.measurements()
        measurements += self.together.measurements() if self.together else []
        return measurements

    def costs(self) -> Costs:
        """Return the measured costs by step and choice; RefusedError for steps without a result."""
        measured = [
            (self._probes[name], participant.phases)
            for participant in self.alone.participants
            if (name := participant.contestant.strategy.name) in self._probes
        ]
        conversions = self._conversions.seconds(self.alone.participants)
        by_step = times(self.steps, measured, self._dtypes)
        return Costs(by_step, lambda name, layout: conversions[name, layout])

    def routes(self, costs: Costs) -> dict[str, Route]:
        """Return the routes compared, by name."""
        inputs = self.inner, self.steps, costs, self.options.layout
        by_name = {OPTIMAL: assign.optimal(*inputs), GREEDY: assign.greedy(*inputs)}
        by_name |= {f"{ALL}{layout}": assign.uniform(*inputs, layout) for layout in LAYOUTS}
        return by_name

    def result(self) -> PlanResult:
        """Return the results so far, with the layers of the fastest measured chain."""
        result = PlanResult(
            network=self.network.name,
            input=self.network.input,
            options=self.options,
            layers=[],
            conversions=[],
            standings=self._standings(),
            excluded=[m for m in self.measurements() if m.status != "ok"],
            concurrency=concurrency(self.together, self._modes) if self.together else None,
            accuracy=self._accuracy,
        )
        if not self.chosen:
            return result
        chain = self._candidate(result.fastest)
        return replace(
            result,
            chosen=chain.name,
            layers=self._layers(chain),
            conversions=list(chain.conversions),
            planned_conversions=list(self.chosen[0].conversions),
        )

    def _candidate(self, fastest: Standing | None) -> Candidate:
        """Return the fastest chain; the optimal one where the fastest is not of the same steps."""
        named = (item for item in self.chosen if fastest and item.name == fastest.name)
        candidate = next(named, self.chosen[0])
        return self.chosen[0] if candidate.name == AS_WRITTEN else candidate

    def fastest(self) -> Chained | None:
        """Return the fastest chain, the network as written included; None without any chain."""
        fastest = self.result().fastest
        named = (item.strategy for item in self.chosen if fastest and item.name == fastest.name)
        measured = (item.strategy for item in self.chosen)
        return next(named, next(measured, None))

    def release(self) -> None:
        """Give the memory of the probes and of the chains back."""
        self.alone.release()
        if self.together is not None:
            self.together.release()

    def to_json(self) -> dict[str, Any]:
        """Return the plan for the document's comparisons."""
        return self.result().to_json()

    def _timed(self) -> bool:
        """Return whether any chain has the times of its layers; RefusedError if all refuse."""
        names = {e.contestant.strategy.name for e in self.alone.participants if e.phases}
        if names & self._probes.keys():
            return True
        reasons = [m for m in self.alone.measurements() if m.strategy in self._probes]
        if all(m.status == "refused" for m in reasons):
            raise RefusedError(f"{self._whole.descriptor}: no plan: {reasons[0].reason}")
        return False

    def _layers(self, chain: Candidate) -> list[Planned]:
        """Return every step with its choice in a chain."""
        if self._costs is None:
            return []
        choices = chain.strategy.choices
        return [
            self._planned(step, choice, self._costs)
            for step, choice in zip(self.steps, choices, strict=True)
        ]

    def _planned(self, step: Step, choice: LayerChoice, costs: Costs) -> Planned:
        fastest_by_layout = {
            layout: (spelled(step.problem, fastest[0].strategy), fastest[1])
            for layout in LAYOUTS
            if step.problem.has_layout and (fastest := costs.fastest(step.name, layout))
        }
        return Planned(
            step,
            choice,
            spelled(step.problem, choice.strategy),
            None if choice.blocking is None else stored(choice.blocking),
            costs.steps[step.name][choice],
            fastest_by_layout,
        )

    def _standings(self) -> list[Standing]:
        """Return the chains and libraries that have a time, the fastest first."""
        if self.together is None:
            return []
        modes_only = {id(contestant) for contestant in self._modes[1:]}
        participants = {
            e.contestant.strategy.name: e
            for e in self.together.participants
            if e.samples and id(e.contestant) not in modes_only
        }
        best = participants.get(OPTIMAL)
        optimal_doubt = self.together.measurement(best).doubt if best else None
        chosen = {item.name: item for item in self.chosen}
        standings = [
            Standing(
                name,
                chosen[name].also if name in chosen else (),
                name not in chosen,
                chosen[name].predicted_s if name in chosen else None,
                len(chosen[name].conversions) if name in chosen else None,
                self.together.measurement(participant),
                _ratio(participant, best),
                optimal_doubt,
            )
            for name, participant in participants.items()
        ]
        return sorted(standings, key=lambda standing: standing.measurement.rank)


def _ratio(participant: Participant, best: Participant | None) -> Ratio | None:
    """Return the time over the optimal chain's time; None for that chain, and without both."""
    return None if best is None or participant is best else ratio_of(participant, best)


# The chains that follow from a plan's routes, and the network as written.


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chain that was planned."""

    name: str
    """``optimal``, ``greedy``, ``all nchw``, ``all nhwc``, ``as written``."""
    strategy: Chained
    predicted_s: float | None
    """None for the network as written, whose layers differ, and with a conversion that was not
    measured."""
    conversions: tuple[str, ...]
    also: tuple[str, ...] = ()
    """Other names, of routes that turned out to be the same."""


def chains(
    recipe: Recipe,
    routes: Mapping[str, Route],
    options: Options,
    written: Chained | None,
    shared: SharedWeights | None = None,
) -> list[Candidate]:
    """Return a chain per different route, in their order, and the network as ``written``.

    ``shared``: as for ``Chained``.
    """
    names: dict[tuple[LayerChoice, ...], list[str]] = {}
    for name, route in routes.items():
        names.setdefault(_told_apart(recipe, route), []).append(name)
    candidates = [
        _chosen(
            Chained(name, recipe, routes[name].choices, shared),
            options,
            _known(routes[name]),
            also=tuple(also),
        )
        for name, *also in names.values()
    ]
    if written is None:
        return candidates
    return [*candidates, _chosen(written, options)]


def as_written(
    recipe: Recipe, options: Options, shared: SharedWeights | None = None
) -> Chained | None:
    """Return the network without fusing, each layer by the strategy that ``auto`` chooses.

    None in int8: bytes without the batch norms and activations after them have other scales.
    ``shared``: as for ``Chained``.
    """
    if is_quantised(options.setting):
        return None
    plain = Recipe(recipe.network, fuse=False)
    choices = layer_choices(plain, (AUTO,), options.setting, options.layout)
    return Chained(AS_WRITTEN, plain, choices, shared)


def _known(route: Route) -> float | None:
    """Return the seconds; None with a conversion that was not timed."""
    return route.seconds if math.isfinite(route.seconds) else None


def _told_apart(recipe: Recipe, route: Route) -> tuple[LayerChoice, ...]:
    """Return the choices of a route; a step without a layout has the same choice in both."""
    return tuple(
        replace(choice, layout=read_layout(step.problem, choice.layout))
        for step, choice in zip(recipe.steps, route.choices, strict=True)
    )


def _chosen(
    chain: Chained,
    options: Options,
    seconds: float | None = None,
    *,
    also: tuple[str, ...] = (),
) -> Candidate:
    recipe = chain.recipe
    links = connect(recipe.inner, recipe.steps, chain.choices, options.layout)
    conversions = tuple(link.name for link in links.conversions)
    return Candidate(chain.name, chain, seconds, conversions, also)
