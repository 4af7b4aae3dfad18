from __future__ import annotations

import pytest
from fake_clock import FakeStopwatch

from convprof.machine import facts
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.measure import session


class FixedMachine(MachineModel):
    """A machine whose peak is a number; it has no caches and measures nothing."""

    def __init__(self, flop_per_s):
        super().__init__(facts())
        self._flop_per_s = flop_per_s

    def levels(self, threads):  # noqa: ARG002
        return ()

    def peak(self, dtype, threads, isa="native"):
        return Peak(isa, 256, dtype, threads, self._flop_per_s, None, None, None)

    def measure_peaks(self, dtype, threads, isa="native"):
        return self.peaks(dtype, list(threads), isa)

    def measure_bandwidth(self, threads, level):
        """Measure nothing."""


@pytest.fixture
def machine_of():
    """Return a function from FLOP/s to a machine with that peak."""
    return FixedMachine


@pytest.fixture
def no_clock(monkeypatch):
    """Sessions have a clock that only strategies advance, and wait for nothing."""
    monkeypatch.setattr(session, "Stopwatch", FakeStopwatch)
    monkeypatch.setattr(session, "settle", lambda: None)
