"""A suite on hosts that work, die, hang, and return nonsense."""

from __future__ import annotations

import dataclasses
import json
import resource

import fleets
import pytest

from convprof.errors import ConvprofError, InputError
from convprof.problems import Conv2d, Gemm, TypedProblem
from convprof.problems.epilogue import Epilogue
from convprof.problems.grouped_weights import GroupedWeights
from convprof.studies.fleet import hosts, members, records, study, suite
from convprof.studies.fleet.cluster import Answer, Workers

PLAIN = Gemm(m=4, n=256, k=256)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(study, "POLL_S", 0.0)


def test_every_host_measures_every_problem_once(tmp_path, invalid):
    cluster = fleets.FakeCluster(["a", "b"])
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert statuses == {(i, h): "finished" for i in range(3) for h in "ab"}
    assert sorted(cluster.submitted) == [(h, i) for h in "ab" for i in range(3)]
    assert (fleet.done, fleet.total) == (6, 6)
    header, *lines = map(json.loads, (tmp_path / "f.jsonl").read_text().splitlines())
    assert invalid(header) == []
    assert [invalid(line["document"]) for line in lines] == [[]] * 6


def test_a_problem_is_measured_in_its_types_by_the_strategies_that_its_kind_has():
    tasks = [
        TypedProblem(Conv2d(n=1, c=2, h=4, w=4, k=2, r=1, s=1), "f32"),
        TypedProblem(PLAIN, "bf16"),
    ]
    conv, product = suite.suite_of(dict.fromkeys(tasks, 1))
    options = {"strategy": ("packed,blas,direct",), "dtype": ("f64",)}
    assert suite.options_of(options, conv) == {"strategy": ("direct",), "dtype": ("f32",)}
    assert suite.options_of(options, product) == {"strategy": ("packed,blas",), "dtype": ("bf16",)}
    winograd = {"strategy": ("winograd",), "rounds": ("3",)}
    assert suite.options_of(winograd, product) == {**winograd, "dtype": ("bf16",)}
    assert suite.options_of({"rounds": ("3",)}, conv) == {"rounds": ("3",), "dtype": ("f32",)}


def test_a_second_command_measures_what_is_left_and_what_failed(tmp_path):
    path = tmp_path / "f.jsonl"

    def says(key, fields):
        if key == ("b", 1):
            return json.dumps({"status": "failed", "reason": "SIGSEGV ended its process"})
        if key == ("b", 2):
            return json.dumps({"status": "refused", "reason": "too large"})
        return fleets.reply(fields["problem"])

    _, statuses = fleets.run(path, fleets.FakeCluster(["b"], says))
    assert statuses == {(0, "b"): "finished", (1, "b"): "failed", (2, "b"): "refused"}
    again = fleets.FakeCluster(["a", "b"])
    again_fleet, statuses = fleets.run(path, again)
    assert sorted(again.submitted) == [("a", 0), ("a", 1), ("a", 2), ("b", 1)]
    assert statuses[1, "b"] == "finished"
    assert (again_fleet.before, again_fleet.total) == (2, 6)
    third = fleets.FakeCluster(["a", "b"])
    fleets.run(path, third)
    assert third.submitted == []


def test_a_dead_host_is_rows_with_the_reason_and_the_others_go_on(tmp_path):
    cluster = fleets.FakeCluster(["a", "b"])

    def says(key, fields):
        if key == ("b", 1):
            cluster.living = {"a"}
        return None if key[0] == "b" and key[1] else fleets.reply(fields["problem"])

    cluster._says = says
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert [statuses[i, "a"] for i in range(3)] == ["finished"] * 3
    assert [statuses[i, "b"] for i in range(3)] == ["finished", "failed", "failed"]
    assert fleet.notes == ["b is given up with 2 problems left: its worker is gone"]
    assert sorted(cluster.dropped) == [("b", 1), ("b", 2)]


