from __future__ import annotations

import json

import pytest

from convprof import __version__
from convprof.codegen import nodes
from convprof.dtypes import COMMON
from convprof.machine import facts, peaks
from convprof.machine.peaks import Peak, listed_types
from convprof.studies import sysinfo


def make_peak(dtype="f32", threads=1, bits=512, **changes):
    lanes = 16 if dtype == "f32" else 8
    values = {
        "isa": "avx512",
        "bits": bits,
        "dtype": dtype,
        "threads": threads,
        "flop_per_s": 0.5 * threads * 3e9 * lanes * 2 * 2,
        "core_hz": 3e9,
        "flop_per_cycle": 2.0 * lanes,
        "ports": 2,
    }
    return Peak(**{**values, **changes})


class Clock:
    def hz(self):
        return 3.5e9


class Stopwatch:
    source = "calibrated"
    closed = False

    def close(self):
        Stopwatch.closed = True


def broken(*_args, **_more):
    raise RuntimeError("no such vectors\nand a second line")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Measure nothing: the numbers of a made-up machine."""
    monkeypatch.setattr(sysinfo, "CoreClock", Clock)
    monkeypatch.setattr(sysinfo, "Stopwatch", Stopwatch)
    monkeypatch.setattr(sysinfo.CycleCounter, "last_refusal", "Permission denied")
    monkeypatch.setattr(peaks, "measure", make_peak)


def test_the_document(invalid):
    document = sysinfo.gather()
    assert invalid(document) == []
    cores = facts().topology.usable_cores
    assert __version__ == document["tool_version"]
    assert facts().identity_key() == document["machine"]["key"]
    assert facts().to_json()["cpu"] == document["machine"]["cpu"]
    assert document["machine"]["software"]["numba"] is not None
    assert document["clock"] == {"scalar_hz": 3.5e9, "simd_hz": 3e9}
    counters = {"cycle_source": "calibrated", "pmu_refusal": "Permission denied"}
    assert counters == document["counters"]
    team = {"kind": "spinning team", "threads": cores, "nodes": nodes.counts(cores)}
    assert team == document["threads"]["team"]
    layers = document["machine"]["software"]["threading_layers"]
    assert layers == document["threads"]["numba_layers"]
    assert document["state"]["core_hz"]["median"] == 3.5e9
    assert document["notes"] == []
    assert Stopwatch.closed


def test_peaks_of_all_types_on_one_thread_and_on_all_cores():
    every = sysinfo.gather()["ceilings"]["peaks"]
    peaks = [peak for peak in every if peak["operands"] == "registers"]
    counts = sorted({1, facts().topology.usable_cores})
    expected = [(dtype, count) for dtype in listed_types() for count in counts]
    assert expected == [(peak["dtype"], peak["threads"]) for peak in peaks]
    assert {0.5} == {peak["agreement"] for peak in peaks if peak["dtype"] in COMMON}


def test_the_document_is_json():
    document = sysinfo.gather()
    assert document == json.loads(json.dumps(document, allow_nan=False))


def test_a_counter_that_works_has_no_refusal(monkeypatch):
    monkeypatch.setattr(Stopwatch, "source", "pmu")
    expected = {"cycle_source": "pmu", "pmu_refusal": None}
    assert expected == sysinfo.gather()["counters"]


def test_a_failing_peak_leaves_the_rest(monkeypatch):
    def peak(dtype, threads, bits, *, fused):
        if dtype == listed_types()[-1]:
            broken()
        return make_peak(dtype, threads, bits, fused=fused)

    monkeypatch.setattr(peaks, "measure", peak)
    document = sysinfo.gather()
    first, *_, last = document["ceilings"]["peaks"]
    assert first["flop_per_s"] is not None
    assert last["dtype"] == listed_types()[-1]
    assert first.keys() == last.keys()
    assert {None} == {last[key] for key in last.keys() - {"dtype", "threads"}}
    note = f"the {listed_types()[-1]} peak on 1 thread: failed with RuntimeError: no such vectors"
    assert note == document["notes"][0]
    assert document["clock"]["simd_hz"] == 3e9


def test_everything_that_is_measured_may_fail(monkeypatch):
    for name in ("CoreClock", "Stopwatch"):
        monkeypatch.setattr(sysinfo, name, broken)
    monkeypatch.setattr(peaks, "measure", broken)
    document = sysinfo.gather()
    assert document["clock"] == {"scalar_hz": None, "simd_hz": None}
    assert document["counters"] is None
    assert document["state"]["core_hz"] is None
    assert document["machine"]["cpu"]["architecture"]
    assert len(document["notes"]) == 2 + len(document["ceilings"]["peaks"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.5),
        ({"dtype": "f64", "threads": 4}, 0.5),
        ({"core_hz": None}, None),
        ({"ports": None}, None),
        ({"ports": 0}, None),
    ],
)
def test_agreement(changes, expected):
    assert expected == sysinfo.agreement(make_peak(**changes))


def test_an_unknown_number_of_ports_has_its_reason(monkeypatch):
    monkeypatch.setattr(peaks, "unclear", lambda peak: peak.dtype == "f64" and peak.threads == 1)
    reason = "the f64 peak on 1 thread: the number of ports is not known (the machine was busy)"
    assert sysinfo.gather()["notes"] == [reason]
