"""The lines of a training step after ``run --pass training``."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from convprof.measure.report import describe
from convprof.problems import Gemm
from convprof.problems.gradients import TRAINING, passes_of
from convprof.render.training import training_report
from convprof.results import Flops, Measurement, Time
from convprof.studies.network.training import steps

PASSES = passes_of(Gemm(m=4, n=5, k=6), TRAINING)


def measurement(problem, seconds, threads=1, doubt=None):
    return Measurement(
        describe(problem), "tiled", None, "f32", threads, "hot", "ok", doubt=doubt,
        time_s=Time(seconds, 0.0, None, None, seconds, 3, 1), flops=Flops(240, 240),
    )  # fmt: skip


def lines(measurements):
    text = io.StringIO()
    training_report(Console(file=text, width=300), steps(measurements))
    return text.getvalue().splitlines()[1:]


def test_times_in_doubt_are_marked_and_come_last():
    one, *others = PASSES
    sure = [measurement(each, 2e-3) for each in PASSES]
    (line,) = lines(sure)
    assert line.startswith("training step, 1 thread: 6.00 ms = 2.00 forward (tiled) + 2.00 back")
    stormy = dataclasses.replace(measurement(one, 1e-3, doubt="a storm"), strategy="packed")
    (line,) = lines([*sure, stormy])
    assert line.startswith("training step, 1 thread: ? 6.00 ms = ? 2.00 forward (tiled) + 2.00 b")
    layouts = [
        dataclasses.replace(m, layout=layout, doubt="a storm" if layout == "nhwc" else None)
        for layout, seconds in (("nhwc", 1e-3), ("nchw", 2e-3))
        for m in (measurement(each, seconds) for each in (one, *others))
    ]
    first, second = lines(layouts)
    assert first.startswith("training step, nchw 1 thread: 6.00 ms")
    assert second.startswith("training step, nhwc 1 thread: ? 3.00 ms")
