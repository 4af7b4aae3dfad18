"""What ``compare peers`` prints, to the letter."""

from __future__ import annotations

import dataclasses
import functools
import io
import re

import pytest
from rich.console import Console

from convprof.render.compare.peers import peers_report, summary_report
from convprof.results import Cycles, Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.peers import Standing

CONV = {
    "kind": "conv2d", "descriptor": "mb1ic64ih56oc64oh56kh3ph1", "name": "resnet50:conv",
    "n": 1, "c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3, "p": 56, "q": 56,
    "stride": [1, 1], "pad": [1, 1], "dilation": [1, 1], "groups": 1,
}  # fmt: skip
GEMM = {
    "kind": "gemm", "descriptor": "8x9:9x10", "name": None,
    "m": 8, "n": 10, "k": 9, "batch": 1,
}  # fmt: skip
LIBRARIES = {"torch", "onnxruntime", "blas"}

SUMMARY = functools.partial(summary_report, counts={})


def measurement(strategy, layout, seconds, problem=CONV, threads=1):
    return Measurement(
        problem=problem, strategy=strategy, layout=layout, dtype="f32", threads=threads,
        cache="hot", status="ok",
        time_s=Time(seconds, 0.0, seconds * 0.99, seconds * 1.01, seconds, 25, 3),
        cycles=Cycles(1.0, 1.0, "calibrated", 3e9), flops=Flops(231211008, 231211008),
        flop_per_s=231211008 / seconds, peak_fraction=1e-3 / seconds, bytes_min=1, intensity=1.0,
        max_rel_error=4.7e-7, prepare_s=0.0, compile_s=0.0,
    )  # fmt: skip


def refused(strategy, layout, reason, status="refused"):
    made = measurement(strategy, layout, 1.0)
    return dataclasses.replace(made, status=status, reason=reason, time_s=None, cycles=None)


OURS = measurement("microkernel", "nhwc", 1.25e-3)
TORCH = measurement("torch", "nhwc", 1.5e-3)
ONNX = measurement("onnxruntime", "nchw", 1.8e-3)
STANDING = Standing(OURS, TORCH, Ratio(1.2, 1.18, 1.21, 25).inverse, (ONNX,))
EXCLUDED = [
    refused("onnxruntime", "nhwc", "onnxruntime computes nchw on CPUs, not nhwc"),
    refused("winograd", "nchw", "winograd needs a 3x3 filter"),
    refused("openvino", "nchw", "openvino is not installed"),
    refused("openvino", "nhwc", "openvino is not installed"),
    refused("tiled", "nchw", "ZeroDivisionError: boom", "failed"),
]


def printed(report, measurements, standings, width=120, **options):
    text = io.StringIO()
    report(Console(file=text, width=width, **options), measurements, standings, LIBRARIES)
    return text.getvalue()


GOLDEN_ONE = """\
conv2d 1x64x56x56 -> 64, 3x3, pad 1 · resnet50:conv · f32
by         strategy      layout   threads    time [ms]   GFLOP/s   % peak
─────────────────────────────────────────────────────────────────────────
convprof   microkernel   nhwc           1   1.25 ±0.01       185     80.0
library    torch         nhwc           1   1.50 ±0.02       154     66.7
library    onnxruntime   nchw           1   1.80 ±0.02       128     55.6
refused: onnxruntime computes nchw on CPUs, not nhwc
refused: winograd needs a 3x3 filter
refused: openvino is not installed
resnet50:conv: failed: tiled nchw 1 thread: ZeroDivisionError: boom
"""


def test_one_problem():
    assert printed(peers_report, [TORCH, ONNX, OURS, *EXCLUDED], [STANDING]) == GOLDEN_ONE


def test_nothing_to_compare():
    said = "No problem was computed by a library and by convprof: nothing to compare.\n"
    assert printed(peers_report, [OURS], []).endswith(said)
    assert printed(SUMMARY, [], []) == said


SECOND = Standing(
    measurement("threaded", None, 640e-9, GEMM, 1),
    measurement("blas", None, 0.6e-6, GEMM, 1),
    Ratio(0.9, 0.85, 0.95, 25).inverse,
)
THIRD = Standing(
    measurement("threaded", "nhwc", 0.9e-3, CONV, 2),
    measurement("torch", "nhwc", 0.9e-3, CONV, 2),
    Ratio(1.0, 0.99, 1.01, 25).inverse,
)

GOLDEN_SEVERAL = """\
convprof against the fastest library · f32
problem         threads   convprof's         convprof [µs]   library      library [µs]    library/convprof   convprof is   torch [µs]   onnxruntime [µs]   blas [µs]
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
resnet50:conv         1   microkernel nhwc           1,250   torch nhwc          1,500   1.20 [1.18, 1.21]   faster             1,500              1,800           -
8x9:9x10              1   threaded                   0.640   blas                0.600   0.90 [0.85, 0.95]   slower                 -                  -       0.600
resnet50:conv         2   threaded nhwc                900   torch nhwc            900   1.00 [0.99, 1.01]   same                 900                  -           -
total of 2 problems, each once, on 1 thread: convprof 1.25 ms, the fastest library of each 1.50 ms
refused: onnxruntime computes nchw on CPUs, not nhwc
resnet50:conv: failed: tiled nchw 1 thread: ZeroDivisionError: boom
"""  # noqa: E501


def test_several_problems():
    found = printed(SUMMARY, [OURS, TORCH, *EXCLUDED], [STANDING, SECOND, THIRD], 200)
    assert found == GOLDEN_SEVERAL


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_columns_give_way(width):
    found = printed(SUMMARY, [], [STANDING, SECOND, THIRD], width)
    table = found.partition("total of ")[0].splitlines()  # the console breaks sentences at words
    assert all(len(line) <= width for line in table)
    assert "library/convprof" in found


def test_colour_adds_escapes_and_nothing_else():
    arguments = peers_report, [OURS, TORCH, *EXCLUDED], [STANDING]
    coloured = printed(*arguments, 400, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured).splitlines()
    assert [line.rstrip() for line in plain] == printed(*arguments, 400).splitlines()


def test_a_problem_with_another_library_in_doubt_says_why():
    doubtful = dataclasses.replace(ONNX, doubt="a storm")
    standing = dataclasses.replace(STANDING, others=(doubtful,))
    text = printed(SUMMARY, [OURS, TORCH, doubtful], [standing])
    reason = "microkernel nhwc 1 thread: onnxruntime nchw may be faster: a storm"
    assert f"? in doubt, left out of conclusions: {reason}" in text
