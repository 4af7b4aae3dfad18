"""The cost of a launch, by the latency between cores."""

from __future__ import annotations

import pytest

from convprof.machine import ceilings_store
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.core_latency import CoreLatency
from convprof.machine.peaks import Peak
from convprof.strategies import launch


@pytest.mark.parametrize(
    ("threads", "stages", "expected"), [(1, 5, 0), (2, 1, 6), (2, 3, 12), (32, 1, 96)]
)
def test_a_launch_waits_for_transfers_one_after_another(threads, stages, expected):
    assert launch.transfers(threads, stages) == expected


def stored(monkeypatch, *sets):
    monkeypatch.setattr(ceilings_store, "load", lambda _: dict(enumerate(sets)))


def peak(core_hz):
    return Peak("avx2", 256, "f32", 1, 1e11, core_hz, None, None)


def test_a_transfer_takes_the_stored_latency_at_the_measured_clock(monkeypatch):
    pairs = tuple(CoreLatency((0, cpu), s, s) for cpu, s in enumerate((9e-9, 5e-8, 8e-8), 1))
    one, two = Ceilings(1, 1.0, (peak(2e9),), ()), Ceilings(2, 1.0, (), (), latencies=pairs)
    stored(monkeypatch, one, two)
    assert launch.transfer_cycles() == pytest.approx(100)


@pytest.mark.parametrize(
    "sets",
    [
        (),
        (Ceilings(2, 1.0, (peak(2e9),), ()),),
        (Ceilings(2, 1.0, (peak(None),), (), latencies=(CoreLatency((0, 1), 5e-8, 5e-8),)),),
    ],
)
def test_without_a_latency_or_a_clock_a_transfer_takes_the_usual_cycles(monkeypatch, sets):
    stored(monkeypatch, *sets)
    assert launch.transfer_cycles() == launch.USUAL_TRANSFER_CYCLES
