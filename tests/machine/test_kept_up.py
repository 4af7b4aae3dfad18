"""A ceiling is what is kept up; the best moment is known next to it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from convprof.machine import bandwidth, peaks
from convprof.machine.peaks import Peak
from convprof.studies import machine_answer


class Bursting:
    """A core that is faster for one repeat in ten; another program interrupts one in ten."""

    def __init__(self, kernel, dtype, threads):  # noqa: ARG002
        self.kernel = kernel
        self.turns = itertools.cycle([0.9, 1, 1, 1, 1, 50, 1, 1, 1, 1])

    def iteration_s(self):
        multiply_adds = self.kernel.flops_per_iteration // self.kernel.flops_at_once
        cycles = max(multiply_adds / 2, self.kernel.adds)
        return next(self.turns) * cycles / 2e9

    def warm_up(self):
        pass


def test_the_peak_is_the_rate_of_most_repeats(monkeypatch):
    monkeypatch.setattr(peaks, "_Load", Bursting)
    monkeypatch.setattr(peaks.published, "most_ports", lambda *_: None)
    monkeypatch.setattr(peaks, "CoreClock", lambda: SimpleNamespace(available=True, hz=lambda: 2e9))
    peak = peaks.measure("f32", 1, 128, fused=True)
    assert peak.flop_per_s == pytest.approx(2 * 2 * 4 * 2e9)
    assert peak.burst_flop_per_s == pytest.approx(peak.flop_per_s / 0.9)
    assert peak.flop_per_cycle == pytest.approx(16)
    assert (peak.core_hz, peak.burst_hz) == pytest.approx((2e9, 2e9 / 0.9))
    assert peak.after_hz == 2e9


@pytest.mark.parametrize(
    ("rates", "count", "kept"),
    [
        ([9, 5, 5, 5, 5, 1], 5, 5),  # a burst and an interruption
        ([1, 1, 1, 1, 1, 5, 5, 1, 5, 5, 1], 5, 5),  # disturbed, but for the last five
        ([3, 9, 4], 10, 4),  # shorter than what counts as kept up
        ([7], 1, 7),
    ],
)
def test_a_bandwidth_is_the_median_of_the_fastest_stretch(rates, count, kept):
    assert bandwidth._kept(rates, count) == kept


@pytest.mark.parametrize(("burst", "said"), [(1.2e11, True), (1.01e11, False), (None, False)])
def test_the_answer_says_when_both_differ(burst, said):
    peak = Peak("avx512", 512, "f32", 1, 1e11, 3e9, 32.0, 2, burst_flop_per_s=burst)
    sets = [SimpleNamespace(peaks=(peak,), bandwidths=(), threads=1)]
    text = " ".join(machine_answer.ceilings_answer(sets, "f32").sentences)
    assert ("For moments it is 20 % higher" in text) == said
