"""A session whose results are compared with the limits of the machine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convprof import doubts
from convprof.doubts import Limits
from convprof.dtypes import types
from convprof.errors import ThreadsError
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
    from convprof.measure.contestant import Contestant, Participant
    from convprof.measure.events import Event
    from convprof.measure.session import Settings
    from convprof.results import Measurement


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

    def events(self) -> Iterator[Event]:
        """Measure the contestants, then the limits; yield what happens."""
        yield from super().events()
        if self._machine is None:
            return
        for participant in self.participants:
            if participant.samples:
                yield from measure_limits(super().measurement(participant), self._machine)

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


def measure_limits(measurement: Measurement, machine: MachineModel) -> Iterator[Auxiliary]:
    """Measure the limits of a result that the model lacks; yield what is measured next."""
    if measurement.flop_per_s is None or not types(measurement.dtype).has_peak:
        return
    dtype, threads, isa = measurement.dtype, measurement.threads, measurement.isa or NATIVE
    on = f"on {threads} thread{'s' if threads > 1 else ''}"
    if machine.peak(dtype, threads, isa) is None:
        yield Auxiliary(f"the {dtype} peak {on}")
        try:
            machine.measure_peaks(dtype, [threads], isa)
        except ThreadsError:  # the threads were a library's own, and no more can be started
            return
    if measurement.problem["kind"] == NetworkProblem.kind:
        return
    for level in levels_needed(measurement, machine):
        yield Auxiliary(f"the bandwidth of {level} {on}")
        machine.measure_bandwidth(threads, level)


def with_limits(measurement: Measurement, machine: MachineModel) -> Measurement:
    """Return the measurement with its share of the peak on the same number of threads.

    The peak of the instruction set for which kernels were generated, else the machine's. With it
    comes what limits the strategy: that peak, or the bandwidth of the memory it works in. Nothing
    is measured: what the model lacks is left out.
    """
    if measurement.flop_per_s is None or not types(measurement.dtype).has_peak:
        return measurement
    peak = machine.peak(measurement.dtype, measurement.threads, measurement.isa or NATIVE)
    if peak is None:
        return measurement
    point = None
    if measurement.problem["kind"] != NetworkProblem.kind:  # its layers differ in what limits them
        point = place_here(measurement, peak.flop_per_s, machine)
    return dataclasses.replace(
        measurement,
        peak_fraction=measurement.flop_per_s / peak.flop_per_s,
        bound=point.bound if point else None,
        doubt=measurement.doubt or doubts.of_limits(measurement, _limits(measurement, peak)),
    )


WINOGRAD_SAVES = 4.0
"""FLOPs of the definition for each that F(4x4, 3x3) executes (Lavin & Gray 2016)."""


def _limits(measurement: Measurement, peak: Peak) -> Limits:
    """Return what the machine reaches; a library may save FLOPs without a word."""
    kind, name = measurement.problem["kind"], measurement.strategy
    of_kind = registry.strategies(kind) if kind in registry.KINDS else []
    is_peer = any(each.name == name and each.role.is_peer for each in of_kind)
    return Limits(peak.flop_per_s, peak.flop_per_cycle, WINOGRAD_SAVES if is_peer else 1.0)
