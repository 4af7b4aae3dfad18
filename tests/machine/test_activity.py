from __future__ import annotations

import dataclasses
import time

import pytest

from convprof.machine import activity
from convprof.machine.activity import Activity
from convprof.machine.host import this_machine

STAT = """cpu  300 20 30 400 5 6 7 32 50 0
cpu0 100 10 15 200 2 3 3 16 25 0
cpu1 200 10 15 200 3 3 4 16 25 0
intr 12345
"""


@pytest.fixture(autouse=True)
def _hundred_ticks_a_second(monkeypatch):
    monkeypatch.setattr(activity, "_ticks_per_second", lambda: 100)


def test_the_accounts_of_some_cpus(fake):
    source = fake.write("proc/stat", STAT).source()

    one, both, everything = (activity.now(source, cpus) for cpus in ([1], [0, 1], None))

    assert (one.cpus, one.busy_s) == (1, 2.32)  # without idle, iowait and steal
    assert (both.cpus, both.busy_s) == (everything.cpus, everything.busy_s) == (2, 3.63)
    # guest time (the 50) is part of user time and not counted twice
    assert one.stolen == (32, 800)


def test_cpus_that_the_file_numbers_otherwise_are_all_of_it(fake):
    """As in LXC containers, whose file counts from 0."""
    found = activity.now(fake.write("proc/stat", STAT).source(), [4, 6])

    assert (found.cpus, found.busy_s) == (2, 3.63)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "cpu\n", "cpu0\n", "cpu0 1 2\n", "cpu0 1 2 3 x\n", "cpu0 -1 2 3 4\n", "\x00\xff"],
)
def test_a_file_that_says_nothing_is_unknown(fake, text):
    assert activity.now(fake.write("proc/stat", text).source(), [0]) is None


def test_an_old_kernel_does_not_count_stolen_time(fake):
    found = activity.now(fake.write("proc/stat", "cpu  1 2 3 4\ncpu0 1 2 3 4\n").source())

    assert (found.cpus, found.busy_s, found.stolen) == (1, 0.06, None)


def test_a_system_without_the_file_has_another_source(fake):
    found = activity.now(fake.source(busy=lambda: (12.5, 8)), [0])

    assert (found.cpus, found.busy_s, found.stolen) == (8, 12.5, None)
    assert activity.now(fake.source(busy=lambda: (12.5, None))) is None


BEFORE = Activity(at_s=10, cpus=4, busy_s=100, own_s=50, stolen=(5, 1000))


def after(**changes):
    return dataclasses.replace(BEFORE, **changes)


@pytest.mark.parametrize(
    ("now", "share"),
    [
        (after(at_s=20, busy_s=130, own_s=70), 0.25),
        (after(at_s=20, busy_s=120, own_s=70), 0),
        (after(at_s=20, busy_s=119.9, own_s=70), 0),  # the kernel's accounts are coarser
        (after(at_s=20, busy_s=100, own_s=70), None),  # this file does not count us
        (after(at_s=20, busy_s=90), None),  # backwards
        (after(at_s=10.1, busy_s=101), None),  # too short
        (after(at_s=20, busy_s=130, cpus=2), None),
        (after(at_s=20, busy_s=1000), 1),
        (None, None),
    ],
)
def test_what_others_used(now, share):
    assert share == activity.others(BEFORE, now)
    assert activity.others(None, now) is None


@pytest.mark.parametrize(
    ("stolen", "share"),
    [((25, 1100), 0.2), ((5, 1100), 0), ((5, 1000), None), ((4, 1100), None), (None, None)],
)
def test_what_the_hypervisor_took(stolen, share):
    assert share == activity.stolen_share(BEFORE, after(stolen=stolen))
    assert activity.stolen_share(None, BEFORE) is None


def test_this_machine_counts_our_own_work():
    source = this_machine()
    before = activity.now(source, source.affinity())
    if before is None:
        pytest.skip("this system has no accounts of its CPUs")
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    now = activity.now(source, source.affinity())
    assert now.own_s - before.own_s >= 0.05
    assert now.cpus == before.cpus >= 1


def test_the_time_of_a_child_that_computes_for_us_is_our_own():
    before = activity.own_seconds()
    activity.note_child(-1, 1e6)
    assert activity.own_seconds() - before >= 1e6
    activity.forget_child(-1)
    assert activity.own_seconds() - before < 1e6
