from __future__ import annotations

import dataclasses
import json

import pytest

from convprof.machine import ceilings_store
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.ceilings_store import Ceilings, highest, load, save
from convprof.machine.core_latency import CoreLatency
from convprof.machine.node_bandwidth import NodeBandwidth
from convprof.machine.peaks import Peak
from convprof.render.ceilings import age_lines

KEY = "0123456789ab"
PEAK = Peak("avx512", 512, "f32", 2, 3.5e11, 2.9e9, 63.9, 2)
OTHER = dataclasses.replace(
    PEAK, isa=None, core_hz=None, flop_per_cycle=None, ports=None, fused=False
)
L1 = Bandwidth("L1", "load", 2, 7e11, 24576)
L1_TRIAD = Bandwidth("L1", "triad", 2, 9e11, 24576)
LOST = Bandwidth("memory", "copy", 2, None, None, "needs 520 MiB")
LATENCIES = (CoreLatency((0, 1), 5e-8, 4e-8), CoreLatency((0, 2), None, None, "no answer"))
NODES = (NodeBandwidth(0, 2, 3e10), NodeBandwidth(1, 0, None, "no CPUs"))
TWO = Ceilings(2, 1.7e9, (PEAK, OTHER), (L1, L1_TRIAD, LOST), latencies=LATENCIES, nodes=NODES)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(ceilings_store.cache_folder, "_complained", set())
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_nothing_is_known_at_first():
    assert load(KEY) == {}


def test_what_is_remembered_is_recalled_for_this_machine_only():
    save(KEY, [TWO])
    assert load(KEY) == {2: TWO}
    assert load("ba9876543210") == {}


def test_numbers_of_threads_are_stored_separately_and_new_figures_replace_old_ones():
    one = Ceilings(1, 1.6e9, (), (dataclasses.replace(L1, threads=1),))
    newer = dataclasses.replace(TWO, measured_at=1.8e9)
    save(KEY, [TWO])
    save(KEY, [one])
    save(KEY, [newer])
    assert load(KEY) == {1: one, 2: newer}


@pytest.mark.parametrize(("level", "rate"), [("L1", 9e11), ("memory", None), ("L2", None)])
def test_the_fastest_operation_gives_the_bandwidth_of_a_level(level, rate):
    assert highest(TWO.bandwidths, level, 2) == rate


def document(**changes):
    good = {"format": ceilings_store.FORMAT, "machine": KEY, "sets": [dataclasses.asdict(TWO)]}
    return json.dumps({**good, **changes})


def set_with(**changes):
    return document(sets=[{**dataclasses.asdict(TWO), **changes}])


def peak_with(**changes):
    return set_with(peaks=[{**dataclasses.asdict(PEAK), **changes}])


def bandwidth_with(**changes):
    return set_with(bandwidths=[{**dataclasses.asdict(L1), **changes}])


BAD = {
    "empty": "",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a list": "[]",
    "another format": document(format=ceilings_store.FORMAT + 1),
    "another machine": document(machine="ba9876543210"),
    "no sets": document(sets=None),
    "no threads": set_with(threads=0),
    "threads that are true": set_with(threads=True),
    "no date": set_with(measured_at="today"),
    "a date that is none": set_with(measured_at=1e12),
    "a load below zero": set_with(load=-1),
    "an LLVM for terminals": set_with(llvm="\x1b[2J"),
    "a peak of other threads": peak_with(threads=1),
    "a rate below zero": peak_with(flop_per_s=-1),
    "a rate that is no number": peak_with(flop_per_s=float("nan")),
    "an infinite rate": peak_with(flop_per_s=float("inf")),
    "a text for terminals": peak_with(isa="\x1b[2J"),
    "an unknown operation": bandwidth_with(operation="scale"),
    "an unknown level": bandwidth_with(level="L0"),
    "a pair of one CPU": set_with(latencies=[{"cpus": [1], "seconds": 1e-8}]),
    "a latency below zero": set_with(latencies=[{"cpus": [0, 1], "seconds": -1e-8}]),
    "a node without a number": set_with(nodes=[{"threads": 1}]),
    "too large": document(sets=[], rest="x" * ceilings_store.MOST_BYTES),
    "too many digits": document().replace("512", "5" * 5000),
}


@pytest.mark.parametrize("name", BAD)
def test_a_corrupt_or_foreign_file_is_ignored_in_one_line_and_replaced(folder, name, caplog):
    folder.mkdir()
    path = folder / f"ceilings-{KEY}.json"
    path.write_text(BAD[name])
    for _ in range(2):
        assert load(KEY) == {}
    (record,) = caplog.records
    assert f"{path}: not ceilings of this machine: measured anew" in record.getMessage()
    save(KEY, [TWO])
    assert load(KEY) == {2: TWO}


def test_the_good_file_that_the_bad_ones_differ_from_is_good(folder):
    folder.mkdir()
    (folder / f"ceilings-{KEY}.json").write_text(document())
    assert load(KEY) == {2: TWO}


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(blocked / "below"))
    save(KEY, [TWO])
    assert load(KEY) == {}


@pytest.mark.parametrize("seconds", [1, ceilings_store.LATEST_S])
def test_every_date_that_is_kept_can_be_shown(seconds):
    save(KEY, [dataclasses.replace(TWO, measured_at=seconds)])
    (line,) = age_lines(list(load(KEY).values()), now=1.7e9)
    assert line.startswith("measured ")
