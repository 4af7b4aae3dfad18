from __future__ import annotations

import pytest

from convprof.machine import activity
from convprof.machine.load import Load, Waiting, look, wait

STAT = "cpu  {busy} 0 0 {idle}\ncpu0 {busy} 0 0 {idle}\ncpu1 0 0 0 {idle}\n"


@pytest.fixture
def ticking(fake, monkeypatch):
    """Return a look over a second in which other programs use some CPU time."""
    at = [100.0]
    monkeypatch.setattr(activity, "_ticks_per_second", lambda: 100)
    monkeypatch.setattr(activity, "own_seconds", lambda: 5.0)
    monkeypatch.setattr(activity.time, "monotonic", lambda: at[0])

    def stat(busy_s):
        fake.write("proc/stat", STAT.format(busy=round(100 * busy_s), idle=10_000))

    def looked(busy_s):
        stat(0)

        def sleep(seconds):
            at[0] += seconds
            stat(busy_s)

        return look(fake.source(affinity=lambda: frozenset({0, 1})), 1.0, sleep)

    return looked


@pytest.mark.parametrize(
    ("busy_s", "share", "busy", "text"),
    [
        (0.0, 0.0, False, "0.0 of 2 CPUs"),
        (0.4, 0.2, False, "0.4 of 2 CPUs"),
        (0.5, 0.25, True, "0.5 of 2 CPUs"),
        (1.8, 0.9, True, "1.8 of 2 CPUs"),
    ],
)
def test_the_load_of_a_moment(ticking, busy_s, share, busy, text):
    found = ticking(busy_s)
    assert (found.share, found.busy, str(found)) == (pytest.approx(share), busy, text)


def test_an_unknown_load_is_not_waited_for(fake):
    def sleep(_seconds):
        pytest.fail("nothing can change")

    assert look(fake.write("proc/stat", "").source(), 1.0, sleep) is None


def test_the_load_of_one_cpu():
    assert str(Load(0.9, 1)) == "90 % of the CPU"


class Looks:
    """Looks of one second each at a load that is told in advance."""

    def __init__(self, *shares):
        self.shares = list(shares)
        self.now = 0.0

    def __call__(self):
        self.now += 1
        share = self.shares.pop(0)
        return None if share is None else Load(share, 2)

    def wait(self, limit_s):
        return list(wait(limit_s, self, lambda: self.now))


def test_waits_for_two_idle_looks():
    looks = Looks(0.9, 0.0, 0.8, 0.1, 0.1, 0.9)
    assert looks.wait(60) == [Waiting(Load(0.9, 2), 59), Waiting(Load(0.8, 2), 57)]
    assert looks.shares == [0.9]


def test_an_idle_machine_is_not_waited_for():
    assert Looks(0.0, 0.0).wait(60) == []


def test_waiting_ends_at_the_limit():
    looks = Looks(*[1.0] * 9)
    assert [step.left_s for step in looks.wait(3)] == [2, 1, 0]


def test_waiting_ends_where_the_load_becomes_unknown():
    assert len(Looks(1.0, None).wait(60)) == 1


def test_nothing_is_waited_for_in_no_time():
    assert [step.left_s for step in Looks(1.0, 1.0).wait(0)] == [0]
