"""What keeps a rung of the ladder from the peak, where its inner loop could reach more.

The inner loop gives one limit (``evidence``). Where a rung reaches much less than that limit, the
rest of the time is looked for outside the loop:

- a problem of one element takes as long as a launch;
- a problem that fits into L2 shows the speed of the same code without L3 and memory;
- phases show what is not arithmetic, such as packing and transforms;
- the bytes moved against the measured bandwidth of the level that holds them.

The limit is the largest of these shares of the time. Spills come last: the loop cannot be timed
without them.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from convprof.errors import ConvprofError
from convprof.measure.events import Auxiliary
from convprof.measure.session import Session
from convprof.problems.families import vary
from convprof.strategies.base import Role
from convprof.studies.roofline_model import place_here

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from convprof.dtypes import Types
    from convprof.machine.model import MachineModel
    from convprof.measure.contestant import Contestant
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.evidence import Evidence

Kind = Literal[
    "arithmetic",
    "chains",
    "loads",
    "peak",
    "threads",
    "launch",
    "cache",
    "bandwidth",
    "phases",
    "noise",
    "spills",
    "code",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
NEAR_PEAK = 0.8
"""From this share of a core's peak on, nothing is looked for."""
EXPLAINS = 0.7
"""A limit of the inner loop that a rung reaches to this share is the limit of the rung."""
NOTABLE = 0.2
"""A smaller share of the time is not called the limit."""
EXPERIMENT_ROUNDS = 9
EXPERIMENT_BUDGET_S = 0.02
NOISY = 1.5
"""A median sample that takes this many times as long as the fastest was disturbed."""
LONGEST_WITH_LAUNCH_S = 1e-3
"""A launch takes microseconds: of longer calls it is no notable share."""
L2_SHARE = 0.6
"""Of L2, for operands and result: packed copies need the rest."""
PRODUCTS = ((140, 160, 128), (84, 96, 96), (56, 64, 64))
"""m, n and k of small products: whole tiles, and rows that do not all fall into one cache set."""
IMAGES = (28, 14, 7)
CHANNELS = (64, 32)


