"""A session whose results are compared with the limits of the machine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convprof import doubts
from convprof.doubts import Limits
from convprof.dtypes import types
from convprof.errors import ThreadsError
from convprof.machine.caches import holding
from convprof.measure.events import Auxiliary
from convprof.measure.session import Session
from convprof.problems import NetworkProblem
from convprof.results import NATIVE
from convprof.strategies import registry
from convprof.studies.roofline_model import levels_needed, place_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.machine.peaks import Peak
    from convprof.measure.contestant import Contestant
    from convprof.measure.events import Event
    from convprof.measure.participant import Participant
    from convprof.measure.settings import Settings
    from convprof.results import Cycles, Measurement


class RooflineSession(Session):
    """Every measurement has its share of the peak, and what limits it.

    The limits that the model lacks are measured at the end of ``events``. An interruption before
    that leaves results with the limits that are known.
    """

    def __init__(
        self,
        contestants: Sequence[Contestant],
        settings: Settings,
        machine: MachineModel | None,
        watch: NoiseWatch | None = None,
    ) -> None:
        """Without a ``machine`` results are compared with nothing."""
        super().__init__(contestants, settings, watch)
        self._machine = machine
        self._limits: set[tuple[int, str]] = set()
        """Threads and cache level of the bandwidths that the results so far need."""
        self._looked = 0
        """The number of participants whose limits are in ``_limits``."""

    def events(self) -> Iterator[Event]:
        """Measure the contestants, then the limits; yield what happens."""
        yield from super().events()
        if self._machine is None:
            return
        for participant in self.participants:
            if participant.samples:
                measurement = super().measurement(participant)
                for event in measure_limits(measurement, self._machine):
                    yield dataclasses.replace(event, left_s=self._limits_s())

    def _after_s(self, done: int = 0) -> float:
        """Add the limits that are to be measured."""
        return super()._after_s(done) + self._limits_s()

    def _limits_s(self) -> float:
        """Estimate the seconds of the bandwidths that the machine's model lacks.

        The data of a problem and the memory of its strategy are in the same cache, or nearly, as
        the bytes that are moved, which are counted at the end.
        """
        machine = self._machine
        if machine is None:
            return 0.0
        for participant in self.participants[self._looked :]:
            contestant = participant.contestant
            threads, problem = contestant.setting.threads, contestant.problem
            if contestant.cache == "hot" and not problem.is_network:
                held = problem.bytes_min(contestant.setting.types)
                held += participant.bench.facts.workspace_bytes or 0
                self._limits.update((threads, name) for name in _within(machine, threads, held))
        self._looked = len(self.participants)
        return sum(machine.bandwidth_s(*limit) for limit in self._limits)

    def bare(self) -> list[Measurement]:
        """Return the results without their limits, for the case that the limits fail."""
        machine, self._machine = self._machine, None
        try:
            return self.measurements()
        finally:
            self._machine = machine

    def measurement(self, participant: Participant) -> Measurement:
        """Return the result of a contestant that has samples, with its share of the peak."""
        measurement = super().measurement(participant)
        if self._machine is None:
            return measurement
        return with_limits(measurement, self._machine)


def _within(machine: MachineModel, threads: int, held_bytes: int) -> list[str]:
    """Return the nearest cache that holds the bytes, and all nearer ones; empty if none does."""
    caches = machine.levels(threads)
    level, names = holding(caches, held_bytes), [cache.name for cache in caches]
    return names[: names.index(level) + 1] if level is not None and level in names else []


def measure_limits(measurement: Measurement, machine: MachineModel) -> Iterator[Auxiliary]:
    """Measure the limits of a result that the model lacks; yield what is measured next."""
    if measurement.flop_per_s is None or not types(measurement.dtype).has_peak:
        return
    dtype, threads, isa = measurement.dtype, measurement.threads, measurement.isa or NATIVE
    on = f"on {threads} thread{'s' if threads > 1 else ''}"
    if machine.peak(dtype, threads, isa) is None:
        yield Auxiliary(f"the {dtype} peak {on}", once=True)
        try:
            machine.measure_peaks(dtype, [threads], isa)
        except ThreadsError:  # the threads were a library's own, and no more can be started
            return
    if measurement.problem["kind"] == NetworkProblem.kind:
        return
    for level in levels_needed(measurement, machine):
        yield Auxiliary(f"the bandwidth of {level} {on}", once=True)
        machine.measure_bandwidth(threads, level)


def with_limits(measurement: Measurement, machine: MachineModel) -> Measurement:
    """Return the measurement with its share of the peak on the same number of threads.

    The peak of the instruction set for which kernels were generated, else the machine's. With it
    comes what limits the strategy: that peak, or the bandwidth of the memory it works in. Nothing
    is measured: what the model lacks is left out.
    """
    if measurement.flop_per_s is None or not types(measurement.dtype).has_peak:
        return measurement
    kind = (measurement.dtype, measurement.threads, measurement.isa or NATIVE)
    peak, tiles = machine.peak(*kind), machine.tile_ceiling(*kind)
    if peak is None:
        return measurement
    point = None
    if measurement.problem["kind"] != NetworkProblem.kind:  # its layers differ in what limits them
        point = place_here(measurement, peak.flop_per_s, machine)
    return dataclasses.replace(
        measurement,
        cycles=_under_load(measurement, peak),
        peak_fraction=measurement.flop_per_s / peak.flop_per_s,
        tile_fraction=measurement.flop_per_s / tiles.flop_per_s if tiles else None,
        bound=point.bound if point else None,
        level=point.level if point else None,
        bandwidth_fraction=point.bandwidth_fraction if point else None,
        doubt=measurement.doubt or doubts.of_limits(measurement, _limits(measurement, peak)),
    )


def _under_load(measurement: Measurement, peak: Peak) -> Cycles | None:
    """Return the cycles by the clock under the vectors of generated kernels.

    The clock is measured right after a sample, when it has risen again on some cores. A result that
    has its limits has these cycles already.
    """
    cycles = measurement.cycles
    if measurement.peak_fraction is not None:
        return cycles
    if cycles is None or measurement.isa is None or cycles.source != "calibrated":
        return cycles
    share = peak.clock_share
    return dataclasses.replace(
        cycles,
        per_call=cycles.per_call * share,
        per_flop=cycles.per_flop and cycles.per_flop * share,
        core_hz=cycles.core_hz * share,
    )


WINOGRAD_SAVES = 4.0
"""FLOPs of the definition for each that F(4x4, 3x3) executes (Lavin & Gray 2016)."""


def _limits(measurement: Measurement, peak: Peak) -> Limits:
    """Return what the machine reaches; a library may save FLOPs without a word."""
    kind, name = measurement.problem["kind"], measurement.strategy
    of_kind = registry.strategies(kind) if kind in registry.KINDS else []
    is_peer = any(each.name == name and each.role.is_peer for each in of_kind)
    return Limits(peak.flop_per_s, peak.flop_per_cycle, WINOGRAD_SAVES if is_peer else 1.0)
