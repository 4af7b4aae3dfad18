"""Ceilings are measured once for all commands of a session, in which the machine is the same.

A peak takes a tenth of a second, up to three times as long on a busy machine, and nearly every
command measures some.
"""

from __future__ import annotations

import functools

import pytest

from convprof.machine import bandwidth, peaks

_peak = functools.cache(peaks.measure)
_stream_bandwidths = bandwidth.measure


@functools.cache
def _bandwidths(*settings):
    return tuple(_stream_bandwidths(*settings))


@pytest.fixture(autouse=True)
def _ceilings_of_the_session(monkeypatch):
    monkeypatch.setattr(peaks, "measure", _peak)
    monkeypatch.setattr(bandwidth, "measure", _bandwidths)
