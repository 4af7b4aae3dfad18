"""The time of each layer with each choice, measured between its neighbours.

A layer that is called again and again finds its weights in the cache. In a network it does not: all
other layers have run since. Whole chains are timed instead, layer by layer (probes). Equal layers
of a probe have different candidates, so a few probes measure many candidates side by side; a layer
without an equal one needs a probe for each of its candidates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from convprof import stats
from convprof.dtypes import F32
from convprof.errors import RefusedError
from convprof.integers import ceil_div
from convprof.measure.contestant import Contestant
from convprof.problems import LayoutConversion
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.networks.choice import AUTO, LayerChoice, candidates, strategy_for
from convprof.strategies.networks.connections import TRANSPOSE, convertible, read_layout
from convprof.strategies.networks.quantised import in_bytes, written
from convprof.studies.network.assign import is_view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convprof.measure.participant import Participant
    from convprof.networks.steps import Step
    from convprof.problems import Problem
    from convprof.problems.graph import Network
    from convprof.strategies.base import Setting

PROBE = "probe "
"""How the names of chains begin that only measure candidates."""


MOST = {"off": 1, "quick": 8, "full": 24}
"""Candidates per layer in its best layout, by how hard ``--tune`` asks to try."""
ELSEWHERE = 2
"""Candidates in the other layout: the same kernels between two conversions."""
MINOR_SHARE, MINOR_TURNS = 0.01, 4
"""Equal layers with less than this share of a network's time have candidates in this many probes of
a layout, at most: a probe is a whole network, and their best candidate gains a thousandth of it."""
MACS_PER_BYTE = 5
"""Multiply-adds in the time of a byte from memory, roughly: which of the two limits a layer."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A chain that is run for the times of its layers."""

    name: str
    choices: tuple[LayerChoice, ...]

    @property
    def layout(self) -> str:
        """The layout of most layers, in which the input arrives."""
        layouts = [choice.layout for choice in self.choices]
        return max(LAYOUTS, key=layouts.count)


def probes(
    steps: Sequence[Step], names: Sequence[str], setting: Setting, dtypes: Sequence[str]
) -> list[Probe]:
    """Return the chains that have every candidate of every step in them.

    Candidates are the named strategies in both layouts; without names, what ``auto`` considers, and
    only the most promising ones of a minor step. ``dtypes``: the types of each step. RefusedError
    for a step that no strategy takes.
    """
    typed = list(zip(steps, dtypes, strict=True))
    columns = {}
    for layout in LAYOUTS:
        here = replace(setting, layout=layout)
        columns[layout] = _named(typed, names, here) if names else _own(typed, here)
    return _arranged(typed, columns)


def _arranged(
    steps: Sequence[tuple[Step, str]], columns: Mapping[str, Sequence[Sequence[LayerChoice]]]
) -> list[Probe]:
    """Return as few probes as have all candidates; ``columns``: of each step, by layout.

    A step without a layout has the same candidates in all probes.
    """
    every, laid_out = range(len(steps)), [step.problem.has_layout for step, _ in steps]
    first = LAYOUTS[0]
    places = _places(steps)
    minor = _minor(steps)

    def turns(step: int, layout: str) -> int:
        needed = ceil_div(len(columns[layout][step]), places[step].of)
        return min(needed, MINOR_TURNS) if minor[step] else needed

    depth = {
        layout: max((turns(i, layout) for i in every if laid_out[i]), default=0)
        for layout in LAYOUTS
    }
    others = max((turns(i, first) for i in every if not laid_out[i]), default=0)
    native = next((layout for layout in reversed(LAYOUTS) if depth[layout]), first)
    depth[native] += max(0, others - sum(depth.values()))
    order = [(layout, level) for layout in LAYOUTS for level in range(depth[layout])]

    def choice(step: int, turn: int, layout: str, level: int) -> LayerChoice:
        if laid_out[step]:
            return places[step].candidate(columns[layout][step], level)
        return replace(places[step].candidate(columns[first][step], turn), layout=layout)

    return [
        Probe(f"{PROBE}{layout} {level + 1}", tuple(choice(i, turn, layout, level) for i in every))
        for turn, (layout, level) in enumerate(order)
    ]


class _Place(NamedTuple):
    """Which one of some equal layers a layer is."""

    number: int
    of: int

    def candidate(self, candidates: Sequence[LayerChoice], turn: int) -> LayerChoice:
        """Return the candidate of the layer in the probe of a turn.

        Equal layers share out the candidates. A layer has as few of them as possible, because each
        needs memory for weights; but at least two, so that the place of a layer decides nothing.
        """
        count = len(candidates)
        turns = max(ceil_div(count, self.of), min(2, count, self.of))
        shift = self.of if self.of % count else ceil_div(count, 2)
        return candidates[(turn % turns * shift + self.number) % count]


def _places(steps: Sequence[tuple[Step, str]]) -> list[_Place]:
    """Return the place of each step among the steps of an equal problem and type."""
    keys = [(step.problem, dtype) for step, dtype in steps]
    counts = Counter(keys)
    seen: Counter[tuple[Problem, str]] = Counter()
    places = []
    for key in keys:
        places.append(_Place(seen[key], counts[key]))
        seen[key] += 1
    return places


def _minor(steps: Sequence[tuple[Step, str]]) -> list[bool]:
    """Return for each step whether all steps equal to it take next to nothing of the time."""
    costs: Counter[Problem] = Counter()
    for step, _ in steps:
        moved = step.problem.bytes_min(F32)
        costs[step.problem] += max(step.problem.macs, MACS_PER_BYTE * moved)
    least = MINOR_SHARE * costs.total()
    return [costs[step.problem] < least for step, _ in steps]


