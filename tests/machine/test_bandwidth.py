from __future__ import annotations

import pytest

from convprof.machine import bandwidth, facts
from convprof.machine.bandwidth import OPERATIONS, measure
from convprof.machine.caches import MEMORY, levels


class FakeStream:
    """A stream whose rates are told; a sample is as long as what counts as kept up."""

    samples = 1

    def __init__(self, rates):
        self.rates = iter(rates)
        self.shared = 0

    def rate(self):
        return next(self.rates)

    def share(self):
        self.shared += 1


def test_the_best_repeat_counts_and_a_series_without_gain_ends_it():
    assert bandwidth._rates(FakeStream([1.0, 3.0, 2.0, 3.01, 1.0, 2.0]), 3) == (3.01, 3.01)


def test_a_rising_rate_is_followed():
    stream = FakeStream([1.0, 2.0, 4.0, 4.0])
    assert bandwidth._rates(stream, 1) == (4.0, 4.0)
    assert stream.shared == 4


def test_a_level_that_cannot_be_measured_says_why(monkeypatch):
    monkeypatch.setattr(bandwidth, "available_bytes", lambda: 0)
    (found,) = measure(1, (MEMORY,), ("load",))
    assert (found.bytes_per_s, found.working_set_bytes) == (None, None)
    assert "0 B available" in found.reason


@pytest.mark.parametrize("threads", [1, 2])
def test_caches_of_this_machine(threads):
    known = [level.name for level in levels(facts().caches, threads)][:2]
    if threads > facts().topology.usable_cpus or len(known) < 2:
        pytest.skip("one CPU, or unknown caches")
    found = list(measure(threads, known, repeats=10))
    assert [(b.level, b.operation) for b in found] == [
        (name, operation) for name in known for operation in OPERATIONS
    ]
    rates = {(b.level, b.operation): b.bytes_per_s for b in found}
    assert all(rate > 0 for rate in rates.values())
    if threads > 1:
        return  # a busy machine never gives both cores at the same time
    # First-level caches give at least twice what second-level ones do, wherever both are known: a
    # disturbed measurement may lose half.
    assert rates[known[0], "load"] > rates[known[1], "load"]
    assert rates[known[0], "triad"] > rates[known[1], "triad"]
