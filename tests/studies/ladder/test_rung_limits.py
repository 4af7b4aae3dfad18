"""What is called the limit of a rung, from times that are told."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.codegen.disassembly import Code
from convprof.dtypes import types
from convprof.machine.caches import Level
from convprof.machine.peaks import Peak
from convprof.measure.contestant import Contestant
from convprof.measure.settings import Settings
from convprof.problems import Attention, Conv2d, Gemm
from convprof.results import Flops, Measurement, Time
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies.evidence import Core, evidence
from convprof.studies.ladder.rung_limits import (
    Experiments,
    Laboratory,
    RungLimit,
    explained,
    in_l2,
    limit,
    one_element,
)

PEAK = Peak("avx512", 512, "f32", 1, 1000.0, 3e9, 64.0, 2)
FREE = tuple(f"vfmadd231ps %zmm30, %zmm31, %zmm{k}" for k in range(8))


def loop(*instructions, share=1.0):
    return evidence(Code(instructions), Core(PEAK, share, {"fma": 4.0}, None))


def measured(seconds, *, executed=1000, fastest=None, threads=1, phases=None, moved=100):
    return Measurement(
        problem={"kind": "gemm", "descriptor": "x", "name": None},
        strategy="tiled", layout=None, dtype="f32", threads=threads, cache="hot", status="ok",
        time_s=Time(seconds, 0, None, None, fastest or seconds, 9, 1),
        flops=Flops(1000, executed), flop_per_s=1000 / seconds,
        peak_fraction=1000 / seconds / 1000 / threads, phases=phases,
        bytes_min=moved, bytes_moved=moved, workspace_bytes=0,
    )  # fmt: skip


@pytest.fixture
def limited(machine_of):
    machine = machine_of(1000.0)

    def call(measurement, found=None, experiments=Experiments(), one_thread=None):  # noqa: B008
        return limit(measurement, found or loop(*FREE), experiments, machine, one_thread)

    return call


def test_the_loop_that_reaches_its_own_limit_explains_the_time(limited):
    half = loop(*FREE[:4])
    assert limited(measured(2.2), half) == RungLimit("chains", pytest.approx(1 / 1.1))
    assert limited(measured(1.1)) == RungLimit("peak", pytest.approx(1 / 1.1))
    assert explained(measured(7.0), half) is None


def test_fewer_flops_are_counted_as_executed(limited):
    assert limited(measured(1.1, executed=250), experiments=Experiments(in_l2=0.9)) == RungLimit(
        "cache", pytest.approx(1 - 0.25 / 1.1 / 0.9), 0.9
    )


@pytest.mark.parametrize(
    ("measurement", "experiments", "kind"),
    [
        (measured(7.0), Experiments(in_l2=0.9), "cache"),
        (measured(7.0), Experiments(in_l2=0.15), "code"),
        (measured(7.0), Experiments(launch_s=5.0, in_l2=0.2), "launch"),
        (measured(7.0, phases={"gemm": 4.0, "pack": 3.0}), Experiments(), "phases"),
        (measured(7.0, fastest=1.2), Experiments(in_l2=0.9), "noise"),
    ],
)
def test_the_largest_share_of_the_time_is_the_limit(limited, measurement, experiments, kind):
    assert limited(measurement, experiments=experiments).kind == kind


def test_the_level_that_moves_the_bytes(machine_of, monkeypatch):
    machine = machine_of(1000.0)
    monkeypatch.setattr(
        machine, "levels", lambda _: (Level("L1", 10, 10, 10), Level("L2", 9999, 9999, 9999))
    )
    monkeypatch.setattr(machine, "bandwidth", lambda _, name: {"L1": 1e9, "L2": 20.0}[name])
    found = limit(measured(7.0), loop(*FREE), Experiments(), machine)
    assert (found.kind, found.names) == ("bandwidth", ("L2",))
    assert 0.5 < found.share < 0.8


def test_a_spill_is_the_limit_only_where_nothing_else_is(limited):
    spilling = loop(*FREE, "vmovups 64(%rsp), %zmm3")
    assert limited(measured(7.0), spilling).kind == "spills"
    assert limited(measured(7.0), spilling, Experiments(in_l2=0.9)).kind == "cache"
    assert limited(measured(7.0)).kind == "code"


def test_two_threads_that_are_no_faster_than_one(limited):
    two = measured(3.5, threads=2)
    assert limited(two, one_thread=measured(4.0)) == RungLimit("threads", pytest.approx(8 / 7))
    assert limited(two, one_thread=measured(6.5)).kind == "code"


def test_without_a_peak_there_is_no_limit(limited):
    assert limited(dataclasses.replace(measured(7.0), peak_fraction=None)) is None


L2 = 512 << 10


@pytest.mark.parametrize(
    "problem",
    [Gemm(m=999, n=999, k=999), Conv2d(n=4, c=512, h=56, w=56, k=512, r=3, s=3, pad=(1, 1, 1, 1))],
)
def test_a_smaller_problem_fits_into_l2(problem):
    small = in_l2(problem, L2, types("f32"))
    assert small.kind == problem.kind
    assert small.bytes_min(types("f32")) < L2 < problem.bytes_min(types("f32"))
    assert in_l2(small, L2, types("f32")) is None


def test_the_smallest_problems():
    assert one_element(Gemm(m=9, n=9, k=9, batch=3)).flops == 2
    assert one_element(Conv2d(n=4, c=8, h=9, w=9, k=8, r=3, s=3)).macs == 9
    assert one_element(Attention(batch=1, heads=1, tokens=4, dim=4)) is None
    assert in_l2(Attention(batch=8, heads=16, tokens=1024, dim=64), L2, types("f32")) is None


def test_the_experiments_are_timed(machine_of, monkeypatch):
    machine = machine_of(1e9)
    monkeypatch.setattr(machine, "levels", lambda _: (Level("L2", L2, L2, L2),))
    laboratory = Laboratory(Settings(), machine)
    contestant = Contestant(registry.find("gemm", "tiled"), Gemm(m=512, n=512, k=64), Setting())
    events = list(laboratory.events(contestant, measured(1e-4)))
    assert {event.name for event in events} == {"the limits of tiled 1 thread"}
    found = laboratory.of(contestant.label)
    assert 0 < found.launch_s < 0.1
    assert found.in_l2 > 0
    assert laboratory.of("another") == Experiments()