def test_a_host_that_is_away_for_a_moment_is_not_given_up(tmp_path):
    looks = [set(), {"a"}, set()]
    cluster = fleets.FakeCluster(["a"])
    answers = cluster.answers
    cluster.workers = lambda: Workers({a: {"a:0"} for a in (looks.pop(0) if looks else {"a"})})
    cluster.answers = lambda timeout_s: [] if looks else answers(timeout_s)
    terms = dataclasses.replace(fleets.TERMS, away_s=60.0)
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster, terms)
    assert set(statuses.values()) == {"finished"}
    assert (looks, fleet.notes) == ([], [])


def test_the_tasks_of_a_worker_that_is_started_again_are_submitted_again(tmp_path):
    cluster = fleets.FakeCluster(["a"])

    def says(key, fields):
        if not cluster.started and key[1] == 1:
            cluster.started = 1
            return None  # the worker was killed, and its task is lost
        return fleets.reply(fields["problem"])

    cluster._says = says
    _, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert set(statuses.values()) == {"finished"}
    assert cluster.submitted == [("a", 0), ("a", 1), ("a", 2), ("a", 1), ("a", 2)]


@pytest.mark.parametrize("machines", [("one", "other"), ("one", "one")])
def test_a_host_that_hangs_is_given_up(tmp_path, monkeypatch, machines):
    monkeypatch.setattr(members, "SLACK_S", 0.05)
    terms = dataclasses.replace(fleets.TERMS, limit_s=0.01)

    def says(key, fields):
        return None if key[0] == "b" else fleets.reply(fields["problem"])

    cluster = fleets.FakeCluster(["a", "b"], says)
    cluster.known = [
        hosts.Identity(name, machine, hosts.versions())
        for name, machine in zip("ab", machines, strict=True)
    ]
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster, terms)
    assert [statuses[i, "b"] for i in range(3)] == ["failed"] * 3
    assert "did not answer for 0.07 s" in fleet.notes[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("nonsense", "without sense: it is not JSON"),
        (17, "without sense: a text is missing"),
        (b"{}", "without sense: a text is missing"),
        ('{"status": "fine"}', "without sense: an unknown status"),
        ('{"status": "finished"}', "without sense: an object is missing"),
    ],
)
def test_garbage_is_a_failed_row(tmp_path, answer, reason):
    says = lambda key, fields: answer if key[1] == 1 else fleets.reply(fields["problem"])  # noqa: E731
    path = tmp_path / "f.jsonl"
    _, statuses = fleets.run(path, fleets.FakeCluster(["a"], says))
    assert [statuses[i, "a"] for i in range(3)] == ["finished", "failed", "finished"]
    failed = next(json.loads(t) for t in path.read_text().splitlines() if '"failed"' in t)
    assert reason in failed["reason"]


@pytest.mark.parametrize(("lost", "attempts"), [(False, 1), (True, study.ATTEMPTS)])
def test_a_task_that_dask_loses_is_begun_again_a_few_times(tmp_path, lost, attempts):
    def says(key, fields):
        if key[1]:
            return fleets.reply(fields["problem"])
        return Answer(key, error="KilledWorker: it died 4 times", lost=lost)

    cluster = fleets.FakeCluster(["a"], says)
    _, statuses = fleets.run(tmp_path / "f.jsonl", cluster)
    assert statuses[0, "a"] == "failed"
    assert cluster.submitted.count(("a", 0)) == attempts


def test_nothing_is_written_as_failed_when_the_scheduler_is_gone(tmp_path):
    path = tmp_path / "f.jsonl"
    cluster = fleets.FakeCluster(["a"])

    def says(key, fields):
        if not key[1]:
            return fleets.reply(fields["problem"])
        cluster.living = None
        return Answer(key, error="the scheduler cancelled the task")

    cluster._says = says
    with pytest.raises(ConvprofError, match="scheduler"):
        fleets.run(path, cluster)
    _, statuses = fleets.run(path, fleets.FakeCluster(["a"]))
    assert set(statuses.values()) == {"finished"}
    assert len(path.read_text().splitlines()) == 1 + 3


def test_other_versions_are_refused_or_said(tmp_path):
    cluster = fleets.FakeCluster(["a"])
    old = {**hosts.versions(), "numba": "0.1"}
    cluster.known = [hosts.Identity("a", "here", old)]
    with pytest.raises(InputError, match=r"any_version: a has numba 0\.1, here "):
        fleets.run(tmp_path / "f.jsonl", cluster)
    terms = dataclasses.replace(fleets.TERMS, any_version=True)
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster, terms)
    assert set(statuses.values()) == {"finished"}
    assert "numba 0.1" in fleet.notes[0]


