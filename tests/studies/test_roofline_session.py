"""Results get their limits from the model, and only the end of ``events`` measures limits."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from convprof.machine import bandwidth, facts, peaks
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.measure.events import Auxiliary, Finished
from convprof.measure.settings import Settings
from convprof.problems import Gemm
from convprof.results import Cycles, Measurement
from convprof.studies import roofline_session
from convprof.studies.run import Choice, Run

PEAK = 1e12
SETTINGS = Settings(budget_s=0.001, rounds=6)


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    """Return what was measured of the machine; figures cost nothing."""
    measured = []

    def measure_peak(dtype, threads, bits, *, fused):
        measured.append("peak")
        return Peak("x", bits, dtype, threads, PEAK, None, None, None, fused)

    def measure_bandwidth(threads, only, *_):
        measured.append(*only)
        return iter([Bandwidth(*only, "load", threads, 1e12, 64)])

    monkeypatch.setattr(peaks, "measure", measure_peak)
    monkeypatch.setattr(bandwidth, "measure", measure_bandwidth)
    return measured


def study(machine):
    return Run(Gemm(m=8, n=8, k=8), Choice(("naive", "packed")), SETTINGS, machine)


def limits_shown(session):
    names = [event.name for event in session.events() if isinstance(event, Auxiliary)]
    return [name for name in names if name != "the phases of each strategy"]


def test_limits_are_measured_once_and_shown(limits):
    machine = MachineModel(facts())
    first = study(machine)
    shown = limits_shown(first)
    assert len(shown) == len(limits) == len(set(limits))
    assert shown[0] == "the f32 peak on 1 thread"
    assert {
        m.peak_fraction * PEAK == pytest.approx(m.flop_per_s) for m in first.measurements()
    } == {True}
    assert {m.bound for m in first.measurements()} <= {"compute", "memory"}
    again = study(machine)
    assert limits_shown(again) == []


def test_an_interruption_before_the_limits_leaves_the_times(limits):
    interrupted = study(MachineModel(facts()))
    list(itertools.takewhile(lambda event: not isinstance(event, Finished), interrupted.events()))
    measurements = interrupted.measurements()
    assert all(m.time_s and m.peak_fraction is None and m.bound is None for m in measurements)
    assert len(measurements) == 2
    assert limits == []


def test_without_a_model_nothing_is_compared(limits):
    alone = study(None)
    list(alone.events())
    assert {m.peak_fraction for m in alone.measurements()} == {None}
    assert limits == []


def test_the_results_are_there_though_the_limits_fail(monkeypatch):
    def fail(*_):
        raise RuntimeError("no limits")

    done = study(MachineModel(facts()))
    list(done.events())
    monkeypatch.setattr(roofline_session, "with_limits", fail)
    with pytest.raises(RuntimeError, match="no limits"):
        done.measurements()
    assert [(m.strategy, m.status) for m in done.session.bare()] == [
        ("naive", "ok"),
        ("packed", "ok"),
    ]


LOWER_CLOCK = Peak(
    "x", 512, "f32", 1, PEAK, 2.7e9, 64.0, 2, burst_flop_per_s=PEAK, burst_hz=2.7e9, after_hz=3e9
)


def counted(**changes):
    fields = {
        "problem": {"kind": "gemm", "name": None, "descriptor": "8x8:8x8"},
        "strategy": "packed",
        "layout": None,
        "dtype": "f32",
        "threads": 1,
        "cache": "hot",
        "status": "ok",
        "isa": "native",
        "flop_per_s": 1e11,
        "cycles": Cycles(1000.0, 2.0, "calibrated", 3e9),
    }
    return Measurement(**(fields | changes))


def test_cycles_of_generated_kernels_are_of_the_clock_under_their_vectors():
    cycles = roofline_session._under_load(counted(), LOWER_CLOCK)
    assert cycles == Cycles(
        pytest.approx(900), pytest.approx(1.8), "calibrated", pytest.approx(2.7e9)
    )


@pytest.mark.parametrize(
    ("changes", "peak"),
    [
        ({"isa": None}, LOWER_CLOCK),  # loops of numbers, or a library's code
        ({"cycles": Cycles(1000.0, 2.0, "pmu", 3e9)}, LOWER_CLOCK),  # counted
        ({"peak_fraction": 0.1}, LOWER_CLOCK),  # has its limits, and so these cycles, already
        ({}, dataclasses.replace(LOWER_CLOCK, after_hz=2.72e9)),  # the same clock but for noise
        ({}, dataclasses.replace(LOWER_CLOCK, after_hz=9e9)),  # disturbed
        ({}, dataclasses.replace(LOWER_CLOCK, after_hz=None)),
    ],
)
def test_other_cycles_stay_as_they_are(changes, peak):
    measurement = counted(**changes)
    assert roofline_session._under_load(measurement, peak) == measurement.cycles
