"""A clock that only fake strategies advance, and the stopwatch that reads it."""

from __future__ import annotations

from convprof.measure.stopwatch import Sample, Stopwatch


class Clock:
    now = 0.0

    @classmethod
    def perf_counter(cls):
        return cls.now


class FakeStopwatch(Stopwatch):
    source = None
    resolution_s = 1e-9

    def __init__(self):
        """Nothing to open."""

    def sample(self, run, calls, before=None):  # noqa: ARG002
        start = Clock.now
        run()
        return Sample(Clock.now - start, None, None)

    def close(self):
        """Nothing to close."""
