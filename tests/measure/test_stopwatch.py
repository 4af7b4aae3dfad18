from __future__ import annotations

from types import SimpleNamespace

import pytest

from convprof.machine.counters import Count
from convprof.measure import stopwatch as stopwatch_module
from convprof.measure.stopwatch import Stopwatch

HZ = 3e9


class FakeTime:
    def __init__(self):
        self.ns = 0

    def perf_counter_ns(self):
        return self.ns


class FakeCounter:
    """Counts two cycles a nanosecond, in the share of the time for which it runs."""

    def __init__(self, time, running=1.0, slept=0.0):
        self.time = time
        self.running, self.slept = running, slept
        self.closed = 0

    def read(self):
        enabled = self.time.ns * (1 - self.slept)
        running = enabled * self.running
        return Count(1000 + round(2 * running), round(enabled), round(running))

    def close(self):
        self.closed += 1


@pytest.fixture
def machine(monkeypatch):
    """A machine with a scripted clock; tests choose how it counts cycles."""
    time = FakeTime()
    found = SimpleNamespace(time=time, counter=None, hz=HZ, ticks=None)

    def clock():
        return SimpleNamespace(hz=lambda: found.hz, available=found.hz is not None)

    monkeypatch.setattr(stopwatch_module, "time", time)
    monkeypatch.setattr(stopwatch_module, "CoreClock", clock)
    monkeypatch.setattr(stopwatch_module, "checked_counter", lambda _clock: found.counter)
    monkeypatch.setattr(stopwatch_module, "ticks", lambda: found.ticks)
    return found


def working(machine, ns, journal=None):
    def run():
        machine.time.ns += ns
        if journal is not None:
            journal.append("run")

    return run


def test_seconds_are_per_call(machine):
    sample = Stopwatch().sample(working(machine, 500), 4)
    assert sample.seconds == pytest.approx(500e-9)
    assert machine.time.ns == 4 * 500


def test_calibrated_cycles(machine):
    watch = Stopwatch()
    sample = watch.sample(working(machine, 500), 4)
    assert watch.source == "calibrated"
    assert sample.core_hz == HZ
    assert sample.cycles == pytest.approx(500e-9 * HZ)


def test_counted_cycles(machine):
    machine.counter = FakeCounter(machine.time)
    watch = Stopwatch()
    sample = watch.sample(working(machine, 500), 4)
    assert watch.source == "pmu"
    assert sample.cycles == pytest.approx(1000)
    assert sample.core_hz == pytest.approx(2e9)


@pytest.mark.parametrize("running", [0.5, 0.1, 0.0])
def test_a_count_of_part_of_the_time_is_replaced_by_the_measured_clock(machine, running):
    """Half the cycles would give half the clock and twice the share of the peak."""
    machine.counter = FakeCounter(machine.time, running)
    watch = Stopwatch()
    sample = watch.sample(working(machine, 500), 4)
    assert (watch.source, sample.source) == ("pmu", "calibrated")
    assert sample.core_hz == HZ
    assert sample.cycles == pytest.approx(500e-9 * HZ)


def test_a_count_of_part_of_the_time_where_the_clock_cannot_be_measured(machine):
    machine.counter = FakeCounter(machine.time, 0.5)
    machine.hz = None
    sample = Stopwatch().sample(working(machine, 500), 4)
    assert (sample.core_hz, sample.cycles) == (None, None)


def test_a_thread_that_waits_for_others_has_the_same_clock(machine):
    machine.counter = FakeCounter(machine.time, slept=0.75)
    sample = Stopwatch().sample(working(machine, 500), 4)
    assert sample.source == "pmu"
    assert sample.core_hz == pytest.approx(2e9)
    assert sample.cycles == pytest.approx(1000)  # that pass on the core in a call


def test_ticks_where_nothing_better_is_there(machine):
    machine.hz = None
    machine.ticks = lambda: 77 + 3 * machine.time.ns
    watch = Stopwatch()
    sample = watch.sample(working(machine, 500), 4)
    assert watch.source == "tsc"
    assert sample.cycles == pytest.approx(1500)
    assert sample.core_hz == pytest.approx(3e9)


def test_no_source_for_the_cycles(machine):
    machine.hz = None
    watch = Stopwatch()
    sample = watch.sample(working(machine, 500), 4)
    assert watch.source is None
    assert (sample.core_hz, sample.cycles) == (None, None)
    assert sample.seconds == pytest.approx(500e-9)


@pytest.mark.parametrize(
    ("source", "hz"), [("pmu", 2e9), ("calibrated", HZ), ("tsc", 5e9), (None, None)]
)
def test_what_comes_before_a_call_is_neither_timed_nor_counted(machine, source, hz):
    machine.counter = FakeCounter(machine.time) if source == "pmu" else None
    machine.hz = HZ if source == "calibrated" else None
    machine.ticks = (lambda: 5 * machine.time.ns) if source == "tsc" else None
    journal = []

    def before():
        machine.time.ns += 10_000
        journal.append("before")

    watch = Stopwatch()
    sample = watch.sample(working(machine, 500, journal), 3, before)
    assert source == watch.source
    assert journal == ["before", "run"] * 3
    assert sample.seconds == pytest.approx(500e-9)
    if hz is None:
        assert (sample.core_hz, sample.cycles) == (None, None)
    else:
        assert sample.core_hz == pytest.approx(hz)
        assert sample.cycles == pytest.approx(500e-9 * hz)


def test_the_counter_is_closed_once(machine):
    machine.counter = FakeCounter(machine.time)
    watch = Stopwatch()
    watch.close()
    watch.close()
    assert machine.counter.closed == 1
    assert watch.source == "pmu"  # what counted the samples does not change afterwards
    assert watch.sample(working(machine, 500), 2).source == "calibrated"


def test_this_machine():
    watch = Stopwatch()
    calls = []
    sample = watch.sample(lambda: calls.append(None), 5)
    watch.close()
    assert len(calls) == 5
    assert 0 < sample.seconds < float("inf")
    assert 0 < watch.resolution_s <= 1e-3
    assert watch.source in {"pmu", "calibrated", "tsc", None}
