from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from convprof.machine import noise
from convprof.machine.noise import NoiseWatch

STAT = """cpu  100 20 30 400 5 6 7 {steal} 50 0
cpu0 50 10 15 200 2 3 3 1 25 0
intr 12345
"""


def stat(tmp_path, text):
    path = tmp_path / "stat"
    path.write_text(text)
    return path


def test_ticks_of_all_cpus(tmp_path):
    # guest time (the 50) is part of user time and not counted twice
    assert noise.stolen_ticks(stat(tmp_path, STAT.format(steal=32))) == (32, 600)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "cpu\n", "cpu  1 2 3 4\n", "cpu  1 2 3 4 5 6 7 x\n", "cpu  1 2 3 4 5 6 7\n"],
)
def test_a_stat_without_stolen_ticks_is_unknown(tmp_path, text):
    assert noise.stolen_ticks(stat(tmp_path, text)) is None


def test_no_stat_is_unknown(tmp_path):
    assert noise.stolen_ticks(tmp_path / "nothing") is None


def test_load(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 2.0, 1.0))
    assert noise.load(4) == 0.75
    assert noise.load(0) == 3.0


def test_no_load_average_is_unknown(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(os, "getloadavg", refuse)
    assert noise.load(4) is None
    monkeypatch.delattr(os, "getloadavg")  # as on Windows
    assert noise.load(4) is None


@pytest.fixture
def machine(monkeypatch):
    """A quiet machine whose troubles a test can switch on."""
    state = SimpleNamespace(load=0.0, ticks=[(0, 1000), (0, 2000)], battery=None)
    monkeypatch.setattr(noise, "load", lambda _cores: state.load)
    monkeypatch.setattr(
        noise,
        "stolen_ticks",
        lambda: state.ticks.pop(0) if len(state.ticks) > 1 else state.ticks[0],
    )
    monkeypatch.setattr(psutil, "sensors_battery", lambda: state.battery, raising=False)
    return state


def kinds(watch):
    return [finding.kind for finding in watch.findings()]


def test_a_quiet_machine(machine):
    watch = NoiseWatch(2)
    watch.see_clock(3e9)
    watch.see_clock(3.01e9)
    watch.see_samples("a", [1.0, 1.01, 0.99, 1.0])
    assert watch.findings() == []
    state = watch.state()
    assert state["core_hz"] == {"median": 3.005e9, "min": 3e9, "max": 3.01e9}
    assert (state["load_per_core"], state["stolen_share"]) == (machine.load, 0)


def test_nothing_seen(machine):
    machine.load = None
    machine.ticks = [None]
    watch = NoiseWatch(2)
    assert watch.findings() == []
    state = watch.state()
    assert (state["core_hz"], state["load_per_core"], state["stolen_share"]) == (None, None, None)


def test_a_busy_machine(machine):
    machine.load = 0.55
    watch = NoiseWatch(2)
    machine.load = 0.0  # what counts is the load before we added ours
    (found,) = watch.findings()
    assert found.kind == "load"
    assert found.message == "the machine was busy before the start (0.6 processes per core)"
    assert found.hint


@pytest.mark.parametrize(
    ("ticks", "share"),
    [
        ([(10, 1000), (30, 1100)], 0.2),
        ([(10, 1000), (10, 1100)], 0.0),
        ([(10, 1000), (10, 1000)], None),  # no time has passed
        ([None, (10, 1000)], None),
        ([(10, 1000), None], None),
    ],
)
def test_stolen_time_is_that_of_the_measurement(machine, ticks, share):
    machine.ticks = ticks
    watch = NoiseWatch(2)
    assert share == watch.state()["stolen_share"]
    assert kinds(watch) == (["steal"] if share else [])
    if share:
        message = watch.findings()[0].message
        assert message == "the hypervisor took away 20 % of the time"


@pytest.mark.usefixtures("machine")
def test_a_restless_clock():
    watch = NoiseWatch(2)
    for hz in (2e9, 3e9, 3.3e9, 2.6e9, 3e9):
        watch.see_clock(hz)
    (found,) = watch.findings()
    assert (found.kind, found.message) == (
        "clock",
        "the core clock varied by 10 % around 3.00 GHz",
    )


@pytest.mark.usefixtures("machine")
def test_one_slow_reading_is_not_a_restless_clock():
    watch = NoiseWatch(2)
    for hz in (3e9, 3e9, 1e9, 3e9, 3e9):
        watch.see_clock(hz)
    assert watch.findings() == []
    assert watch.state()["core_hz"]["min"] == 1e9


@pytest.mark.usefixtures("machine")
def test_restless_samples_are_named_once_and_not_all():
    watch = NoiseWatch(2)
    for label in "abcdeab":
        watch.see_samples(label, [1.0, 2.0, 3.0])
    watch.see_samples("quiet", [1.0, 1.0, 9.0])
    (found,) = watch.findings()
    assert (found.kind, found.message) == (
        "spread",
        "restless samples (over 5 %): a, b, c and 2 more",
    )


@pytest.mark.parametrize(
    ("battery", "found"),
    [
        (None, []),
        (SimpleNamespace(power_plugged=True), []),
        (SimpleNamespace(power_plugged=None), []),  # unknown
        (SimpleNamespace(power_plugged=False), ["battery"]),
    ],
)
def test_battery(machine, battery, found):
    machine.battery = battery
    assert found == kinds(NoiseWatch(2))


@pytest.mark.usefixtures("machine")
def test_no_way_to_ask_for_a_battery(monkeypatch):
    monkeypatch.delattr(psutil, "sensors_battery")
    assert NoiseWatch(2).findings() == []


def test_this_machine():
    watch = NoiseWatch(1)
    for found in watch.findings():
        assert found.kind
        assert found.message
        assert found.hint
    assert set(watch.state()) == {"core_hz", "load_per_core", "stolen_share", "platform"}


def test_millions_of_clock_readings_take_no_more_memory(monkeypatch):
    monkeypatch.setattr(noise, "MOST_CLOCKS", 64)
    watch = NoiseWatch(2)
    for number in range(10_001):
        watch.see_clock(3e9 + number * 1e3)
    assert len(watch._clocks) <= 64
    seen = watch.state()["core_hz"]
    assert (seen["min"], seen["max"]) == (3e9, 3.01e9)
    assert seen["median"] == pytest.approx(3.005e9, rel=1e-3)
