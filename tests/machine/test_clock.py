from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from convprof.codegen.probes.chains import ADDS_PER_ITERATION
from convprof.machine import clock
from convprof.machine.clock import CoreClock, checked_counter
from convprof.machine.counters import Count, CycleCounter

CALL_NS = 400


@pytest.fixture
def core(monkeypatch):
    """A core of 2 GHz that an interrupt may hit during some calls."""
    state = SimpleNamespace(ns=0, hz=2e9, calls=0, interrupted=())

    def chain(iterations, step):
        assert step == 1
        state.calls += 1
        state.ns += CALL_NS + round(iterations * ADDS_PER_ITERATION / state.hz * 1e9)
        if state.calls in state.interrupted:
            state.ns += 1_000_000

    monkeypatch.setattr(clock, "add_chain", lambda: chain)
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter_ns=lambda: state.ns))
    return state


@pytest.mark.parametrize("hz", [5e8, 2e9, 5e9])
def test_one_addition_is_one_cycle(core, hz):
    core.hz = hz
    core_clock = CoreClock()
    assert core_clock.available
    assert core_clock.hz() == pytest.approx(hz, rel=1e-3)  # without the cost of the call


def test_the_clock_is_read_anew(core):
    core_clock = CoreClock()
    core_clock.hz()
    core.hz = 1e9
    assert core_clock.hz() == pytest.approx(1e9, rel=1e-3)


def test_interrupts_do_not_slow_the_clock(core):
    core_clock = CoreClock()
    core.interrupted = (core.calls + 1, core.calls + 3)
    assert core_clock.hz() == pytest.approx(2e9, rel=1e-3)


def test_an_architecture_without_a_meter(monkeypatch):
    monkeypatch.setattr(clock, "add_chain", lambda: None)
    core_clock = CoreClock()
    assert not core_clock.available
    assert core_clock.hz() is None


@pytest.fixture
def counter(core, monkeypatch):
    """A counter of the core that counts ``share`` of the cycles, ``running`` of the time."""
    state = SimpleNamespace(share=1.0, running=1.0, closed=0)

    def read():
        cycles = core.ns * core.hz / 1e9
        return Count(
            round(state.share * state.running * cycles), core.ns, round(state.running * core.ns)
        )

    def close():
        state.closed += 1

    found = SimpleNamespace(read=read, close=close)
    monkeypatch.setattr(CycleCounter, "open", lambda: found)
    monkeypatch.setattr(CycleCounter, "last_refusal", None)
    return state


@pytest.mark.parametrize("share", [1.0, 0.95, 1.05])
def test_a_counter_that_counts_right_is_used(counter, share):
    counter.share = share
    assert checked_counter(CoreClock()) is not None
    assert counter.closed == 0
    assert CycleCounter.last_refusal is None


@pytest.mark.parametrize("share", [0.5, 0.25, 2.0])
def test_a_counter_that_counts_wrong_is_not_used(counter, share):
    counter.share = share
    assert checked_counter(CoreClock()) is None
    assert counter.closed == 1
    assert f"counts {100 * share:.0f} % of the cycles" in CycleCounter.last_refusal


@pytest.mark.parametrize("running", [0.5, 0.1])
def test_a_counter_that_counts_part_of_the_time_is_not_used(counter, running):
    counter.running = running
    assert checked_counter(CoreClock()) is None
    assert counter.closed == 1
    assert "part of the time" in CycleCounter.last_refusal


def test_a_counter_is_believed_where_no_loop_is_known(counter, monkeypatch):
    monkeypatch.setattr(clock, "add_chain", lambda: None)
    counter.share = 0.5
    assert checked_counter(CoreClock()) is not None


def test_no_counter_at_all(core, monkeypatch):
    monkeypatch.setattr(CycleCounter, "open", lambda: None)
    assert checked_counter(CoreClock()) is None
    assert core.calls > 0  # the clock itself works


def test_this_machine():
    core_clock = CoreClock()
    if not core_clock.available:
        pytest.skip("no add instruction known here")
    readings = [core_clock.hz() for _ in range(5)]
    assert all(math.isfinite(hz) and hz > 0 for hz in readings)
