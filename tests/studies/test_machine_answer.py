"""What this machine can do, in sentences that follow from fixed figures."""

from __future__ import annotations

from convprof.machine.bandwidth import Bandwidth
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.peaks import Peak
from convprof.studies.machine_answer import ceilings_answer, sysinfo_answer

MEMORY = Bandwidth("memory", "load", 2, 2e10, 4096)


def ceilings(threads, rate, *bandwidths):
    slow = Peak("avx2", 256, "f32", threads, rate / 2, None, None, None)
    fast = Peak("avx512", 512, "f32", threads, rate, None, None, None)
    return Ceilings(threads, 0.0, (slow, fast), bandwidths)


def document(*peaks, noise=()):
    return {
        "state": {"noise": [{"kind": kind} for kind in noise]},
        "machine": {"cpu": {"brand": "Some CPU"}},
        "ceilings": {
            "peaks": [{"dtype": "f32", "threads": n, "flop_per_s": rate} for n, rate in peaks]
        },
    }


def test_the_peak_the_bandwidth_and_the_balance():
    found = ceilings_answer([ceilings(1, 1e11), ceilings(2, 2e11, MEMORY)], "f32")
    assert found.sentences[0] == (
        "The f32 peak is 100 GFLOP/s on 1 thread and 200 GFLOP/s on 2 threads with avx512 in "
        "512 bits."
    )
    assert found.sentences[1].startswith("Main memory gives 20.0 GB/s on 2 threads: below 10 FLOP")
    assert found.command == "convprof roofline"
    assert ceilings_answer([ceilings(1, 1e11)], "f64") is None


def test_a_machine_whose_memory_was_never_measured_gets_that_command():
    found = sysinfo_answer(document((1, 1e11), (2, 2e11)), [])
    assert found.sentences == (
        "Some CPU reaches 100 GFLOP/s on 1 thread and 200 GFLOP/s on 2 threads in f32.",
        "The bandwidth of its memory is not measured yet.",
    )
    assert found.command == "convprof ceilings"
    known = sysinfo_answer(document((1, 1e11), (2, 2e11)), [MEMORY])
    assert "below 10 FLOP per byte" in known.sentences[1]


def test_rates_of_a_busy_machine_are_lower_limits():
    busy = sysinfo_answer(document((1, 1e11), noise=["spread", "load"]), [])
    assert busy.sentences[0] == "Some CPU reaches at least 100 GFLOP/s on 1 thread in f32."
    quiet = sysinfo_answer(document((1, 1e11), noise=["spread"]), [])
    assert "at least" not in quiet.sentences[0]
    found = ceilings_answer([ceilings(1, 1e11)], "f32", slowed=True)
    assert found.sentences[0].startswith("The f32 peak is at least 100 GFLOP/s on 1 thread with")


def test_a_machine_without_a_peak():
    assert sysinfo_answer(document((1, None)), []).sentences == (
        "Some CPU: no peak could be measured.",
    )