def test_the_hosts_that_are_waited_for_do_not_come(tmp_path):
    terms = dataclasses.replace(fleets.TERMS, hosts=3)
    with pytest.raises(InputError, match=r"hosts=3: 1 of 3 came within 0\.05 s"):
        fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["a"]), terms)


def test_a_host_of_the_same_name_on_another_machine_fails(tmp_path):
    path = tmp_path / "f.jsonl"
    with fleets.journal_of(path) as journal:
        fleet = fleets.fleet_of(fleets.FakeCluster(["a"]), journal, fleets.SUITE[:1])
        list(fleet.events())
    says = lambda _, fields: fleets.reply(fields["problem"], machine="another")  # noqa: E731
    _, statuses = fleets.run(path, fleets.FakeCluster(["a"], says))
    assert [statuses[i, "a"] for i in range(3)] == ["finished", "failed", "failed"]


def test_a_full_disk_ends_the_command_and_keeps_what_was_finished(tmp_path):
    path = tmp_path / "f.jsonl"
    with fleets.journal_of(path) as journal:
        head = path.stat().st_size
        fleet = fleets.fleet_of(fleets.FakeCluster(["a"]), journal, fleets.SUITE[:1])
        list(fleet.events())
    line = path.stat().st_size - head
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (head + line + line // 2, hard))
    try:
        with pytest.raises(ConvprofError, match="cannot be written"):
            fleets.run(path, fleets.FakeCluster(["a"]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = fleets.FakeCluster(["a"])
    _, statuses = fleets.run(path, again)
    assert again.submitted == [("a", 1), ("a", 2)]
    assert set(statuses.values()) == {"finished"}


def test_a_file_of_another_suite_is_not_continued(tmp_path):
    with fleets.journal_of(tmp_path / "f.jsonl") as journal:
        other = records.identity(fleets.SUITE[:2], fleets.TERMS.options, "worker")
        assert "problems" in records.difference(journal, other)
        other = records.identity(fleets.SUITE, {"strategy": ("tiled",)}, "worker")
        assert "strategy" in records.difference(journal, other)
        fewer = records.identity(fleets.SUITE, {}, "worker")
        assert records.difference(journal, fewer) == (
            "its hosts measured with strategy naive, here without"
        )
        spread = records.identity(fleets.SUITE, fleets.TERMS.options, "worker", spread=True)
        assert "spread False, here True" in records.difference(journal, spread)


@pytest.mark.parametrize(
    "other",
    [
        {TypedProblem(dataclasses.replace(PLAIN, epilogue=Epilogue(bias=True)), "f32"): 1},
        {TypedProblem(PLAIN.with_grouped_weights(GroupedWeights("int4", 32)), "f32"): 1},
        {TypedProblem(PLAIN, "bf16"): 1},
        {TypedProblem(PLAIN, "f32"): 3},
    ],
)
def test_types_epilogue_weights_and_counts_belong_to_the_suite(tmp_path, other):
    plain = suite.suite_of({TypedProblem(PLAIN, "f32"): 1})
    with fleets.journal_of(tmp_path / "f.jsonl", plain) as journal:
        known = records.identity(suite.suite_of(other), fleets.TERMS.options, "worker")
        assert "problems" in records.difference(journal, known)


def test_what_is_finished_is_written_also_if_the_scheduler_is_gone(tmp_path):
    class Gone(fleets.FakeCluster):
        def answers(self, timeout_s):
            ended = super().answers(timeout_s)
            if ended:
                key, _ = self._waiting.popleft()
                ended.append(Answer(key, error="it was lost", lost=True))
                self.living = None
            return ended

    with pytest.raises(ConvprofError, match="scheduler"):
        fleets.run(tmp_path / "f.jsonl", Gone(["a"]))
    _, *lines = map(json.loads, (tmp_path / "f.jsonl").read_text().splitlines())
    assert [line["status"] for line in lines] == ["finished"]
