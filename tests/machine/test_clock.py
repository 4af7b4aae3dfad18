from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from convprof.machine import clock
from convprof.machine.clock import CoreClock
from convprof.simd.chains import ADDS_PER_TURN

CALL_NS = 400


@pytest.fixture
def core(monkeypatch):
    """A core of 2 GHz that an interrupt may hit during some calls."""
    state = SimpleNamespace(ns=0, hz=2e9, calls=0, interrupted=())

    def chain(turns, step):
        assert step == 1
        state.calls += 1
        state.ns += CALL_NS + round(turns * ADDS_PER_TURN / state.hz * 1e9)
        if state.calls in state.interrupted:
            state.ns += 1_000_000

    monkeypatch.setattr(clock, "add_chain", lambda: chain)
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter_ns=lambda: state.ns))
    return state


@pytest.mark.parametrize("hz", [5e8, 2e9, 5e9])
def test_one_addition_is_one_cycle(core, hz):
    core.hz = hz
    ruler = CoreClock()
    assert ruler.available
    assert ruler.hz() == pytest.approx(hz, rel=1e-3)  # without the cost of the call


def test_the_clock_is_read_anew(core):
    ruler = CoreClock()
    ruler.hz()
    core.hz = 1e9
    assert ruler.hz() == pytest.approx(1e9, rel=1e-3)


def test_interrupts_do_not_slow_the_clock(core):
    ruler = CoreClock()
    core.interrupted = (core.calls + 1, core.calls + 3)
    assert ruler.hz() == pytest.approx(2e9, rel=1e-3)


def test_an_architecture_without_a_ruler(monkeypatch):
    monkeypatch.setattr(clock, "add_chain", lambda: None)
    ruler = CoreClock()
    assert not ruler.available
    assert ruler.hz() is None


def test_this_machine():
    ruler = CoreClock()
    if not ruler.available:
        pytest.skip("no add instruction known here")
    readings = [ruler.hz() for _ in range(5)]
    assert all(math.isfinite(hz) and hz > 0 for hz in readings)
