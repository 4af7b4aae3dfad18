"""The call of a library that is reproduced, and what was measured about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.errors import one_line
from convprof.studies.document import machine
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.results import Measurement

ROUNDS = 25
"""Samples that a program takes of each call."""


@dataclass(frozen=True)
class ReproCall:
    """A problem, the setting of its measurement, and the measurement."""

    problem: Any
    """A convolution, a product or attention."""
    layout: str
    seed: int
    measurement: Measurement
    versions: Mapping[str, str | None]

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self.measurement.threads

    @property
    def dtype(self) -> str:
        """``f32`` or ``f64``."""
        return self.measurement.dtype

    @property
    def calls(self) -> int:
        """Calls of a sample, as they were measured."""
        time = self.measurement.time_s
        return time.calls_per_sample if time is not None else 1

    def facts(self) -> list[str]:
        """Return lines about the measurement and the machine, each printable."""
        known = machine()
        versions = [f"{name} {version}" for name, version in self.versions.items() if version]
        cores = known["physical_cores"] or known["logical_cpus"]
        isa = (known["simd"] or {}).get("isa", "unknown instruction set")
        virtual = ", virtual" if known["virtualised"] else ""
        lines = [
            f"{self.problem.kind} {self.problem.descriptor}, {self.measurement.way}, {self.dtype}",
            f"measured by convprof {VERSION}: {self._figures()}",
            f"machine: {known['brand'] or known['architecture']}, {cores} cores, {isa}{virtual}",
            f"software: {', '.join(versions)}",
        ]
        return [one_line(line) for line in lines]

    def _figures(self) -> str:
        measured, time = self.measurement, self.measurement.time_s
        if time is None:
            return "no time"
        on = f"on {measured.threads} thread{'s' if measured.threads > 1 else ''}"
        half = time.half_interval
        parts = [
            f"{units.time(time.median)} a call {on}",
            f"±{units.time(half)} (95 %)" if half is not None else "",
            units.si(measured.flop_per_s, "FLOP/s") if measured.flop_per_s else "",
            f"{100 * measured.peak_fraction:.0f} % of the peak" if measured.peak_fraction else "",
            f"in doubt: {measured.doubt}" if measured.doubt else "",
        ]
        return ", ".join(filter(None, parts))
