from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import convprof
from convprof.errors import ThreadsError
from convprof.machine import bandwidth, facts, model, noise, peaks
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.machine.topology import CoreKind


@pytest.fixture
def measured(monkeypatch):
    """Return what was measured, in order; figures cost nothing."""
    calls = []

    def measure_peak(dtype, threads, bits, *, fused):
        if threads > 2:
            raise ThreadsError.of(threads)
        calls.append((dtype, threads, bits, fused))
        return Peak("x", bits, dtype, threads, 1e9 * threads * bits, None, None, None, fused)

    def measure_bandwidth(threads, only, operations, repeats):
        calls.append((threads, only, operations, repeats))
        (level,) = only
        return iter(
            [
                Bandwidth(level, "load", threads, 7.0, 64),
                Bandwidth(level, "triad", threads, 9.0, 64),
            ]
        )

    monkeypatch.setattr(peaks, "measure", measure_peak)
    monkeypatch.setattr(bandwidth, "measure", measure_bandwidth)
    return calls


@pytest.fixture
def machine():
    return MachineModel(facts())


def test_reading_measures_nothing(machine, measured):
    assert machine.peak("f32", 1) is None
    assert machine.peaks("f32", [1, 2]) == []
    assert machine.bandwidth(1, "L1") is None
    assert machine.bandwidths([1]) == []
    assert measured == []


def test_a_peak_is_measured_once(machine, measured):
    (first,) = machine.measure_peaks("f32", [1])
    assert machine.measure_peaks("f32", [1, 2])[0] is first
    assert machine.peak("f32", 1) is first
    assert machine.measure_width("f32", first.bits, fused=first.fused) is first
    assert [(dtype, threads) for dtype, threads, *_ in measured] == [("f32", 1), ("f32", 2)]


SHARED = ["the peak on 2 threads is 1.00 times the peak on 1"]


@pytest.mark.parametrize(
    ("topology", "second", "clocks", "remarks"),
    [
        ((2, ()), 1.0, (None, None), SHARED),
        ((2, ()), 1.0, (3e9, 3e9), SHARED),
        ((2, ()), 1.9, (None, None), []),
        ((2, ()), 1.2, (4.7e9, 2.8e9), []),  # all cores together have a lower clock
        ((1, ()), 1.0, (None, None), []),  # two threads on one core are expected to share it
        ((None, ()), 1.0, (None, None), []),
        ((2, ("performance", "efficiency")), 1.2, (None, None), []),
    ],
)
def test_cpus_that_share_a_core_are_remarked(monkeypatch, topology, second, clocks, remarks):
    def measure_peak(dtype, threads, bits, *, fused):
        rate = 1e9 if threads == 1 else second * 1e9
        return Peak("x", bits, dtype, threads, rate, clocks[threads - 1], None, None, fused)

    monkeypatch.setattr(peaks, "measure", measure_peak)
    monkeypatch.setattr(noise, "_REMARKS", {})
    here = facts()
    cores, names = topology
    kinds = tuple(CoreKind(name, 1, 1, 1, None) for name in names)
    known = dataclasses.replace(here.topology, physical_cores=cores, kinds=kinds)
    machine = MachineModel(dataclasses.replace(here, topology=known))
    machine.measure_peaks("f32", (1, 2))
    findings = [each for each in noise.NoiseWatch(2).findings() if each.kind == "scaling"]
    assert [each.message for each in findings] == remarks
    assert all(("clock" in each.hint) == (clocks[0] is None) for each in findings)


def test_a_peak_that_does_not_scale_is_measured_again(monkeypatch):
    """Until it does: the CPUs of a virtual machine share a core for some tenths of a second."""
    rates = iter([1e9, 1e9, 1e9, 1.9e9])

    def measure_peak(dtype, threads, bits, *, fused):
        return Peak("x", bits, dtype, threads, next(rates), None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", measure_peak)
    monkeypatch.setattr(noise, "_REMARKS", {})
    here = facts()
    known = dataclasses.replace(here.topology, physical_cores=2, kinds=())
    machine = MachineModel(dataclasses.replace(here, topology=known))
    for _ in range(2):  # not a second time
        assert [peak.flop_per_s for peak in machine.measure_peaks("f32", (1, 2))] == [1e9, 1.9e9]
    assert not [each for each in noise.NoiseWatch(2).findings() if each.kind == "scaling"]


def test_numbers_of_threads_that_cannot_start_are_left_out(machine, measured):
    assert [peak.threads for peak in machine.measure_peaks("f32", (4, 1))] == [1]
    with pytest.raises(ThreadsError):
        machine.measure_peaks("f32", (4,))
    assert len(measured) == 1


def test_a_cache_is_measured_once_where_nothing_is_stored(machine, measured):
    machine.measure_bandwidth(2, "L2")
    machine.measure_bandwidth(2, "L2")
    assert machine.bandwidth(2, "L2") == 9
    assert measured == [(2, ("L2",), model.QUICK_OPERATIONS, bandwidth.QUICK_REPEATS)]
    assert [b.operation for b in machine.bandwidths([2])] == ["load", "triad"]
    assert machine.bandwidths([1]) == []


def test_memory_is_never_measured(machine, measured):
    machine.measure_bandwidth(1, "memory")
    assert machine.bandwidth(1, "memory") is None
    assert measured == []


def test_what_is_stored_is_complete(machine, measured):
    machine.adopt([Ceilings(2, 1.0, (), (Bandwidth("memory", "load", 2, 5.0, 64),))])
    machine.measure_bandwidth(2, "L1")
    assert machine.bandwidth(2, "memory") == 5
    assert machine.bandwidth(2, "L1") is None
    assert measured == []
    assert machine.lacks_bandwidth(1, "L1")


def test_peaks_measured_just_now_are_not_measured_again(machine, measured):
    whole = MachineModel(facts()).measure_peaks("f32", [1, 2])
    measured.clear()
    machine.adopt([Ceilings(each.threads, 1.0, (each,), ()) for each in whole], fresh={2})
    assert machine.peak("f32", 1) is None  # of an earlier command
    assert [p.flop_per_s for p in machine.measure_peaks("f32", [2])] == [whole[1].flop_per_s]
    assert measured == []


def test_a_width_measured_again_is_the_lower_of_both(machine, monkeypatch):
    rates = iter((3e9, 4e9, 2e9))

    def measure(dtype, threads, bits, *, fused):
        return Peak("x", bits, dtype, threads, next(rates), None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", measure)
    again = [machine.measure_width_again("f32", 128, fused=True).flop_per_s for _ in range(2)]
    assert again == [3e9, 2e9]
    assert machine.measure_width("f32", 128, fused=True).flop_per_s == 2e9


def test_only_the_model_measures_peaks():
    package = Path(convprof.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    peak = re.compile(r"peaks\.measure\((?!.*chains=)")  # with fewer chains it is no peak
    measuring = [path.name for path, text in texts.items() if peak.search(text)]
    assert measuring == ["model.py"]
