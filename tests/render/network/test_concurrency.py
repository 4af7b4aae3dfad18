"""The table of threads and streams, to the letter."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from convprof.render.network.concurrency import concurrency_report
from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.network.concurrency import Concurrency, Mode


def mode(streams, threads, seconds, ratio=None, doubt=None):
    time = Time(seconds, 0, 0.99 * seconds, 1.01 * seconds, seconds, 25, 1)
    problem = {"kind": "network", "descriptor": "small", "name": "small"}
    strategy = "streams" if streams > 1 else "chain"
    m = Measurement(
        problem, strategy, "nhwc", "f32", streams * threads, "hot", "ok", time_s=time, doubt=doubt
    )
    given = Ratio(ratio, ratio - 0.01, ratio + 0.01, 25) if ratio else None
    return Mode(streams, threads, m, given, doubt, 1)


def printed(modes, width=80):
    text = io.StringIO()
    concurrency_report(Console(file=text, width=width), Concurrency(tuple(modes), None))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


MODES = (mode(1, 1, 12e-3), mode(1, 2, 7e-3, 0.583), mode(2, 1, 6.2e-3, 0.517))

GOLDEN = """\
threads and streams
computed by             latency [ms]   inferences/s   speed-up   efficiency
───────────────────────────────────────────────────────────────────────────
1 thread                        12.0           83.3       1.00        100 %
2 threads                       7.00            143       1.72         86 %
2 streams of 1 thread           12.4            161       1.93         97 %
streams compute an inference each at the same time; efficiency: the speed-up for each thread
"""


@pytest.mark.parametrize("width", [80, 140])
def test_threads_and_streams(width):
    assert printed(MODES, width) == GOLDEN


def test_a_mode_without_common_rounds_and_in_doubt():
    text = printed([MODES[0], mode(2, 1, 6e-3, doubt="a storm")])
    assert "\n2 streams of 1 thread ? " in text
    assert text.splitlines()[4].split()[-2:] == ["-", "-"]
    assert text.endswith("? in doubt, left out of conclusions: streams nhwc 2 threads: a storm\n")
