from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from convprof.machine import activity, noise
from convprof.machine.noise import NoiseWatch


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


class Kernel:
    """A machine of two CPUs whose accounts a test lets run on."""

    def __init__(self, fake):
        self.fake = fake
        self.at = self.own = 100.0
        self.busy, self.stolen = [100.0, 100.0], 0.0
        self.battery = None
        self.throttled = None
        self.run(0, own=0, others=0)

    def source(self):
        return self.fake.source(affinity=lambda: frozenset({0, 1}))

    def run(self, seconds, *, own=0.0, others=0.0, stolen=0.0):
        """Let time pass in which this process and others use CPU time, all of it on CPU 0."""
        self.at += seconds
        self.own += own
        self.busy[0] += own + others
        self.stolen += stolen
        rows = ["cpu  " + self._row(sum(self.busy), 2 * self.at - sum(self.busy))]
        rows += [f"cpu{cpu} " + self._row(busy, 0) for cpu, busy in enumerate(self.busy)]
        self.fake.write("proc/stat", "\n".join(rows) + "\nintr 5\n")

    def _row(self, busy, idle):
        fields = (busy / 2, 0, busy / 4, idle, 5, busy / 8, busy / 8, self.stolen, 7, 0)
        return " ".join(str(round(100 * seconds)) for seconds in fields)

    def quota(self, periods, throttled, usec):
        self.fake.write("proc/self/cgroup", "0::/box\n")
        self.fake.write("sys/fs/cgroup/box/cpu.max", "50000 100000\n")
        text = f"usage_usec 5\nnr_periods {periods}\nnr_throttled {throttled}\n"
        self.fake.write("sys/fs/cgroup/box/cpu.stat", f"{text}throttled_usec {usec}\n")


@pytest.fixture
def machine(fake, monkeypatch):
    """A quiet machine whose troubles a test can switch on."""
    kernel = Kernel(fake)
    monkeypatch.setattr(activity, "own_seconds", lambda: kernel.own)
    monkeypatch.setattr(activity, "time", SimpleNamespace(monotonic=lambda: kernel.at))
    monkeypatch.setattr(activity, "_ticks_per_second", lambda: 100)
    monkeypatch.setattr(noise, "this_machine", kernel.source)
    monkeypatch.setattr(noise, "load", lambda _cores: 3.0)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: kernel.battery, raising=False)
    return kernel


def kinds(watch):
    return [finding.kind for finding in watch.findings()]


def test_a_quiet_machine(machine):
    watch = NoiseWatch(2)
    machine.run(10, own=5, others=0.5)
    watch.see_clock(3e9)
    watch.see_clock(3.01e9)
    watch.see_samples("a", [1.0, 1.01, 0.99, 1.0])
    assert watch.findings() == []
    assert not watch.is_slowed
    state = watch.state()
    assert state["core_hz"] == {"median": 3.005e9, "min": 3e9, "max": 3.01e9}
    assert (state["load_per_core"], state["stolen_share"], state["throttled"]) == (3.0, 0, None)
    assert state["others_share"] == pytest.approx(0.025, abs=1e-3)


def test_nothing_seen(monkeypatch, fake):
    monkeypatch.setattr(noise, "load", lambda _cores: None)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    watch = NoiseWatch(2, fake.source())
    assert watch.findings() == []
    unknown = watch.state()
    unknown.pop("platform")
    assert set(unknown.values()) == {None}


def test_our_own_heat_is_no_noise(machine):
    """A load average of 3 per core, from our last run, and both CPUs busy with this one."""
    watch = NoiseWatch(2)
    machine.run(10, own=20)
    assert watch.findings() == []


def test_a_job_on_the_only_cpu_that_we_may_use(machine):
    source = machine.fake.source(affinity=lambda: frozenset({0}))
    watch = NoiseWatch(2, source)
    machine.run(10, own=5, others=5)
    (found,) = watch.findings()
    assert found.message == "other programs used 50 % of the CPU meanwhile"


def test_a_job_that_began_with_us_is_found(machine):
    watch = NoiseWatch(2)
    machine.run(2, own=2, others=1.4)
    (found,) = watch.findings()
    assert found.kind == "load"
    assert found.message == "other programs used 0.7 of 2 CPUs meanwhile"
    assert found.hint
    assert watch.is_slowed
    assert watch.state()["others_share"] == pytest.approx(0.35, abs=1e-2)


@pytest.mark.parametrize(
    ("stolen", "share"), [(20.0, 0.2), (0.0, 0.0), (None, None)], ids=["some", "none", "unknown"]
)
def test_stolen_time_is_counted_during_the_measurement(machine, stolen, share):
    machine.run(10, stolen=10)  # before
    watch = NoiseWatch(2)
    machine.run(40, stolen=stolen or 0.0)
    if stolen is None:
        machine.fake.write("proc/stat", "")
    found = watch.state()["stolen_share"]
    assert found == (None if share is None else pytest.approx(share))
    assert kinds(watch) == (["steal"] if share else [])
    if share:
        message = watch.findings()[0].message
        assert message == "the hypervisor took away 20 % of the time"


