"""Convolutions whose sums are computed in parts of the input channels."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from convprof.codegen import isa as isas
from convprof.dtypes import tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import parse
from convprof.problems.epilogue import Epilogue
from convprof.strategies import launch, registry
from convprof.strategies.balance import longest_cycles
from convprof.strategies.base import Setting
from convprof.strategies.conv import channel_parts
from convprof.strategies.conv.blocking import PartedBlocking
from convprof.strategies.conv.dense_tiles import DensePlan
from convprof.strategies.plan_runner import PlanRunner

pytestmark = pytest.mark.skipif(not isas.available(), reason="no kernels are generated here")
needs_avx512 = pytest.mark.skipif(
    "avx512" not in isas.available(), reason="the cycles of other vectors differ"
)
FIRST = registry.find("conv2d", "microkernel")


@pytest.fixture(autouse=True)
def _latency(monkeypatch):
    """A transfer between two cores takes 50 cycles, as on one die."""
    monkeypatch.setattr(launch, "transfer_cycles", lambda: 50.0)


def blocking(text, setting):
    p = parse(text)
    return channel_parts.blocking(p, DensePlan(p, setting), setting)


def parted(p, setting, parts):
    own = DensePlan(channel_parts._parted(p, parts), setting).chosen
    return PartedBlocking(**asdict(own), parts=parts)


@pytest.mark.parametrize(
    ("text", "ends", "parts", "setting"),
    [
        ("ic24ih5oc20kh3ph1", {}, 2, Setting("nhwc", "f32", 1)),
        ("mb1ic24ih5oc20kh3ph1", {"bias": True, "function": "relu"}, 3, Setting("nhwc", "f32", 2)),
        ("ic24ih5oc20kh3ph1", {"bias": True, "add": True}, 4, Setting("nchw", "f32", 2)),
        ("ic12ih4oc8kh1", {}, 6, Setting("nhwc", "f64", 3)),
        ("ic24ih5oc20kh3sh2ph1", {}, 3, Setting("nhwc", "u8:s8:s32", 2)),
    ],
)
def test_the_parts_make_the_whole_sum(text, ends, parts, setting):
    p, layout = parse(text).with_epilogue(Epilogue(**ends)), setting.layout
    plan = FIRST.plan_blocked(p, setting, parted(p, setting, parts))
    runner = PlanRunner("microkernel", p, setting, plan)
    operands = Operands(p, setting.types, 0)
    runner.bind(*operands.all(layout))
    for _ in range(2):
        runner.output().fill(3)
        runner.run()
        error = max_rel_error(operands, runner.output(), layout)
        assert error <= tolerance(setting.types, p.c * p.r * p.s)


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
def test_many_threads_are_busy_with_parts():
    p, setting = parse("ic2048ih1oc64kh1"), Setting("nhwc", threads=32, isa="avx512")
    first, *others = FIRST.blockings(p, setting)
    assert isinstance(first, PartedBlocking)
    whole, parts = (
        longest_cycles(FIRST.plan_blocked(p, setting, each), 32, 0.0) for each in (others[0], first)
    )
    assert parts < 0.9 * whole


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
@pytest.mark.parametrize(
    ("text", "threads"),
    [
        ("ic2048ih1oc64kh1", 2),  # two threads are busy
        ("ic64ih56oc64oh56kh3ph1", 32),  # tiles for all
        ("g2ic2048ih1oc64kh1", 64),
        ("ic8ih1oc16kh1", 64),  # short sums
    ],
)
def test_other_sums_stay_whole(text, threads):
    assert blocking(text, Setting("nhwc", threads=threads, isa="avx512")) is None


def test_short_results_are_rounded_once():
    assert blocking("ic2048ih1oc64kh1", Setting("nhwc", "bf16", 64)) is None
