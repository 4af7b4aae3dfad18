"""Findings from rows with a known least time; findings from whole logs are in test_diagnosis."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.logs.operation import Call, Operation, Reading
from convprof.problems.conv2d import Conv2d
from convprof.results import Measurement, Time
from convprof.studies.diagnose.faster import Faster
from convprof.studies.diagnose.findings import findings
from convprof.studies.diagnose.groups import Group
from convprof.studies.diagnose.rows import row_of

LEAST_S = 1e-4
_numbers = iter(range(8, 100_000))


def row(times, *, types="f32", implementation="jit", groups=1, calls=5, threads=2, least_s=LEAST_S,
        problem=None):  # fmt: skip
    """Return a row of a problem of its own that takes a multiple of its least time."""
    channels = groups * next(_numbers)
    problem = problem or Conv2d(n=1, c=channels, h=9, w=9, k=channels, r=3, s=3, groups=groups)
    operation = Operation("oneDNN", "convolution", problem.descriptor, types, "nhwc",
                          implementation, problem)  # fmt: skip
    group = Group(operation)
    for _ in range(calls):
        group.add(Call(operation, times * least_s, "execution"))
    return replace(row_of(group, group.total_s, threads), least_s=least_s)


def reorder(layout, seconds=LEAST_S):
    operation = Operation(
        "oneDNN", "reorder", f"1x64x9x{next(_numbers)}", "f32", layout, is_conversion=True
    )
    group = Group(operation)
    group.add(Call(operation, seconds, "execution"))
    return row_of(group, seconds, 2)


def measured(each, milliseconds, *, threads=2, dtype="f32", strategy="auto"):
    time = Time(milliseconds / 1e3, 0.0, None, None, milliseconds / 1e3, 9, 1)
    best = Measurement(
        each.measurement.problem, strategy, "nhwc", dtype, threads, "hot", "ok", time_s=time
    )
    return replace(each, faster=Faster(best))


def found(*rows, f32_peak=None):
    return findings(rows, Reading(), cores=2, f32_peak=f32_peak)


def kinds(*rows, **named):
    return [finding.kind for finding in found(*rows, **named)]


def test_the_gain_of_channels_last():
    (finding,) = found(row(2), reorder("abcd->aBcd16b", 1e-3), reorder("abc->cab", 1e-3))
    assert finding.kind == "reorders"
    assert finding.way_out.endswith("channels_last saves up to 1.00 ms of 3.00 ms (33 %).")
    (finding,) = found(row(2), reorder("abc->cab", 1e-3))
    assert "saves" not in finding.way_out
    assert kinds(row(50, least_s=1e-3), reorder("abcd->aBcd16b")) == []


@pytest.mark.parametrize(
    ("times", "dense", "kind"),
    [
        (12, 2, ["grouped convolution on a slow path"]),
        (9, 2, []),
        (12, 5, []),
        (16, 5, ["grouped convolution on a slow path"]),
    ],
)
def test_grouped_convolutions_are_compared_with_dense_ones(times, dense, kind):
    assert kinds(row(times, groups=4), row(dense), row(dense), row(dense)) == kind


def test_depthwise_convolutions_by_products_have_one_finding():
    problem = Conv2d(n=1, c=64, h=9, w=9, k=64, r=3, s=3, groups=64)
    slow = row(12, problem=problem, implementation="gemm:jit")
    assert kinds(slow, row(2), row(2)) == ["depthwise on a slow path"]


def test_small_operations_on_several_threads():
    small = [row(8, least_s=5e-6) for _ in range(3)]
    (finding,) = found(*small)
    assert finding.kind == "threads that do not pay"
    assert "15 calls on 2 threads are too small" in finding.evidence
    assert "40.0 µs for 5.00 µs of work" in finding.evidence
    assert kinds(row(3, least_s=5e-6)) == []
    assert kinds(row(8, least_s=5e-5)) == []
    assert kinds(row(8, least_s=5e-6, threads=1)) == []
    assert "threads that do not pay" not in kinds(row(8, least_s=2e-7))  # no launch is so short


@pytest.mark.parametrize(("groups", "threads"), [(1, 1), (1, 2), (4, 2)])
def test_the_cost_of_a_call_is_neither_a_wait_nor_a_slow_path(groups, threads):
    (finding,) = found(row(240, least_s=5e-9, groups=groups, threads=threads))
    assert finding.kind == "calls cost more than their work"
    assert finding.evidence.startswith(
        "5 calls take 6.00 µs, each up to 10.0 µs longer than its work, such as "
    )
    assert finding.evidence.endswith(": 1.20 µs for 5.00 ns of work.")


def test_a_long_wait_of_a_small_operation_is_a_wait():
    assert kinds(row(8000, least_s=5e-9)) == ["threads waited"]
    assert kinds(row(12, least_s=5e-7, groups=4, threads=1)) == ["calls cost more than their work"]
    slow = row(12, least_s=5e-6, groups=4, threads=1)
    assert kinds(slow) == ["grouped convolution on a slow path"]


def test_one_thread_that_was_measured_to_be_faster():
    slow = measured(row(4), 0.2, threads=1)
    (finding,) = found(slow)
    assert finding.kind == "threads that do not pay"
    assert "takes 200 µs on one thread, and 400 µs in the program" in finding.evidence
    assert kinds(measured(row(4), 0.5, threads=1)) == []
    assert kinds(measured(row(4), 0.2)) == []
    assert kinds(measured(row(8, least_s=5e-6), 0.01)) == []  # measured: two threads pay


@pytest.mark.parametrize(
    ("slow", "others", "kind"),
    [
        ({}, 2, ["denormals suspected"]),
        ({"calls": 2}, 2, []),
        ({"types": "bf16"}, 2, []),
        ({"least_s": 1e-5}, 2, []),
        ({}, 6, []),
    ],
)
def test_denormals(slow, others, kind):
    every = [row(45, **slow), *(row(others) for _ in range(4))]
    assert [k for k in kinds(*every) if k == "denormals suspected"] == kind


def test_operations_that_are_all_slow_are_no_sign_of_denormals():
    assert "denormals suspected" not in kinds(*(row(45) for _ in range(5)))


BF16 = Conv2d(n=1, c=64, h=56, w=56, k=64, r=3, s=3)


def test_bf16_and_f32_of_the_same_problem_in_one_log():
    half, whole = row(4, types="bf16", problem=BF16), row(3, problem=BF16)
    (finding,) = found(half, whole)
    assert finding.kind == "bf16 slower than f32"
    assert "takes 400 µs in bf16 and 300 µs in f32 (in the same log)" in finding.evidence
    assert kinds(half, row(5, problem=BF16)) == []


def test_f32_that_was_measured():
    half = row(4, types="bf16", problem=BF16)
    (finding,) = found(measured(half, 0.3), f32_peak=1e9)
    assert "300 µs in f32 (auto nhwc, measured here)" in finding.evidence
    assert kinds(measured(half, 0.3, dtype="bf16"), f32_peak=1e15) == []
    assert kinds(half, f32_peak=1e15) == ["bf16 slower than f32"]


def test_nothing_is_said_about_kernels_where_threads_waited():
    slow = [row(60), row(60, groups=4), row(60, types="bf16", problem=BF16), row(60, least_s=5e-6)]
    assert kinds(*slow, f32_peak=1e15) == ["threads waited"]
    fast = measured(row(60), 0.01, threads=1)
    assert kinds(*slow, fast, f32_peak=1e15) == ["threads waited", "threads that do not pay"]
