"""``network --pass``: which layers of a network are timed in which passes, and each in a session.

Layers that are alike are timed once. A training step computes only gradients that are used: the
gradient of the data only behind a layer that learns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import doubts
from convprof.errors import InputError
from convprof.networks import named
from convprof.problems.base import FORWARD
from convprof.problems.gradients import BACKWARD_DATA, BACKWARD_WEIGHTS, TRAINING, passes_of
from convprof.problems.layout_conversion import LayoutConversion
from convprof.strategies import registry
from convprof.studies.one_session import OneSession
from convprof.studies.roofline_session import RooflineSession
from convprof.studies.run import Choice, contestants
from convprof.studies.shortlist import fastest_of_problem

if TYPE_CHECKING:
    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.settings import Settings
    from convprof.problems import Conv2d, Gemm, Problem
    from convprof.problems.graph import Network, Node
    from convprof.problems.shapes import Shape
    from convprof.results import Measurement

    Product = Conv2d | Gemm
    from collections.abc import Sequence


DEPTHWISE = "depthwise conv"


@dataclass(frozen=True)
class Layer:
    """Layers of a network that compute the same in the same passes."""

    names: tuple[str, ...]
    """As published, in the order of execution."""
    text: str
    """A few words: ``conv 3x3 s2``."""
    kind: str
    """``conv``, ``depthwise conv``, ``linear``, ``attention qk``, …"""
    problem: Product
    """The forward pass, named ``network:layer`` after the first of them."""
    passes: tuple[str, ...]
    """The requested passes that a training step computes, in order; not empty."""
    learned: bool
    """Whether the second operand is learned; else both are activations."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.names)


@dataclass(frozen=True)
class Plan:
    """The passes of a network that are timed, and how often each occurs."""

    network: str
    """The name."""
    input: Shape
    which: str
    """One of ``PASSES``."""
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...]
    """Names of the layers whose gradient of the data was requested but is not used."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The passes asked for."""
        return asked_passes(self.which)

    @property
    def problems(self) -> list[Product]:
        """The distinct forward problems, in the order of execution."""
        return list(dict.fromkeys(layer.problem for layer in self.layers))

    def passes(self, problem: Problem) -> list[Problem]:
        """Return the passes in which a problem is to be timed: those that any such layer needs."""
        needed = {which for layer in self._of(problem) for which in layer.passes}
        return [each for which in ORDER if which in needed for each in passes_of(problem, which)]

    def count(self, problem: Product, which: str) -> int:
        """Return how many layers compute that pass of a problem."""
        return sum(layer.count for layer in self._of(problem) if which in layer.passes)

    def _of(self, problem: Problem) -> list[Layer]:
        return [layer for layer in self.layers if layer.problem == problem]


def asked_passes(which: str) -> tuple[str, ...]:
    """Return the passes that one of ``PASSES`` means."""
    return ORDER if which == TRAINING else (which,)


def plan(network: Network, which: str) -> Plan:
    """Return what is to be timed; InputError if that is nothing."""
    asked = asked_passes(which)
    trained = _trained(network)
    left_out: list[str] = []
    groups: dict[tuple[Product, tuple[str, ...], bool], list[Node]] = {}
    for node in network.nodes:
        problem = network.problem(node)
        if problem is None:
            continue
        learned = "weight" in node.op.weights(*network.reads(node))
        needed = _needed(node, trained, learned=learned)
        if BACKWARD_DATA in asked and BACKWARD_DATA not in needed:
            left_out.append(node.name)
        passes = tuple(each for each in asked if each in needed)
        if passes:
            groups.setdefault((problem, passes, learned), []).append(node)
    if not groups:
        raise InputError(f"{network.name} has no layer that computes it", field="pass", value=which)
    layers = tuple(_layer(network.name, *key, nodes) for key, nodes in groups.items())
    return Plan(network.name, network.input, which, layers, tuple(left_out))


