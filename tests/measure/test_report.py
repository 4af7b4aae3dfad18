from __future__ import annotations

from types import SimpleNamespace

import pytest

from convprof.measure import report
from convprof.measure.stopwatch import Sample


def cycles(*samples, source="pmu"):
    return report._cycles(samples, 1000, source)


def counted(hz):
    return Sample(1e-6, hz, 1e-6 * hz, "pmu")


def calibrated(hz):
    return Sample(1e-6, hz, 1e-6 * hz, "calibrated")


@pytest.mark.parametrize(
    ("samples", "source", "hz"),
    [
        ([counted(3e9)] * 3, "pmu", 3e9),
        ([counted(3e9)] * 3 + [calibrated(2e9)] * 2, "pmu", 3e9),
        ([counted(3e9)] * 2 + [calibrated(2e9)] * 2, "calibrated", 2e9),
        ([counted(3e9)] + [calibrated(2e9)] * 4, "calibrated", 2e9),
        ([Sample(1e-6, 3e9, 3e3)], "pmu", 3e9),  # as the stopwatch says
        ([counted(3e9), Sample(1e-6, None, None, "pmu")], "pmu", 3e9),
    ],
)
def test_cycles_are_of_one_source_and_say_which(samples, source, hz):
    found = cycles(*samples)
    assert (found.source, found.core_hz) == (source, hz)
    assert found.per_call == pytest.approx(1e-6 * hz)
    assert found.per_flop == pytest.approx(1e-9 * hz)


@pytest.mark.parametrize("source", ["pmu", None])
def test_no_cycles_at_all(source):
    assert cycles(Sample(1e-6, None, None), source=source) is None


def test_a_session_reports_partial_counts_to_the_noise_watch(scene):
    partial = []

    class Partial(type(scene.stopwatch)):
        source = "pmu"

        def sample(self, run, calls, before=None):
            found = super().sample(run, calls, before)
            return Sample(found.seconds, found.core_hz, found.cycles, "calibrated")

    scene.stopwatch = Partial(scene.clock)
    watch = SimpleNamespace(
        see_clock=lambda _hz: None,
        see_samples=lambda *_: None,
        see_partial_count=lambda: partial.append(1),
    )
    session = scene.session(scene.strategy("a"), watch=watch, rounds=7)
    list(session.events())
    assert len(partial) == 7
    (found,) = session.measurements()
    assert found.cycles.source == "calibrated"