@dataclass(frozen=True)
class RungLimit:
    """What limits a rung the most."""

    kind: Kind
    share: float | None = None
    """Of the time of a call. For two kinds a factor: the speed-up over one thread (``threads``),
    the median over the fastest sample (``noise``)."""
    reached: float | None = None
    """For ``cache`` and ``code``: the share of the peak on data in L2."""
    names: tuple[str, ...] = ()
    """The phases, or the level whose bandwidth is the limit."""
    seconds: float | None = None
    """Of a launch."""

    def to_json(self) -> dict[str, Any]:
        """Return the limit as the result document has it."""
        return {
            "kind": self.kind,
            "share": self.share,
            "reached_in_l2": self.reached,
            "names": list(self.names),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Experiments:
    """What the same code takes on other problems; None where that was not measured."""

    launch_s: float | None = None
    in_l2: float | None = None
    """Share of the peak on data in L2, by the executed FLOPs and the fastest sample."""


def executed_share(measurement: Measurement) -> float | None:
    """Return the share of the peak by the FLOPs that are executed."""
    fraction, flops = measurement.peak_fraction, measurement.flops
    if fraction is None or flops is None or not flops.direct:
        return None
    return fraction * flops.executed / flops.direct


def explained(measurement: Measurement, evidence: Evidence | None) -> RungLimit | None:
    """Return the limit that the inner loop is; None if the loop does not explain the time."""
    reached = executed_share(measurement)
    if reached is None:
        return None
    if reached >= NEAR_PEAK:
        return RungLimit("peak", reached)
    binding = evidence.binding if evidence else None
    if binding is not None and reached >= EXPLAINS * binding.share:
        kind: Kind = "peak" if binding.share >= 1 else binding.kind
        return RungLimit(kind, min(1.0, reached / binding.share))
    return None


def limit(
    measurement: Measurement,
    evidence: Evidence | None,
    experiments: Experiments,
    machine: MachineModel,
    one_thread: Measurement | None = None,
) -> RungLimit | None:
    """Return what limits a measurement; None without a peak, or a time that can be true.

    ``one_thread`` is the same strategy on one thread, for a measurement on several.
    """
    reached = executed_share(measurement)
    if reached is None or measurement.time_s is None or measurement.doubt:
        return None
    within = explained(measurement, evidence)
    if within is not None:
        return within
    if one_thread is not None and one_thread.time_s is not None:
        speed_up = one_thread.time_s.median / measurement.time_s.median
        if speed_up < EXPLAINS * measurement.threads:
            return RungLimit("threads", speed_up)
    candidates = [
        *_launch(measurement, experiments),
        *_phases(measurement),
        *_bandwidth(measurement, machine),
        *_cache(reached * measurement.time_s.median / measurement.time_s.min, experiments),
    ]
    largest = max(candidates, key=lambda one: one.share or 0.0, default=None)
    if largest is not None and (largest.share or 0.0) >= NOTABLE:
        return largest
    noise = measurement.time_s.median / measurement.time_s.min
    if noise >= NOISY:
        return RungLimit("noise", noise)
    # A small problem may also be slower, such as where an image is less than a tile.
    same = experiments.in_l2 if experiments.in_l2 and experiments.in_l2 >= reached else None
    kind: Kind = "spills" if evidence is not None and evidence.loop.spills else "code"
    return RungLimit(kind, reached=same)


def _launch(measurement: Measurement, experiments: Experiments) -> Iterator[RungLimit]:
    if experiments.launch_s is not None and measurement.time_s is not None:
        share = min(1.0, experiments.launch_s / measurement.time_s.median)
        yield RungLimit("launch", share, seconds=experiments.launch_s)


def _phases(measurement: Measurement) -> Iterator[RungLimit]:
    """Yield the phases but the longest, which is the arithmetic: else it would be packed less."""
    phases = measurement.phases or {}
    total = sum(phases.values())
    if total and len(phases) > 1:
        _, *others = sorted(phases, key=lambda name: -phases[name])
        yield RungLimit("phases", sum(phases[name] for name in others) / total, names=tuple(others))


def _bandwidth(measurement: Measurement, machine: MachineModel) -> Iterator[RungLimit]:
    """Yield the level that moves the bytes in most of the time, if a level limits at all."""
    peak = machine.peak(measurement.dtype, measurement.threads)
    point = None if peak is None else place_here(measurement, peak.flop_per_s, machine)
    if point is not None and point.level is not None and point.limit == point.level:
        yield RungLimit("bandwidth", min(1.0, point.flop_per_s / point.roof), names=(point.level,))


def _cache(reached: float, experiments: Experiments) -> Iterator[RungLimit]:
    if experiments.in_l2:
        share = max(0.0, 1 - reached / experiments.in_l2)
        yield RungLimit("cache", share, reached=experiments.in_l2)


# The experiments.


class Laboratory:
    """Times the code of rungs on other problems."""

    def __init__(self, settings: Settings, machine: MachineModel) -> None:
        self._settings = replace(
            settings, budget_s=EXPERIMENT_BUDGET_S, rounds=EXPERIMENT_ROUNDS, time_limit_s=None
        )
        self._machine = machine
        self._l2 = next((c.share_bytes for c in machine.levels(1) if c.name == "L2"), None)
        self._experiments: dict[str, Experiments] = {}

    def of(self, label: str) -> Experiments:
        """Return what is known about a contestant."""
        return self._experiments.get(label, Experiments())

    def events(self, contestant: Contestant, measurement: Measurement) -> Iterator[Auxiliary]:
        """Time the contestant's code on one element and on data in L2, where that can tell.

        A strategy that chooses would choose other code there.
        """
        problem = contestant.problem
        one = small = None
        if measurement.time_s and measurement.time_s.median < LONGEST_WITH_LAUNCH_S:
            one = one_element(problem)
        chooses = contestant.strategy.role is Role.CHOOSER
        if contestant.setting.threads == 1 and self._l2 is not None and not chooses:
            small = in_l2(problem, self._l2, contestant.setting.types)
        launch = yield from self._timed(contestant, one)
        result = yield from self._timed(contestant, small)
        self._experiments[contestant.label] = Experiments(
            launch.time_s.median if launch and launch.time_s else None,
            self._share(result) if result else None,
        )

    def _timed(
        self, contestant: Contestant, problem: Problem | None
    ) -> Generator[Auxiliary, None, Measurement | None]:
        """Return the result on another problem; None if the strategy does not compute it."""
        if problem is None:
            return None
        session = Session([replace(contestant, problem=problem)], self._settings)
        with contextlib.suppress(ConvprofError):
            for _ in session.events():
                yield Auxiliary(f"the limits of {contestant.label}")
        return next((m for m in session.measurements() if m.time_s is not None), None)

    def _share(self, result: Measurement) -> float | None:
        peak = self._machine.peak(result.dtype, 1)
        if result.time_s is None or result.flops is None or peak is None:
            return None
        return result.flops.executed / result.time_s.min / peak.flop_per_s


def one_element(problem: Problem) -> Problem | None:
    """Return the smallest problem of the same kind; None if that is not known."""
    with contextlib.suppress(ConvprofError):
        if problem.kind == "gemm":
            return vary(vary(problem, "size", 1), "batch", 1)
        if problem.kind == "conv2d":
            known: Any = problem
            image = max(1, (max(known.r, known.s) - 1) * max(known.dilation) + 1)
            return vary(vary(vary(problem, "channels", 1), "image", image), "batch", 1)
    return None


def in_l2(problem: Problem, l2_bytes: int, types: Types) -> Problem | None:
    """Return a problem of the kind whose tensors fit into L2; None if the problem itself does."""

    def fits(candidate: Problem) -> bool:
        return candidate.bytes_min(types) <= L2_SHARE * l2_bytes

    if fits(problem):
        return None
    return next((candidate for candidate in _smaller(problem) if fits(candidate)), None)


def _smaller(problem: Problem) -> Iterator[Problem]:
    """Yield smaller problems, the largest first."""
    known: Any = problem
    if problem.kind == "gemm":
        for m, n, k in PRODUCTS:
            yield replace(known, name="", batch=1, m=m, n=n, k=k)
    if problem.kind == "conv2d":
        for channels in (known.c, *CHANNELS):
            for image in IMAGES:
                with contextlib.suppress(ConvprofError):
                    smaller = vary(vary(problem, "image", image), "batch", 1)
                    yield smaller if channels == known.c else vary(smaller, "channels", channels)
