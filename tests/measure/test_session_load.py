from __future__ import annotations

import pytest

from convprof.doubts import QUIET, Surroundings
from convprof.machine import surroundings
from convprof.machine.activity import Activity


def account(at_s, busy_s, own_s, stolen=None):
    return Activity(at_s, 2, busy_s, own_s, stolen)


def test_what_others_did_between_two_accounts():
    before, after = account(0, 10, 5, (0, 0)), account(10, 24, 9, (4, 20))
    assert surroundings.between(before, after) == Surroundings(2, pytest.approx(1.0), 0.2)


def test_a_short_span_gives_no_load():
    before, after = account(0, 10, 5, (0, 0)), account(0.1, 11, 5, (1, 2))
    assert surroundings.between(before, after) == Surroundings(2)
    assert surroundings.between(None, after) == surroundings.between(before, None) == QUIET


@pytest.fixture
def accounts(monkeypatch):
    """Let the accounts of successive looks be these."""

    def set_(*found):
        rest = iter(found)
        monkeypatch.setattr(surroundings, "accounts", lambda: next(rest))

    return set_


def test_a_lookout_ends_with_the_last_sample(accounts):
    accounts(account(0, 0, 0), account(10, 20, 10))
    lookout = surroundings.Lookout()
    lookout.begin()
    lookout.end()
    assert lookout.around().others_cpus == lookout.around().others_cpus == 1.0


def test_an_interrupted_session_reads_the_load_at_the_report(accounts):
    accounts(account(0, 0, 0), account(10, 15, 0))
    lookout = surroundings.Lookout()
    lookout.begin()
    assert lookout.around().others_cpus == 1.5


def test_a_session_marks_what_ran_next_to_other_programs(scene, accounts):
    accounts(account(0, 0, 0), account(10, 20, 1), account(20, 40, 2))
    session = scene.session(scene.strategy("a", (20e-3,)))  # longer than a time slice
    list(session.events())
    (measurement,) = session.measurements()
    assert measurement.doubt == "other programs used 1.9 of 2 CPUs while its thread ran"


def test_a_session_on_an_idle_machine_has_no_doubt(scene, accounts):
    accounts(account(0, 0, 0), account(10, 10.1, 10))
    session = scene.session(scene.strategy("a", (1e-3,)))
    list(session.events())
    assert [m.doubt for m in session.measurements()] == [None]
