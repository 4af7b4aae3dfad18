"""Results get their limits from the model, and only the end of ``events`` measures limits."""

from __future__ import annotations

import itertools

import pytest

from convprof.machine import bandwidth, facts, peaks
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.measure.events import Auxiliary, Finished
from convprof.measure.session import Settings
from convprof.problems import Gemm
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
