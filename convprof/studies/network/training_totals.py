"""Passes of a network's layers added up, each as often as its layer occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import doubts
from convprof.measure.report import describe
from convprof.problems.base import FORWARD
from convprof.problems.gradients import BACKWARD_DATA, BACKWARD_WEIGHTS
from convprof.results import Flops, plain
from convprof.strategies import registry
from convprof.studies.network.training import which_pass
from convprof.studies.shortlist import fastest_of_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.network.training import Layer, Plan

KIND = "training"
"""Of the entry in the document's ``networks``."""
BACKWARD = (BACKWARD_DATA, BACKWARD_WEIGHTS)


@dataclass(frozen=True)
class Result:
    """One layer on one side: the fastest of the strategies in each pass."""

    layer: Layer
    library: bool
    """Whether libraries compute it."""
    found: Mapping[str, Measurement]
    """By pass; each has a time. Those without a result are missing."""

    def seconds(self, which: str) -> float | None:
        """Return the time of one call of a pass; None without a result."""
        measurement = self.found.get(which)
        return measurement.time_s.median if measurement and measurement.time_s else None

    @property
    def step_s(self) -> float:
        """Seconds of all passes that have a result, in all layers alike."""
        return total([self], self.layer.passes).seconds

    @property
    def ratio(self) -> float | None:
        """The time of the backward passes over the forward pass.

        None unless all have a result that is not in doubt.
        """
        if any(m.doubt is not None for m in self.found.values()):
            return None
        forward = self.seconds(FORWARD)
        backward = [self.seconds(which) for which in self.layer.passes if which in BACKWARD]
        if not forward or not backward or None in backward:
            return None
        return sum(seconds or 0.0 for seconds in backward) / forward


@dataclass(frozen=True)
class Total:
    """A sum over passes of layers."""

    seconds: float
    flops: Flops
    """Of the definitions, 2 per multiply-add, and those executed."""
    prepare_s: float
    """Seconds to rearrange the weights, which a training step changes."""
    counted: int
    """How many passes of layers are in the sum."""
    missing: int
    """How many have no result."""
    doubt: str | None
    """Why the sum cannot be believed: a part that is not negligible is in doubt. None if it can."""

    @property
    def flop_per_s(self) -> float | None:
        """The rate by the FLOPs of the definitions; None without a result."""
        return self.flops.direct / self.seconds if self.seconds else None

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the rate in JSON types."""
        return {
            "time_s": self.seconds if self.counted else None,
            "flops": plain(self.flops),
            "flop_per_s": self.flop_per_s,
            "prepare_s": self.prepare_s,
            "counted": self.counted,
            "missing": self.missing,
            "doubt": self.doubt,
        }


def results(plan: Plan, measured: Mapping[Problem, Sequence[Measurement]]) -> list[list[Result]]:
    """Return the results of all layers, for each side that has any: ours, then the libraries'."""
    sides = []
    for library in (False, True):
        side = [
            Result(layer, library, _fastest(measured.get(layer.problem, ()), layer, library))
            for layer in plan.layers
        ]
        if any(result.found for result in side):
            sides.append(side)
    return sides


def total(results: Iterable[Result], passes: Sequence[str]) -> Total:
    """Add up the passes, as far as each layer has them."""
    prepare_s, direct, executed, counted, missing = 0.0, 0, 0, 0, 0
    parts: list[tuple[float, str | None]] = []
    for result in results:
        count = result.layer.count
        for which in passes:
            if which not in result.layer.passes:
                continue
            measurement = result.found.get(which)
            if measurement is None:
                missing += count
                continue
            counted += count
            parts.append((count * (result.seconds(which) or 0.0), measurement.doubt))
            if measurement.flops:
                direct += count * measurement.flops.direct
                executed += count * measurement.flops.executed
            prepare_s += count * (measurement.prepare_s or 0.0)
    seconds = sum(part_s for part_s, _ in parts)
    doubt = doubts.of_sum(parts, seconds)
    return Total(seconds, Flops(direct, executed), prepare_s, counted, missing, doubt)


def by_kind(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results by the layer's kind, the slowest kind first."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.layer.kind, []).append(result)
    slowest = sorted(groups, key=lambda kind: -sum(result.step_s for result in groups[kind]))
    return {kind: groups[kind] for kind in slowest}


def to_json(plan: Plan, sides: Sequence[Sequence[Result]]) -> dict[str, Any]:
    """Return what the result document says of the network: layers, totals, what is left out."""
    return {
        "kind": KIND,
        "network": plan.network,
        "input": list(plan.input),
        "pass": plan.which,
        "left_out": list(plan.left_out),
        "layers": [_layer_json(layer) for layer in plan.layers],
        "totals": [_side_json(plan, side) for side in sides],
    }


def _layer_json(layer: Layer) -> dict[str, Any]:
    return {
        "names": list(layer.names),
        "count": layer.count,
        "op": layer.kind,
        "text": layer.text,
        "learned": layer.learned,
        "passes": list(layer.passes),
        "problem": describe(layer.problem),
    }


def _side_json(plan: Plan, side: Sequence[Result]) -> dict[str, Any]:
    whole = total(side, plan.asked)
    return {
        "library": side[0].library,
        "complete": not whole.missing,
        **whole.to_json(),
        "passes": {which: total(side, (which,)).to_json() for which in plan.asked},
        "kinds": {
            kind: total(those, plan.asked).to_json() for kind, those in by_kind(side).items()
        },
        "layers": [_way_json(result) for result in side],
    }


def _way_json(result: Result) -> dict[str, Any]:
    """Return by pass the strategy that is in the sum, and its time in one layer."""
    return {
        which: {"strategy": m.strategy, "layout": m.layout, "time_s": result.seconds(which)}
        for which, m in result.found.items()
    }


def _fastest(
    measurements: Sequence[Measurement], layer: Layer, library: bool
) -> dict[str, Measurement]:
    """Return the fastest measurement of each pass, in doubt if another one may be faster."""
    by_pass: dict[str, list[Measurement]] = {}
    for m in measurements:
        if _is_library(m) is library:
            by_pass.setdefault(which_pass(m), []).append(m)
    best = {which: fastest_of_problem(by_pass.get(which, ())) for which in layer.passes}
    return {which: m for which, m in best.items() if m is not None}


def _is_library(measurement: Measurement) -> bool:
    return registry.find(measurement.problem["kind"], measurement.strategy).role.is_peer
