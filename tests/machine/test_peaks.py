from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest

from convprof.dtypes import find
from convprof.machine import facts, peaks

SIMD = facts().cpu.simd
FUSED = SIMD.fma is not False
CPUS = facts().topology.usable_cpus


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_the_peak_of_this_machine(dtype, threads):
    if threads > CPUS:
        pytest.skip("one CPU")
    bits, fused = peaks.widest(SIMD)
    found = peaks.measure(dtype, threads, bits, fused=fused)
    assert (found.dtype, found.threads, found.isa) == (dtype, threads, SIMD.fixed.isa)
    assert found.bits == bits
    assert math.isfinite(found.flop_per_s)
    assert found.flop_per_s > 0
    if found.core_hz is None:
        assert (found.flop_per_cycle, found.ports) == (None, None)
        return
    assert math.isfinite(found.core_hz)
    assert found.core_hz > 0
    assert found.ports is None or found.ports >= 1
    assert found.flop_per_cycle * found.core_hz * threads == pytest.approx(found.flop_per_s)


def test_a_narrower_vector():
    found = peaks.measure("f32", 1, 128, fused=FUSED)
    assert found.bits == 128
    assert found.flop_per_s > 0


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_one_element_instead_of_a_vector(dtype):
    bits = find(dtype).bits
    peak = peaks.measure(dtype, 1, bits, fused=FUSED)
    assert peak.bits == bits
    assert peak.flop_per_s > 0


def test_without_a_meter_the_clock_is_unknown(monkeypatch):
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=False))
    found = peaks.measure("f32", 1, 128, fused=FUSED)
    assert found.flop_per_s > 0
    assert (found.core_hz, found.flop_per_cycle, found.ports) == (None, None, None)


class FakeLoad:
    """A core with a number of ports, whose additions take a cycle each."""

    HZ = 2e9

    def __init__(self, kernel, dtype, threads):  # noqa: ARG002
        self.kernel = kernel

    def iteration_s(self):
        multiply_adds = self.kernel.flops_per_iteration // self.kernel.flops_at_once
        return max(multiply_adds / self.ports, self.kernel.adds) / self.HZ

    def warm_up(self):
        pass


@pytest.mark.parametrize(
    ("ports", "expected"), [(0.5, None), (0.4, None), (0.9, 1), (2.6, None), (7, None)]
)
def test_what_is_no_count_of_ports_is_unknown(monkeypatch, ports, expected):
    """An efficiency core may split wide vectors; a disturbed measurement gives anything."""
    monkeypatch.setattr(FakeLoad, "ports", ports, raising=False)
    monkeypatch.setattr(peaks.published, "most_ports", lambda *_: None)
    monkeypatch.setattr(peaks, "_Load", FakeLoad)
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=True, hz=lambda: 2e9))
    assert peaks.measure("f32", 1, 128, fused=FUSED).ports == expected


@pytest.mark.parametrize("ports", [1, 2, 4])
@pytest.mark.parametrize("threads", [1, 3])
def test_clock_and_ports_follow_from_the_turns(monkeypatch, ports, threads):
    monkeypatch.setattr(FakeLoad, "ports", ports, raising=False)
    monkeypatch.setattr(peaks.published, "most_ports", lambda *_: None)
    monkeypatch.setattr(peaks, "_Load", FakeLoad)
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=True, hz=lambda: 2e9))
    found = peaks.measure("f32", threads, 128, fused=FUSED)
    assert found.core_hz == pytest.approx(2e9)
    assert found.ports == ports
    assert found.flop_per_cycle == pytest.approx(ports * 2 * 4)
    assert found.flop_per_s == pytest.approx(threads * ports * 2 * 4 * 2e9)
    assert dataclasses.replace(found, threads=threads) == found


class BusyLoad(FakeLoad):
    """A clock whose additions are disturbed in a different way in every series."""

    ports = 2
    iterations = 0
    disturbed = 1.0
    """How many times as long the additions take from one series to the next."""

    def iteration_s(self):
        if not self.kernel.adds:
            return super().iteration_s()
        BusyLoad.iterations += 1
        return super().iteration_s() * self.disturbed ** (BusyLoad.iterations // peaks.REPEATS)


@pytest.mark.parametrize(("disturbed", "ports"), [(1.0, 2), (1.03, 2), (1.4, None)])
def test_a_clock_that_contradicts_itself_is_unknown(monkeypatch, disturbed, ports):
    monkeypatch.setattr(BusyLoad, "disturbed", disturbed)
    monkeypatch.setattr(BusyLoad, "iterations", 0)
    monkeypatch.setattr(peaks, "_Load", BusyLoad)
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=True, hz=lambda: 2e9))
    found = peaks.measure("f32", 1, 128, fused=FUSED)
    assert found.ports == ports
    assert (found.flop_per_cycle is None) == (ports is None)
    assert found.flop_per_s == pytest.approx(2 * 2 * 4 * 2e9)  # the peak itself was not disturbed


@pytest.mark.parametrize(("ports", "known"), [(1, True), (0.5, True), (0.25, False)])
def test_a_loop_that_does_not_wait_for_its_additions_gives_no_clock(monkeypatch, ports, known):
    """Emulated, a vector multiply-add takes tens of times as long as an addition."""
    monkeypatch.setattr(FakeLoad, "ports", ports, raising=False)
    monkeypatch.setattr(peaks, "_Load", FakeLoad)
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=True, hz=lambda: 2e9))
    peak = peaks.measure("f32", 1, 128, fused=FUSED)
    assert peak.flop_per_s == pytest.approx(ports * 2 * 4 * 2e9)
    clocks = (peak.core_hz, peak.burst_hz, peak.after_hz, peak.flop_per_cycle)
    assert [value is not None for value in clocks] == [known] * 4
    assert peak.clock_share == 1


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [([1.0], False), ([1.0, 1.01], True), ([1.0, 1.1], False), ([1.0, 9.0, 1.02], True)],
)
def test_two_series_have_to_agree(seconds, expected):
    assert peaks.agree(seconds, 0.02) is expected


GOOD = peaks.Peak("avx512", 512, "f32", 1, 2e11, 3e9, 64.0, 2)
UNKNOWN = dataclasses.replace(GOOD, core_hz=None, flop_per_cycle=None, ports=None)
THREE = dataclasses.replace(GOOD, flop_per_cycle=84.0, ports=3)
SPLIT = dataclasses.replace(GOOD, flop_per_cycle=16.0, ports=None)


@pytest.mark.parametrize(
    ("found", "ports", "measured", "unclear"),
    [
        ([GOOD], 2, 1, False),
        ([UNKNOWN, GOOD], 2, 2, False),
        ([THREE, UNKNOWN, GOOD], 2, 3, False),
        ([THREE], None, 3, True),
        ([UNKNOWN], None, 3, True),
        ([SPLIT], None, 1, False),
    ],
)
def test_no_impossible_number_of_ports_is_stated(monkeypatch, found, ports, measured, unclear):
    count = []

    def once(*_args, **_more):
        count.append(1)
        return found[min(len(count), len(found)) - 1]

    monkeypatch.setattr(peaks, "_once", once)
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=True, hz=lambda: 2e9))
    monkeypatch.setattr(peaks.published, "most_ports", lambda *_: 2)
    peak = peaks.measure("f32", 1, 512, fused=True)
    assert (peak.ports, len(count), peaks.unclear(peak)) == (ports, measured, unclear)
    assert peak.flop_per_cycle != 84.0
