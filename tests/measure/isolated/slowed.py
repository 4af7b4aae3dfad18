"""The start of a process with a slow clock: ``python -I slowed.py FACTOR -I start.py``.

Every strategy seems to take FACTOR times as long.
"""

from __future__ import annotations

import dataclasses
import runpy
import sys

from convprof.measure.stopwatch import Stopwatch

_sample = Stopwatch.sample


def slow(factor):
    """Return a method that takes a sample ``factor`` times as long."""

    def sample(*arguments):
        taken = _sample(*arguments)
        return dataclasses.replace(taken, seconds=factor * taken.seconds)

    return sample


if __name__ == "__main__":
    Stopwatch.sample = slow(float(sys.argv[1]))
    runpy.run_path(sys.argv[-1], run_name="__main__")
