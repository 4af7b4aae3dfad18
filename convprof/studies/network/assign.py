"""Which strategy and layout for every layer, so that the network takes least: a shortest path.

A state is a position between two layers: which results are still needed, and in which layouts each
of them exists. A layer leads from state to state at the cost of its strategy and of the conversions
that its layout needs. Results that no layer reads any more are dropped, so there are few states in
any network, and the least sum over all paths is found exactly (dynamic programming, Bellman 1957;
layouts and conversions as in Anderson & Gregg 2018, "Optimal DNN primitive selection with
partitioned boolean quadratic programming", solved there in another way).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.problems.graph import INPUT
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies.networks.connections import connect, read_layout, view_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.networks.steps import Step
    from convprof.problems.graph import Network
    from convprof.strategies.networks.choice import LayerChoice

    State = frozenset[tuple[str, str]]
    """(result, layout) pairs that exist and are still needed."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of every layer with every choice, and of the conversions."""

    steps: Mapping[str, Mapping[LayerChoice, float]]
    """By name of the step; a view has its choices at no cost."""
    conversion: Callable[[str, str], float]
    """The function of a result's name and a layout: seconds to convert to the other layout."""

    def fastest(self, step: str, layout: str) -> tuple[LayerChoice, float] | None:
        """Return the fastest choice of a step in a layout; None without one."""
        choices = {choice: s for choice, s in self.steps[step].items() if choice.layout == layout}
        return min(choices.items(), key=lambda item: item[1]) if choices else None


@dataclass(frozen=True, slots=True)
class Route:
    """A choice for every step, and the seconds that follow from the costs."""

    choices: tuple[LayerChoice, ...]
    seconds: float


def optimal(network: Network, steps: Sequence[Step], costs: Costs, layout: str) -> Route:
    """Return the route of least cost; input and result are in ``layout``."""
    walk = _Walk(network, steps, costs, layout)
    return walk.best()


def uniform(
    network: Network, steps: Sequence[Step], costs: Costs, layout: str, everywhere: str
) -> Route:
    """Return the fastest strategy of each step in the one layout; another where it has none."""
    choices = []
    for step in steps:
        choice = costs.fastest(step.name, everywhere) or greedy_choice(costs, step.name)
        choices.append(choice[0])
    return Route(tuple(choices), predicted(network, steps, choices, costs, layout))


def greedy(network: Network, steps: Sequence[Step], costs: Costs, layout: str) -> Route:
    """Return the fastest choice of each step by itself, with all conversions that it needs."""
    choices = [greedy_choice(costs, step.name)[0] for step in steps]
    return Route(tuple(choices), predicted(network, steps, choices, costs, layout))


def greedy_choice(costs: Costs, step: str) -> tuple[LayerChoice, float]:
    """Return the fastest choice of a step."""
    return min(costs.steps[step].items(), key=lambda item: item[1])


def predicted(
    network: Network,
    steps: Sequence[Step],
    choices: Sequence[LayerChoice],
    costs: Costs,
    layout: str,
) -> float:
    """Return the seconds of a route: its layers, and the conversions between layouts.

    Conversions between types are the same on every route: the types of the layers are fixed.
    """
    connections = connect(network, steps, choices, layout)
    chosen = {step.name: choice for step, choice in zip(steps, choices, strict=True)}
    total = 0.0
    for link in connections.links:
        if link.changes_type:
            continue
        if link.step is None:
            total += costs.conversion(link.reads[0].name, link.layout)
        else:
            total += costs.steps[link.step.name][chosen[link.step.name]]
    return total


@dataclass(frozen=True, slots=True)
class _Path:
    """The cheapest known choice to a state; ``before`` is the path without its last step."""

    seconds: float
    choice: LayerChoice | None = None
    before: _Path | None = None

    def choices(self) -> tuple[LayerChoice, ...]:
        layer_choices: list[LayerChoice] = []
        path: _Path | None = self
        while path is not None and path.choice is not None:
            layer_choices.append(path.choice)
            path = path.before
        return tuple(reversed(layer_choices))


class _Walk:
    """Steps forward through the network, keeping the cheapest path to each state."""

    def __init__(self, network: Network, steps: Sequence[Step], costs: Costs, layout: str) -> None:
        self._network = network
        self._steps = steps
        self._costs = costs
        self._layout = layout
        self._last_read = {name: index for index, step in enumerate(steps) for name in step.reads}
        self._result = network.nodes[-1].name
        self._last_read[self._result] = len(steps)

    def best(self) -> Route:
        """Return the cheapest path to the result in the requested layout."""
        start: State = frozenset(self._exists(INPUT, self._layout))
        paths: dict[State, _Path] = {start: _Path(0.0)}
        for index, step in enumerate(self._steps):
            paths = self._onward(paths, index, step)
        result_layout = self._layout if self._result in self._network.images else "nchw"
        ends = [
            (path.seconds + self._converted(state, self._result, result_layout)[1], path)
            for state, path in paths.items()
        ]
        seconds, path = min(ends, key=lambda end: end[0])
        return Route(path.choices(), seconds)

    def _onward(self, paths: Mapping[State, _Path], index: int, step: Step) -> dict[State, _Path]:
        shortest: dict[State, _Path] = {}
        candidates = [
            candidate
            for layout in ("nchw", "nhwc")
            if (candidate := self._costs.fastest(step.name, layout)) is not None
        ]
        for state, path in paths.items():
            for choice, own_s in candidates:
                after, moved_s = self._after(state, index, step, choice.layout)
                seconds = path.seconds + own_s + moved_s
                if after not in shortest or seconds < shortest[after].seconds:
                    shortest[after] = _Path(seconds, choice, path)
        return shortest

    def _after(self, state: State, index: int, step: Step, layout: str) -> tuple[State, float]:
        """Return the state after a step in a layout, and the seconds of its conversions."""
        layout = read_layout(step.problem, layout)
        total = 0.0
        for name in step.reads:
            state, seconds = self._converted(state, name, layout)
            total += seconds
        existing = {*state, *self._exists(step.writes, layout)}
        alive = {pair for pair in existing if self._last_read.get(pair[0], -1) > index}
        return frozenset(alive), total

    def _exists(self, name: str, layout: str) -> set[tuple[str, str]]:
        """Return the layouts of a new result; none for a result that never has a layout."""
        if len(self._network.shapes[name]) != IMAGE_AXES:
            return set()
        return {(name, layout if name in self._network.images else "nchw")}

    def _converted(self, state: State, name: str, layout: str) -> tuple[State, float]:
        """Return the state in which a result exists in a layout, and the seconds to get there."""
        if len(self._network.shapes[name]) != IMAGE_AXES or (name, layout) in state:
            return state, 0.0
        other = "nhwc" if layout == "nchw" else "nchw"
        return state | {(name, layout)}, self._costs.conversion(name, other)


def is_view(step: Step, layout: str, dtype: str) -> bool:
    """Return whether a step of some types is a view of what it reads in a layout: for nothing."""
    return view_start(step.problem, read_layout(step.problem, layout), dtype) is not None