def test_a_quota_that_stopped_us(machine):
    machine.quota(1000, 500, 9_000_000)
    watch = NoiseWatch(2)
    machine.quota(1055, 519, 9_220_000)
    (found,) = watch.findings()
    assert found.kind == "throttling"
    assert found.message == (
        "the container's CPU quota stopped this process for 0.22 s in 19 of 55 periods"
    )
    assert watch.state()["throttled"] == {
        "periods": 55,
        "throttled_periods": 19,
        "seconds": pytest.approx(0.22),
    }


def test_a_quota_whose_pauses_the_kernel_does_not_time(machine):
    machine.quota(10, 0, 0)
    watch = NoiseWatch(2)
    machine.quota(28, 3, 0)
    (found,) = watch.findings()
    assert found.message.endswith("stopped this process in 3 of 18 periods")


def test_a_quota_that_was_large_enough(machine):
    machine.quota(1000, 500, 9_000_000)
    watch = NoiseWatch(2)
    machine.quota(1055, 500, 9_000_000)
    assert watch.findings() == []
    assert watch.state()["throttled"]["periods"] == 55


@pytest.mark.usefixtures("machine")
def test_a_noisy_clock():
    watch = NoiseWatch(2)
    for hz in (2e9, 3e9, 3.3e9, 2.6e9, 3e9):
        watch.see_clock(hz)
    (found,) = watch.findings()
    assert (found.kind, found.message) == (
        "clock",
        "the core clock varied by 10 % around 3.00 GHz",
    )


@pytest.mark.usefixtures("machine")
def test_one_slow_reading_is_not_a_noisy_clock():
    watch = NoiseWatch(2)
    for hz in (3e9, 3e9, 1e9, 3e9, 3e9):
        watch.see_clock(hz)
    assert watch.findings() == []
    assert watch.state()["core_hz"]["min"] == 1e9


@pytest.mark.usefixtures("machine")
def test_noisy_samples_are_named_once_and_not_all():
    watch = NoiseWatch(2)
    for label in "abcdeab":
        watch.see_samples(label, [1.0, 2.0, 3.0])
    watch.see_samples("quiet", [1.0, 1.0, 9.0])
    (found,) = watch.findings()
    assert (found.kind, found.message) == (
        "spread",
        "noisy samples (spread over 5 %): a, b, c and 2 more",
    )


@pytest.mark.usefixtures("machine")
def test_a_counter_that_is_shared_with_others():
    watch = NoiseWatch(2)
    watch.see_partial_count()
    watch.see_partial_count()
    (found,) = watch.findings()
    assert found.kind == "counter"
    assert "did not count all the time in 2 samples" in found.message


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


@pytest.mark.parametrize(
    "error",
    [TypeError, ValueError, ZeroDivisionError, FileNotFoundError, AttributeError, RuntimeError],
)
@pytest.mark.usefixtures("machine")
def test_a_battery_that_cannot_be_read_is_unknown(monkeypatch, error):
    def ask():
        raise error("odd power supply")

    monkeypatch.setattr(psutil, "sensors_battery", ask, raising=False)
    assert NoiseWatch(2).findings() == []


@pytest.mark.usefixtures("machine")
def test_no_source_for_a_battery(monkeypatch):
    monkeypatch.delattr(psutil, "sensors_battery")
    assert NoiseWatch(2).findings() == []


@pytest.mark.usefixtures("machine")
def test_one_check_that_fails_hides_no_other(monkeypatch):
    def fail(*_):
        raise OSError

    watch = NoiseWatch(2)
    watch.see_partial_count()
    monkeypatch.setattr(activity, "others", fail)
    assert kinds(watch) == ["counter"]


def test_this_machine():
    watch = NoiseWatch(1)
    for found in watch.findings():
        assert found.kind
        assert found.message
        assert found.hint
    assert set(watch.state()) == {
        "core_hz",
        "load_per_core",
        "others_share",
        "stolen_share",
        "throttled",
        "platform",
    }


def test_millions_of_clock_readings_take_no_more_memory(monkeypatch):
    monkeypatch.setattr(noise, "MOST_CLOCKS", 64)
    watch = NoiseWatch(2)
    for number in range(10_001):
        watch.see_clock(3e9 + number * 1e3)
    assert len(watch._clocks) <= 64
    seen = watch.state()["core_hz"]
    assert (seen["min"], seen["max"]) == (3e9, 3.01e9)
    assert seen["median"] == pytest.approx(3.005e9, rel=1e-3)
