"""The measurements of each layer, and the share of each kind of layer in a network's time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from convprof.dtypes import F32
from convprof.machine.caches import MEMORY, holding
from convprof.measure.events import Auxiliary
from convprof.results import NATIVE
from convprof.studies.roofline_model import place_here, working_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.dtypes import Types
    from convprof.machine.model import MachineModel
    from convprof.problems.epilogue import Epilogue
    from convprof.problems.tensors import TensorSpec
    from convprof.results import Measurement

Bound = Literal["compute", "memory"]


class LayerProblem(Protocol):
    """What tables and answers say of a layer's problem: a real one, or one of a document."""

    @property
    def kind(self) -> str:
        """The word for the sort of problem."""

    @property
    def layer_kind(self) -> str:
        """``conv``, ``linear``, ``batch norm``."""

    @property
    def layer_text(self) -> str:
        """``3x3 s2 64->128``."""

    @property
    def epilogue(self) -> Epilogue:
        """What is computed together with the layer."""

    @property
    def flops(self) -> int:
        """Floating-point operations."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""

    @property
    def is_opaque(self) -> bool:
        """Whether a library computes the layer."""

    @property
    def has_layout(self) -> bool:
        """Whether any tensor is stored in a layout."""

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return what is written."""


class LayerStep(Protocol):
    """A step of a network."""

    @property
    def name(self) -> str:
        """The published name of the layer."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """What is in the step, the one with the weights first."""

    @property
    def problem(self) -> LayerProblem:
        """What is computed."""

    @property
    def writes(self) -> str:
        """The name of the result."""


def step_json(step: LayerStep) -> dict[str, Any]:
    """Return what a document has of a step, so that its tables can be printed again."""
    problem = step.problem
    return {
        "name": step.name,
        "nodes": list(step.nodes),
        "kind": problem.layer_kind,
        "text": problem.layer_text,
        "epilogue": problem.epilogue.text if problem.epilogue else None,
        "output": list(problem.result("nchw", F32).shape),
        "flops": problem.flops,
        "macs": problem.macs,
        "problem_kind": problem.kind,
        "is_opaque": problem.is_opaque,
    }


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of a network and its times; None where a time is missing."""

    step: LayerStep
    hot: Measurement | None
    """Called repeatedly by itself; None for a view, and for a layer that was not measured."""
    cold: Measurement | None
    """Its operands evicted before each call; None if there is no time."""
    chain_s: float | None
    """Seconds between the layers before and after it."""
    ceiling: float | None
    """The share of the lower limit that is reached: the FMA peak, or the bandwidth; from 0 to 1."""
    bound: Bound | None
    chosen: str | None = None
    """The strategy that computed it: the choice of ``auto``, else the named one."""
    view: bool = False
    """Whether it is only a view of memory, and takes no time."""

    @property
    def hot_s(self) -> float:
        """Seconds with hot caches; 0 for a view, or if it was not measured."""
        return self.hot.time_s.median if self.hot and self.hot.time_s else 0.0

    @property
    def cold_s(self) -> float:
        """Seconds with cold caches; 0 likewise."""
        return self.cold.time_s.median if self.cold and self.cold.time_s else 0.0

    @property
    def kind(self) -> str:
        """``conv``, ``depthwise conv``, ``linear``, ``batch norm``."""
        return self.step.problem.layer_kind

    def to_json(self) -> dict[str, Any]:
        """Return the layer in JSON types; its measurements are in the document by name."""
        return {
            **step_json(self.step),
            "view": self.view,
            "strategy": self.hot.strategy if self.hot else None,
            "chosen": self.chosen,
            "layout": self.hot.layout if self.hot else None,
            "hot_s": self.hot_s if self.hot else None,
            "cold_s": self.cold_s if self.cold else None,
            "chain_s": self.chain_s,
            "ceiling_fraction": self.ceiling,
            "bound": self.bound,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """All layers of a kind."""

    name: str
    layers: int
    hot_s: float
    cold_s: float | None
    """None unless all of them have been measured; likewise in the chain."""
    chain_s: float | None
    flops: int
    cycles: float | None
    """Core cycles of all of them, caches hot; None where they were not counted."""
    ceiling: float | None
    """The share of their lower limits that they reach, weighted by time."""
    bound: str | None
    """``compute``, ``memory``, or ``both`` if some are limited by one, some by the other."""
    doubt: str | None = None
    """Why the hot time of one of them cannot be true; None if all can."""

    @property
    def flop_per_s(self) -> float | None:
        """FLOP/s with hot caches."""
        return self.flops / self.hot_s if self.hot_s and self.flops else None

    @property
    def cycles_per_flop(self) -> float | None:
        """Core cycles per FLOP; None for layers without arithmetic."""
        return self.cycles / self.flops if self.cycles and self.flops else None


def kinds(layers: list[Layer]) -> list[Kind]:
    """Return the kinds of the layers that were measured, the one that takes longest first."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.hot is not None:
            groups.setdefault(layer.kind, []).append(layer)
    of_kinds = []
    for name, those in groups.items():
        of_kinds.append(
            Kind(
                name,
                len(those),
                sum(layer.hot_s for layer in those),
                _total([layer.cold_s if layer.cold else None for layer in those]),
                _total([layer.chain_s for layer in those]),
                sum(layer.step.problem.flops for layer in those),
                _total([_cycles_of(layer) for layer in those]),
                _mean_ceiling(those),
                _bound_of(those),
                next((layer.hot.doubt for layer in those if layer.hot and layer.hot.doubt), None),
            )
        )
    return sorted(of_kinds, key=lambda kind: -kind.hot_s)


def _cycles_of(layer: Layer) -> float | None:
    return layer.hot.cycles.per_call if layer.hot and layer.hot.cycles else None


def _mean_ceiling(layers: list[Layer]) -> float | None:
    """Return the mean share of the ceilings by time; None if one is not known."""
    total = sum(layer.hot_s for layer in layers)
    reached = _total([None if x.ceiling is None else x.ceiling * x.hot_s for x in layers])
    return None if reached is None or not total else reached / total


def _bound_of(layers: list[Layer]) -> str | None:
    """Return what bounds all of them; ``both`` if they differ, None if it is not known."""
    bounds = {layer.bound for layer in layers}
    if None in bounds:
        return None
    return "both" if len(bounds) > 1 else next(iter(bounds))


def _total(seconds: list[float | None]) -> float | None:
    """Return the sum; None if part of it is not known."""
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def ceiling(measurement: Measurement, machine: MachineModel) -> tuple[float | None, Bound | None]:
    """Return the share of the lower limit that is reached, and which limit that is.

    A layer without arithmetic is compared with the bandwidth of the level that holds its data.
    """
    peak = machine.peak(measurement.dtype, measurement.threads, measurement.isa or NATIVE)
    point = None if peak is None else place_here(measurement, peak.flop_per_s, machine)
    if point is not None:
        return point.flop_per_s / point.roof, point.bound
    level = _level_moved(measurement, machine)
    if level is None or measurement.time_s is None or not measurement.bytes_moved:
        return None, None
    rate = machine.bandwidth(measurement.threads, level)
    if rate is None:
        return None, "memory"
    return measurement.bytes_moved / measurement.time_s.median / rate, "memory"


def measure_bandwidth(measurement: Measurement, machine: MachineModel) -> Iterator[Auxiliary]:
    """Measure the bandwidth that ``ceiling`` needs for a layer without arithmetic, if missing."""
    level, threads = _level_moved(measurement, machine), measurement.threads
    if level is not None and machine.lacks_bandwidth(threads, level):
        yield Auxiliary(f"the bandwidth of {level}", once=True)
        machine.measure_bandwidth(threads, level)


def _level_moved(measurement: Measurement, machine: MachineModel) -> str | None:
    """Return the level that holds what a layer without arithmetic moves; None with arithmetic."""
    caches = machine.levels(measurement.threads)
    if working_set(measurement, caches) is not None or not measurement.bytes_moved:
        return None
    return MEMORY if measurement.cache == "cold" else holding(caches, measurement.bytes_moved)
