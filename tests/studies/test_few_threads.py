"""Where the system allows few threads, what needs no more of them is measured and kept."""

from __future__ import annotations

import os

import pytest

from convprof import cli
from convprof.codegen import spare_threads
from convprof.errors import ThreadsError
from convprof.machine import bandwidth, facts, peaks
from convprof.machine.model import MachineModel
from convprof.measure.settings import Settings
from convprof.problems import Gemm
from convprof.results import Measurement
from convprof.studies import run
from convprof.studies.roofline_session import measure_limits, with_limits
from convprof.studies.run import Choice


def only_one(threads, *_, **__):
    """Refuse more than one thread."""
    if threads > 1:
        raise ThreadsError.of(threads)
    return real_team(threads)


real_team = bandwidth.team


@pytest.fixture
def one_thread(monkeypatch):
    """A process that may not start a thread."""
    monkeypatch.setattr(bandwidth, "team", only_one)
    monkeypatch.setattr(peaks, "team", only_one)
    monkeypatch.setattr("convprof.strategies.plan_runner.team", only_one)


@pytest.mark.usefixtures("one_thread")
def test_peaks_of_numbers_of_threads_that_cannot_start_are_left_out():
    machine = MachineModel(facts())
    assert [peak.threads for peak in machine.measure_peaks("f32", (2, 1))] == [1]
    with pytest.raises(ThreadsError, match="does not allow this process 2 threads"):
        machine.measure_peaks("f32", (2,))


@pytest.mark.usefixtures("one_thread")
def test_a_row_on_too_many_threads_is_refused_and_the_others_are_measured():
    settings = Settings(budget_s=0.002, rounds=6)
    choice = Choice(strategies=("packed",), threads=(1, 2))
    asked = run.Run(Gemm(m=8, n=8, k=8), choice, settings, MachineModel(facts()))
    list(asked.events())
    one, two = asked.measurements()
    assert (one.threads, one.status, two.threads, two.status) == (1, "ok", 2, "refused")
    assert "raise the limit" in two.reason


@pytest.mark.usefixtures("one_thread")
def test_a_bandwidth_needs_no_thread_beyond_its_own():
    (level, *_) = bandwidth.levels(facts().caches, 1)
    machine = MachineModel(facts())
    for threads in (1, 2):
        machine.measure_bandwidth(threads, level.name)
    assert machine.bandwidth(1, level.name) > 0
    assert machine.bandwidth(2, level.name) is None


@pytest.mark.usefixtures("one_thread")
def test_a_result_of_a_library_whose_peak_cannot_be_measured_stays():
    measured = Measurement(
        problem={"kind": "gemm"},
        strategy="torch",
        layout=None,
        dtype="f32",
        threads=2,
        cache="hot",
        status="ok",
        flop_per_s=1e9,
    )
    machine = MachineModel(facts())
    for _ in measure_limits(measured, machine):
        pass
    assert with_limits(measured, machine) is measured


@pytest.mark.parametrize(("found", "expected"), [(-1, "1"), (0, None)])
def test_openblas_is_held_to_one_thread_where_it_could_not_start_them(monkeypatch, found, expected):
    monkeypatch.setattr(spare_threads, "startable", lambda wanted: wanted + found)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(cli, "_status", lambda _: 0)
    with pytest.raises(SystemExit):
        cli.main([])
    assert os.environ.get("OPENBLAS_NUM_THREADS") == expected
