from __future__ import annotations

import math
from dataclasses import replace

import pytest

from convprof.logs.operation import Call, Operation, Reading
from convprof.measure.events import Part
from convprof.measure.settings import Settings
from convprof.problems.conv2d import Conv2d
from convprof.results import Measurement, Time
from convprof.studies.compare.peers import LARGEST_ERROR
from convprof.studies.diagnose import faster_ways as module
from convprof.studies.diagnose import findings as rules
from convprof.studies.diagnose.answer import answer
from convprof.studies.diagnose.faster import Faster
from convprof.studies.diagnose.faster_ways import FasterWays
from convprof.studies.diagnose.groups import Group
from convprof.studies.diagnose.rows import row_of

PROBLEM = Conv2d(n=1, c=8, h=8, w=8, k=8, r=3, s=3)


def measured(strategy, milliseconds, *, layout="nhwc", dtype="f32", **fields):
    seconds = milliseconds / 1e3
    time = Time(seconds, 0.0, 0.9 * seconds, 1.1 * seconds, seconds, 9, 1)
    return Measurement(
        {"kind": "conv2d", "descriptor": PROBLEM.descriptor, "name": None}, strategy, layout, dtype,
        1, "hot", "ok", time_s=time, **fields,
    )  # fmt: skip


def row(
    *, types="f32", library="PyTorch", layout="nchw", calls=4, ms=10.0, problem=PROBLEM, threads=1
):
    group = Group(Operation(library, "conv", problem.descriptor, types, layout, "", problem))
    for _ in range(calls):
        group.add(Call(group.operation, ms / 1e3, "execution"))
    return row_of(group, group.total_s, threads)


@pytest.fixture
def ways(machine_of, monkeypatch):
    """Return what measures rows; each session has the given results."""

    def build(*results):
        class Session:
            def __init__(self, contestants, *_):
                sessions.append(contestants)

            def events(self):
                return iter(())

            def measurements(self):
                return list(results)

            def release(self):
                released.append(True)

        monkeypatch.setattr(module, "RooflineSession", Session)
        return FasterWays(machine_of(1e11), Settings())

    sessions, released = [], []
    build.sessions, build.released = sessions, released
    return build


def with_result(ways, each):
    events = list(ways.events([each]))
    assert [event.name for event in events if isinstance(event, Part)] == ["operation 1/1"]
    return replace(each, faster=ways.of(each))


def test_the_fastest_clear_result_counts(ways):
    study = ways(
        measured("torch", 5, layout="nchw"),
        measured("auto", 1, doubt="disturbed"),
        measured("onnxruntime", 2, max_rel_error=2 * LARGEST_ERROR),
        measured("auto", 4, layout="nchw"),
    )
    each = with_result(study, row())
    assert each.faster.best.label == "auto nchw 1 thread"
    assert each.could_s == 4e-3
    assert math.isclose(each.saved_s, 4 * 6e-3)
    assert math.isclose(each.saved_half_s, 4 * 0.4e-3)
    assert math.isclose(each.around_s, 5e-3)


def test_the_library_of_the_log_is_compared_in_its_own_layout(ways):
    results = [measured("torch", 2), measured("torch", 7, layout="nchw"), measured("auto", 1)]
    assert with_result(ways(*results), row(layout="nchw")).around_s == pytest.approx(3e-3)
    assert with_result(ways(*results), row(layout="nhwc")).around_s == pytest.approx(8e-3)
    assert with_result(ways(*results), row(library="OpenVINO")).around_s == 0


def test_a_slower_way_saves_nothing(ways):
    assert with_result(ways(measured("auto", 20)), row()).saved_s == 0


def test_equal_problems_are_measured_once(ways):
    study = ways(measured("auto", 1))
    rows = [row(), row(ms=20.0), row(types="f64")]
    assert len([e for e in study.events(rows) if isinstance(e, Part)]) == 2
    assert len(ways.sessions) == len(ways.released) == 2
    assert {c.setting.dtype for c in ways.sessions[0]} == {"f32"}
    assert {c.strategy.name for c in ways.sessions[0]} > {"auto", "torch"}


def test_sixteen_bits_are_compared_with_f32(ways):
    study = ways(measured("auto", 3), measured("torch", 5, layout="nchw", dtype="bf16"))
    each = with_result(study, row(types="bf16"))
    assert {c.setting.dtype for c in ways.sessions[0]} == {"bf16", "f32"}
    assert (each.faster.best.dtype, each.faster.alone.dtype) == ("f32", "bf16")


def test_small_problems_are_computed_on_one_thread_too(ways):
    large = Conv2d(n=1, c=64, h=56, w=56, k=64, r=3, s=3)
    for problem, counts in ((PROBLEM, {1, 2}), (large, {2})):
        study = ways(measured("auto", 3))
        each = with_result(study, row(problem=problem, threads=2))
        assert {c.setting.threads for c in ways.sessions[-1]} >= counts
        assert {c.setting.threads for c in ways.sessions[-1] if c.strategy.name == "auto"} == counts
        assert each.is_faster_on_one_thread


@pytest.mark.parametrize("types", ["f8_e4m3", "", "u8:s8:bf16:f32"])
def test_types_that_convprof_does_not_compute_are_left_out(ways, types):
    study = ways(measured("auto", 1))
    each = row(types=types)
    assert not study.can_measure(each)
    assert list(study.events([each])) == []
    assert study.of(each) is None


def test_a_problem_without_a_result_says_why(ways):
    study = ways(measured("auto", 1, doubt="other programs"))
    assert with_result(study, row()).faster is None
    assert study.refused == [f"{PROBLEM.descriptor}: every time is in doubt: other programs"]


def test_a_way_that_failed_is_said_next_to_the_result_of_others(ways):
    crash = "SIGSEGV ended its process (segmentation fault)"
    failed = replace(measured("torch", 1), status="failed", reason=crash, time_s=None)
    study = ways(failed, failed, measured("auto", 1))
    assert with_result(study, row()).faster.best.strategy == "auto"
    assert study.refused == [f"{PROBLEM.descriptor}: torch nhwc 1 thread: {crash} (1 more)"]


def test_a_problem_beyond_the_memory_is_refused(ways):
    huge = Conv2d(n=1, c=1, h=2**15, w=2**15, k=2**10, r=1, s=1)
    study = ways()
    assert with_result(study, row(problem=huge)).faster is None
    assert "memory" in study.refused[0]
    assert ways.sessions == []


def test_the_answer_names_the_gain_and_the_way(ways):
    each = with_result(ways(measured("auto", 4), measured("torch", 9, layout="nchw")), row())
    sentences = answer([each], []).sentences
    assert sentences[1] == (
        "The 1 measured operation could take 24.0 ms ±1.60 ms less (60 % of the program), most of "
        f"it by auto nhwc for {PROBLEM.descriptor}: 10.0 ms -> 4.00 ms a call; "
        "4.00 ms of it the same library saves too, measured alone."
    )
    assert answer([each], []).command.startswith("convprof roofline")
    slow = with_result(ways(measured("auto", 20)), row())
    assert "No strategy and no installed library" in answer([slow], []).sentences[1]


@pytest.mark.parametrize(
    ("alone_ms", "kinds"), [(4, ["slower in the program than alone"]), (9, [])]
)
def test_a_library_that_is_slower_in_the_program(alone_ms, kinds):
    each = replace(row(), faster=Faster(measured("auto", 1), measured("torch", alone_ms)))
    findings = rules.findings([each], Reading(), cores=2, f32_peak=None)
    assert [finding.kind for finding in findings] == kinds