def times(
    steps: Sequence[Step],
    measured: Sequence[tuple[Probe, Mapping[str, float]]],
    dtypes: Sequence[str],
) -> dict[str, dict[LayerChoice, float]]:
    """Return the seconds of each step with each choice, from the layers' times of the probes.

    Equal layers have equal candidates and are one layer here: its time is the median of all. A step
    without a layout takes the same time in both. RefusedError for a step that was never timed.
    """
    samples: dict[tuple[Problem, LayerChoice], list[float]] = {}
    for probe, phases in measured:
        for step, choice in zip(steps, probe.choices, strict=True):
            alike = [choice.layout] if step.problem.has_layout else LAYOUTS
            for layout in alike if step.name in phases else []:
                key = step.problem, replace(choice, layout=layout)
                samples.setdefault(key, []).append(phases[step.name])
    by_problem: dict[tuple[Problem, str], dict[LayerChoice, float]] = {}
    for (problem, choice), seconds in samples.items():
        by_problem.setdefault((problem, choice.dtype), {})[choice] = stats.median(seconds)
    medians = {}
    for step, dtype in zip(steps, dtypes, strict=True):
        views = {
            LayerChoice(AUTO, layout, dtype=dtype): 0.0
            for layout in LAYOUTS
            if is_view(step, layout, dtype)
        }
        medians[step.name] = {**by_problem.get((step.problem, dtype), {}), **views}
        if not medians[step.name]:
            raise RefusedError(f"layer {step.name}: no strategy has computed it")
    return medians


def _own(steps: Sequence[tuple[Step, str]], setting: Setting) -> list[list[LayerChoice]]:
    """Return the candidates of each step, with its types, that ``auto`` chooses from."""
    known: dict[tuple[Problem, str], list[LayerChoice]] = {}
    for step, dtype in steps:
        if (step.problem, dtype) not in known:
            own = _candidates(step, dtype, setting)
            known[step.problem, dtype] = [replace(choice, dtype=dtype) for choice in own]
    return [known[step.problem, dtype] for step, dtype in steps]


def _candidates(step: Step, dtype: str, chain: Setting) -> list[LayerChoice]:
    native = read_layout(step.problem, "nhwc") != chain.layout
    most = min(ELSEWHERE, MOST[chain.tune]) if native else MOST[chain.tune]
    problem, setting = in_bytes(step.problem, dtype), _typed(chain, dtype)
    layer_choices = candidates(problem, setting, most)
    if layer_choices:
        return layer_choices
    other = "nchw" if setting.layout == "nhwc" else "nhwc"
    layer_choices = candidates(problem, replace(setting, layout=other), most)
    if not layer_choices:
        strategy_for(problem, (AUTO,), setting)  # raises, with the reason
    return layer_choices


def _typed(chain: Setting, dtype: str) -> Setting:
    """Return the setting of a step of some types in a chain."""
    return LayerChoice(AUTO, chain.layout, dtype=dtype).setting(chain)


def _named(
    steps: Sequence[tuple[Step, str]], names: Sequence[str], setting: Setting
) -> list[list[LayerChoice]]:
    """Return the named strategies that take each step, or ``auto`` where no name fits."""

    def choice(step: Step, dtype: str, name: str) -> LayerChoice:
        problem, own = in_bytes(step.problem, dtype), _typed(setting, dtype)
        return LayerChoice(
            strategy_for(problem, (name, *names), own).name, setting.layout, dtype=dtype
        )

    return [
        list(dict.fromkeys(choice(step, dtype, name) for name in names)) for step, dtype in steps
    ]


# The time to convert a network's results from one layout into the other.


class Conversions:
    """All conversions that a chain may contain, in both directions; equal ones once."""

    def __init__(
        self, network: Network, steps: Sequence[Step], setting: Setting, dtypes: Sequence[str]
    ) -> None:
        """``network`` is the one that the steps compute, in the types ``dtypes``."""
        self._network = network
        strategy = registry.find(LayoutConversion.kind, TRANSPOSE)
        self._names = sorted(convertible(network, steps))
        self._written = {
            step.writes: written(dtype) for step, dtype in zip(steps, dtypes, strict=True)
        }
        self._contestants: dict[tuple[LayoutConversion, str, str], Contestant] = {}
        for name in self._names:
            for layout in LAYOUTS:
                there = _typed(replace(setting, layout=layout), self._written.get(name, ""))
                key = self._key(name, layout)
                self._contestants[key] = Contestant(strategy, key[0], there)

    @property
    def contestants(self) -> list[Contestant]:
        """The conversions to be measured."""
        return list(self._contestants.values())

    def seconds(self, participants: Iterable[Participant]) -> Mapping[tuple[str, str], float]:
        """Return the median by name of the result and layout that it is converted from.

        Infinite if it was not measured: no plan has a conversion whose cost is unknown.
        """
        measured = {
            id(participant.contestant): participant.samples
            for participant in participants
            if participant.samples
        }
        medians = {}
        for name in self._names:
            for layout in LAYOUTS:
                contestant = self._contestants.get(self._key(name, layout))
                samples = measured.get(id(contestant), {})
                seconds = [sample.seconds for sample in samples.values()]
                medians[name, layout] = stats.median(seconds) if seconds else float("inf")
        return medians

    def _key(self, name: str, layout: str) -> tuple[LayoutConversion, str, str]:
        """Return the problem, the type of the result as it was written, and the layout."""
        n, c, h, w = self._network.shapes[name]
        return LayoutConversion(n=n, c=c, h=h, w=w), self._written.get(name, ""), layout
