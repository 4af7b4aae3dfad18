"""Hosts that come after the start, and hosts that come back."""

from __future__ import annotations

import dataclasses

import fleets
import pytest

from convprof.errors import ConvprofError
from convprof.studies.fleet import hosts, study
from convprof.studies.fleet.cluster import Workers


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(study, "POLL_S", 0.0)


def joined_by(identity, workers=None):
    """Return a cluster of the host a; another one is there when a has measured a problem."""
    cluster = fleets.FakeCluster(["a"])

    def says(_, fields):
        cluster.known = [*cluster.known[:1], identity]
        cluster.living = {"a", workers or identity.host}
        return fleets.reply(fields["problem"])

    cluster._says = says
    return cluster


def test_a_host_that_comes_later_measures_every_problem(tmp_path):
    cluster = joined_by(hosts.Identity("b", "there", hosts.versions()))
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert statuses == {(i, h): "finished" for i in range(3) for h in "ab"}
    assert (fleet.done, fleet.total) == (6, 6)
    assert fleet.notes == ["b came later, and takes part"]


def test_a_host_that_comes_later_measures_only_what_it_has_not_finished(tmp_path):
    path = tmp_path / "f.jsonl"
    with fleets.journal_of(path) as journal:
        list(fleets.fleet_of(fleets.FakeCluster(["b"]), journal, fleets.SUITE[:2]).events())
    cluster = joined_by(hosts.Identity("b", "there", hosts.versions()))
    fleet, statuses = fleets.run(path, cluster)
    assert statuses == {(i, h): "finished" for i in range(3) for h in "ab"}
    assert [key for key in cluster.submitted if key[0] == "b"] == [("b", 2)]
    assert (fleet.before, fleet.done, fleet.total) == (2, 6, 6)
    assert fleet.notes == ["b came later, and takes part"]


def test_a_worker_that_cannot_load_convprof_is_said_once(tmp_path):
    cluster = fleets.FakeCluster(["a"])
    cluster.ended = {"late"}
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert set(statuses.values()) == {"finished"}
    (note,) = fleet.notes
    assert note.startswith("late is left out: it ended without loading this version of convprof")


def test_a_worker_that_is_started_again_with_convprof_takes_part(tmp_path):
    cluster = joined_by(hosts.Identity("b", "there", hosts.versions()))
    cluster.ended = {"b"}
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert statuses == {(i, h): "finished" for i in range(3) for h in "ab"}
    assert fleet.notes[1:] == ["b came later, and takes part"]


def test_a_host_with_other_versions_that_comes_later_is_left_out_in_one_line(tmp_path):
    old = {**hosts.versions(), "numba": "0.1"}
    cluster = joined_by(hosts.Identity("b", "there", old))
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert statuses == {(i, "a"): "finished" for i in range(3)}
    assert len(fleet.notes) == 1
    assert "b came later, and is left out: it has numba 0.1" in fleet.notes[0]


def test_a_host_that_comes_later_and_does_not_answer_is_left_out_in_one_line(tmp_path):
    cluster = joined_by(hosts.Identity("b", "there", hosts.versions()))
    identities = cluster.identities

    def answer(addresses=None):
        if addresses:
            raise ConvprofError("the worker b:0 does not answer")
        return identities()

    cluster.identities = answer
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert set(statuses) == {(i, "a") for i in range(3)}
    assert fleet.notes == ["b came later, and is left out: the worker b:0 does not answer"]


def test_a_host_that_another_client_has_named_does_not_take_part(tmp_path):
    cluster = joined_by(hosts.Identity("b", "there", hosts.versions()), workers="another name")
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert set(statuses) == {(i, "a") for i in range(3)}
    assert fleet.notes == []


def test_a_host_that_was_given_up_and_comes_back_measures_what_was_left(tmp_path):
    terms = dataclasses.replace(fleets.TERMS, away_s=0.0)
    cluster = fleets.FakeCluster(["a", "b"])
    there = {"a:0"}
    cluster.workers = lambda: Workers({"a": set(there), "b": {"b:0"}})

    def says(key, fields):
        if key == ("a", 1) and "a:1" not in there:
            there.clear()  # the worker has died
            return None
        if key == ("b", 1):
            there.add("a:1")
        return fleets.reply(fields["problem"])

    cluster._says = says
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster, terms)
    assert statuses == {(i, h): "finished" for i in range(3) for h in "ab"}
    assert fleet.notes == [
        "a is given up with 2 problems left: its worker is gone",
        "a is back, and takes part again",
    ]
    assert (fleet.done, fleet.total) == (6, 6)
