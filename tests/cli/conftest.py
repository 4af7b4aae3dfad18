from __future__ import annotations

import functools

import pytest

from convprof import doubts
from convprof.machine import bandwidth, peaks
from convprof.machine.peaks import Peak
from convprof.measure import session
from convprof.measure.isolated.processes import Processes
from convprof.stats import Ratio

_peak = functools.cache(peaks.measure)
_stream_bandwidths = bandwidth.measure


@functools.cache
def _bandwidths(*settings):
    return tuple(_stream_bandwidths(*settings))


@pytest.fixture(autouse=True)
def _ceilings_of_the_session(monkeypatch):
    """Commands measure each ceiling once a session: 0.1 s, up to 0.3 s on a busy machine."""
    monkeypatch.setattr(peaks, "measure", _peak)
    monkeypatch.setattr(bandwidth, "measure", _bandwidths)


@pytest.fixture
def _free_ceilings(monkeypatch, _ceilings_of_the_session):
    """Peaks cost nothing, and no bandwidth is known."""

    def peak(dtype, threads, bits, *, fused):
        return Peak("x", bits, dtype, threads, 1e11 * threads, None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", peak)
    monkeypatch.setattr(bandwidth, "measure", lambda *_, **__: iter(()))


@pytest.fixture(autouse=True)
def _libraries_compute_here(monkeypatch):
    """Starting a process for each library takes a second: only tests of ``--isolate`` do it."""
    monkeypatch.setattr(Processes, "take", lambda self, _: self.scope == "all")


@pytest.fixture(autouse=True)
def _no_doubts(monkeypatch):
    """Commands believe what they measure, however much other programs disturb it."""
    for name in ("of_samples", "of_limits", "of_chain", "of_choice"):
        monkeypatch.setattr(doubts, name, lambda *_: None)
    monkeypatch.setattr(Ratio, "doubt", None)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch):
    """Sessions do not wait for threads that still spin: it disturbs no test."""
    monkeypatch.setattr(session, "settle", lambda: None)


@pytest.fixture
def session_fails(monkeypatch):
    """Return a function that makes the session of a number, from 1 on, raise an error."""

    def fail(number, error):
        begin, begun = session.Session.__init__, []

        def failing(self, *arguments):
            begun.append(self)
            if len(begun) == number:
                raise error
            begin(self, *arguments)

        monkeypatch.setattr(session.Session, "__init__", failing)

    return fail