def _trained(network: Network) -> set[str]:
    """Return the names of the results that depend on learned weights: they need gradients."""
    nodes: set[str] = set()
    for node in network.nodes:
        if node.op.weights(*network.reads(node)) or nodes.intersection(node.inputs):
            nodes.add(node.name)
    return nodes


def _needed(node: Node, trained: set[str], *, learned: bool) -> set[str]:
    """Return the passes of a layer that a training step computes.

    Of a product C = A B of two activations, dA counts as the gradient of the data, and dB as that
    of the weights.
    """
    needed = {FORWARD}
    if node.inputs[0] in trained:
        needed.add(BACKWARD_DATA)
    if learned or node.inputs[-1] in trained:
        needed.add(BACKWARD_WEIGHTS)
    return needed


def _layer(
    network: str, problem: Product, passes: tuple[str, ...], learned: bool, nodes: list[Node]
) -> Layer:
    first = nodes[0]
    return Layer(
        tuple(node.name for node in nodes),
        first.op.text,
        DEPTHWISE if problem.layer_kind == DEPTHWISE else first.op.kind,
        named(problem, f"{network}:{first.name}"),
        passes,
        learned,
    )


class LayerPasses(OneSession):
    """One layer, its passes and all strategies, in one session. Iterate over ``events()``."""

    def __init__(
        self,
        problem: Problem,
        passes: list[Problem],
        choice: Choice,
        settings: Settings,
        machine: MachineModel | None,
        *,
        watch: NoiseWatch | None = None,
    ) -> None:
        """``problem`` is the forward pass, whether or not it is one of ``passes``."""
        self.problem = problem
        those = [each for which in passes for each in contestants(which, choice)]
        self.session = RooflineSession(those, settings, machine, watch)


# A training step of one layer: its forward pass and both backward passes, added up.

ORDER = (FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS)


@dataclass(frozen=True)
class Step:
    """The fastest way of each pass on one side, in one layout and on one number of threads."""

    library: bool
    """Whether libraries compute it."""
    passes: tuple[Measurement, ...]
    """In the order forward, backward-data, backward-weights; each has a time."""

    @property
    def layout(self) -> str | None:
        """The layout of all three: a change between passes would cost conversions."""
        return self.passes[0].layout

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self.passes[0].threads

    @property
    def seconds(self) -> float:
        """The sum of the medians."""
        return sum(m.time_s.median for m in self.passes if m.time_s)

    @property
    def doubt(self) -> str | None:
        """Why the sum cannot be believed; None if it can."""
        parts = ((m.time_s.median, m.doubt) for m in self.passes if m.time_s)
        return doubts.of_sum(parts, self.seconds)

    @property
    def prepare_s(self) -> float:
        """Seconds to rearrange the weights for all passes: a step changes them."""
        return sum(m.prepare_s or 0.0 for m in self.passes)

    @property
    def flops(self) -> int:
        """FLOPs of the definitions."""
        return sum(m.flops.direct for m in self.passes if m.flops)


def which_pass(measurement: Measurement) -> str:
    """Return the pass that a measurement is of."""
    name: str = measurement.problem.get("pass", FORWARD)
    return name


def steps(measurements: Sequence[Measurement]) -> list[Step]:
    """Return the training steps of one layer: by threads, then the fastest first.

    Sides, layouts and numbers of threads in which a pass has no result are left out.
    """
    every: dict[tuple[int, bool, str | None], dict[str, list[Measurement]]] = {}
    for m in measurements:
        if m.time_s is None or m.problem["kind"] == LayoutConversion.kind:
            continue
        library = registry.find(m.problem["kind"], m.strategy).role.is_peer
        passes = every.setdefault((m.threads, library, m.layout), {})
        passes.setdefault(which_pass(m), []).append(m)
    fastest = {
        side: {which: best for which, of in passes.items() if (best := fastest_of_problem(of))}
        for side, passes in every.items()
    }
    whole = [
        Step(library, tuple(passes[which] for which in ORDER))
        for (_, library, _), passes in fastest.items()
        if passes.keys() >= set(ORDER)
    ]
    return sorted(whole, key=lambda step: (step.threads, step.doubt is not None, step.seconds))
