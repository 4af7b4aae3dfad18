"""Where the system allows few threads, what needs no more of them is measured and kept."""

from __future__ import annotations

import os

import pytest

from convprof import cli
from convprof.codegen import spare_threads
from convprof.errors import ThreadsError
from convprof.machine import bandwidth, ceilings, facts
from convprof.problems import Gemm
from convprof.results import Measurement
from convprof.studies import roofline_model, run
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
    monkeypatch.setattr(ceilings, "team", only_one)
    monkeypatch.setattr("convprof.strategies.plan_runner.team", only_one)
    monkeypatch.setattr(roofline_model, "_quick", [])
    monkeypatch.setattr(roofline_model, "_measured", roofline_model._measured.__wrapped__)
    monkeypatch.setattr(ceilings, "peak", ceilings.peak.__wrapped__)


@pytest.mark.usefixtures("one_thread")
def test_peaks_of_numbers_of_threads_that_cannot_start_are_left_out():
    assert [peak.threads for peak in run.peaks("f32", (2, 1))] == [1]
    with pytest.raises(ThreadsError, match="does not allow this process 2 threads"):
        run.peaks("f32", (2,))


@pytest.mark.usefixtures("one_thread")
def test_a_row_on_too_many_threads_is_refused_and_the_others_are_measured():
    settings = run.Settings(budget_s=0.002, rounds=6)
    asked = run.Run(Gemm(m=8, n=8, k=8), Choice(strategies=("packed",), threads=(1, 2)), settings)
    list(asked.events())
    one, two = asked.measurements()
    assert (one.threads, one.status, two.threads, two.status) == (1, "ok", 2, "refused")
    assert "raise the limit" in two.reason


@pytest.mark.usefixtures("one_thread")
def test_a_bandwidth_needs_no_thread_beyond_its_own(monkeypatch):
    (level, *_) = bandwidth.levels(facts().caches, 1)
    monkeypatch.setattr(roofline_model, "kept_here", dict)
    assert roofline_model.bandwidth_here(1, level.name) > 0
    assert roofline_model.bandwidth_here(2, level.name) is None


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
    assert run.with_peak(measured) is measured


@pytest.mark.parametrize(("found", "expected"), [(-1, "1"), (0, None)])
def test_openblas_is_held_to_one_thread_where_it_could_not_start_them(monkeypatch, found, expected):
    monkeypatch.setattr(spare_threads, "startable", lambda wanted: wanted + found)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(cli, "_status", lambda _: 0)
    with pytest.raises(SystemExit):
        cli.main([])
    assert os.environ.get("OPENBLAS_NUM_THREADS") == expected
