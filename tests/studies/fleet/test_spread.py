"""A suite and a sweep that identical hosts share."""

from __future__ import annotations

import dataclasses
import json
import resource
import types
from pathlib import Path

import fleets
import pytest

from convprof.errors import ConvprofError, InputError
from convprof.problems import Gemm, TypedProblem
from convprof.studies import show
from convprof.studies.fleet import files, hosts, identical, members, study, suite

TERMS = dataclasses.replace(fleets.TERMS, spread=True, away_s=0.0)
PROBLEMS = [Gemm(m=m, n=5, k=6) for m in range(1, 6)]
SUITE = suite.suite_of(dict.fromkeys([TypedProblem(each, "f32") for each in PROBLEMS], 1))
CONTROL = 2
"""The number of the task in the middle, of the suite and of the range."""


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(study, "POLL_S", 0.0)


@pytest.fixture
def invalid_line():
    """Return what lists how a line of a fleet's file breaks the schema."""
    jsonschema = pytest.importorskip("jsonschema")
    path = Path(__file__).parents[3] / "docs" / "result-schema.json"
    whole = jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
    lines = whole.evolve(schema={"$ref": f"{whole.schema['$id']}#/$defs/fleet_line"})
    return lambda line: [error.message for error in lines.iter_errors(line)]


def cluster_of(names, says=None, **facts):
    """Return hosts; ``facts``: by host, its number of cores, which is 2 for all others."""
    cluster = fleets.FakeCluster(names, says)
    cluster.known = [
        dataclasses.replace(identity, facts={"physical_cores": facts.get(name, 2)})
        for name, identity in zip(names, cluster.known, strict=True)
    ]
    return cluster


def swept(path, cluster, terms=TERMS):
    """Measure a sweep; return the job, the fleet, and the lines of the file after the header."""
    *_, (points, fleet) = fleets.sweep(path, cluster, terms)
    _, *lines = map(json.loads, path.read_text().splitlines())
    return points, fleet, lines


def says_points(key, fields):
    seconds = {"a": 1.00e-3, "b": 1.10e-3}.get(key[0], 1e-3)
    return fleets.point(fields, seconds)


def test_each_problem_is_measured_on_one_host_and_the_control_on_every_host(tmp_path, invalid):
    cluster = cluster_of(["a", "b"])
    path = tmp_path / "f.jsonl"
    fleet, _ = fleets.run(path, cluster, TERMS, SUITE)
    assert dict(reversed(cluster.submitted)) == {"a": CONTROL, "b": CONTROL}  # the first ones
    indices = [index for _, index in cluster.submitted]
    assert sorted(indices) == [0, 1, CONTROL, CONTROL, 3, 4]
    assert {host for host, _ in cluster.submitted} == {"a", "b"}
    assert (fleet.done, fleet.total) == (6, 6)
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert invalid(header) == []
    assert header["command"]["spread"] is True
    assert sorted(line["index"] for line in lines if not line["control"]) == [0, 1, 2, 3, 4]


def test_the_table_of_identical_hosts_has_one_column_and_says_how_far_they_differ(tmp_path):
    seconds = {"a": 1.00e-3, "b": 1.10e-3}
    says = lambda key, fields: fleets.reply(fields["problem"], seconds[key[0]])  # noqa: E731
    path = tmp_path / "f.jsonl"
    fleets.run(path, cluster_of(["a", "b"], says), TERMS, SUITE)
    table = files.read([str(path)])
    (total,) = table.totals({})
    assert (total.finished, total.missing) == (5, 0)
    assert {row.measured_on for row in table.ordered} == {"a", "b"}
    assert table.remark() == (
        "the hosts differ by up to 10.0 %: naive 1 thread at 3x6:6x5 takes 1.00 ms on a, "
        "1.10 ms on b; times of different hosts differ by as much for no other reason"
    )


def test_a_host_that_differs_is_left_out_in_one_line(tmp_path):
    cluster = cluster_of(["a", "b", "c"], b=4)
    fleet, _ = fleets.run(tmp_path / "f.jsonl", cluster, TERMS, SUITE)
    assert {host for host, _ in cluster.submitted} == {"a", "c"}
    assert fleet.notes == ["b is left out, it is not identical: physical cores 4, not 2"]


def test_a_host_that_differs_and_comes_later_is_left_out_too(tmp_path):
    cluster = cluster_of(["a", "b"], b=4)
    other = cluster.known.pop()
    cluster.living = {"a"}

    def says(_, fields):
        if other not in cluster.known:
            cluster.known.append(other)
            cluster.living.add("b")
        return fleets.reply(fields["problem"])

    cluster._says = says
    fleet, _ = fleets.run(tmp_path / "f.jsonl", cluster, TERMS, SUITE)
    assert {host for host, _ in cluster.submitted} == {"a"}
    assert fleet.notes == ["b is left out, it is not identical: physical cores 4, not 2"]


def test_what_a_dead_host_had_is_measured_by_the_others(tmp_path):
    cluster = cluster_of(["a", "b"])

    def says(key, fields):
        if key[0] == "b":
            cluster.living = {"a"}
            return None
        return fleets.reply(fields["problem"])

    cluster._says = says
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster, TERMS, SUITE)
    assert statuses == {(index, "a"): "finished" for index in range(5)}
    assert fleet.notes == ["b is given up: its worker is gone"]
    assert (fleet.done, fleet.total) == (5, 5)


def test_a_host_that_waited_long_for_a_task_is_not_silent(monkeypatch, tmp_path):
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=lambda _: None)
    monkeypatch.setattr(members, "time", clock)
    cluster = cluster_of(["a", "b"])
    answers, quiet = cluster.answers, []

    def says(key, fields):
        if key == ("b", 2):
            clock.now += 10 * (members.TURNS * TERMS.limit_s + members.SLACK_S)
            cluster.living = {"a"}
            quiet.append([])  # the next round has no answer
            return None
        return fleets.reply(fields["problem"])

    cluster._says = says
    cluster.answers = lambda s: quiet.pop() if quiet else answers(s)
    fleet, statuses = fleets.run(tmp_path / "f.jsonl", cluster, TERMS, SUITE[:3])
    assert statuses[2, "a"] == "finished"
    assert fleet.notes == ["b is given up: its worker is gone"]


def test_a_full_disk_ends_a_sweep_and_keeps_what_was_finished(tmp_path):
    path = tmp_path / "points.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ConvprofError, match="cannot be written"):
            swept(path, cluster_of(["a"], says_points))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _, _, lines = swept(path, cluster_of(["a"], says_points))
    assert sorted(line["x"] for line in lines) == [2, 4, 8, 16, 32]


def test_without_any_host_the_command_ends_and_goes_on_later(tmp_path):
    path = tmp_path / "f.jsonl"
    cluster = cluster_of(["a"])

    def says(key, fields):
        if key[1] != CONTROL:
            cluster.living = set()
            return None
        return fleets.reply(fields["problem"])

    cluster._says = says
    with pytest.raises(ConvprofError, match="no host is left: its worker is gone"):
        fleets.run(path, cluster, TERMS, SUITE)
    again = cluster_of(["b"])
    _, statuses = fleets.run(path, again, TERMS, SUITE)
    assert set(statuses.values()) == {"finished"}
    assert sorted(again.submitted) == [("b", index) for index in range(5)]


def test_a_file_is_continued_by_identical_hosts_only(tmp_path):
    path = tmp_path / "f.jsonl"
    fleets.run(path, cluster_of(["a"]), TERMS, SUITE)
    other = cluster_of(["b"])
    other.known = [dataclasses.replace(other.known[0], key="another")]
    with pytest.raises(InputError, match="no host is the machine of the results in the file"):
        fleets.run(path, other, TERMS, SUITE)


def test_what_auto_chose_is_stored_on_every_host(tmp_path, invalid_line):
    choice = {"key": {"machine": "m", "problem": 1}, "choice": {"strategy": "x"}, "made": {}}

    def says(_, fields):
        content = json.loads(fleets.reply(fields["problem"]))
        return json.dumps({**content, "choices": [choice] if fields["sends_choices"] else []})

    cluster = cluster_of(["a", "b"], says)
    fleet, _ = fleets.run(tmp_path / "f.jsonl", cluster, TERMS, SUITE)
    assert set(cluster.stored) == {"a", "b"}
    assert cluster.stored["a"][0] == choice
    assert fleet.notes == ["1 choice of auto: stored on 2 of 2 hosts"]
    _, *lines = map(json.loads, (tmp_path / "f.jsonl").read_text().splitlines())
    assert [invalid_line(line) for line in lines] == [[]] * 6
    assert invalid_line({**lines[0], "choices": [{"key": {}}]})
    everywhere = cluster_of(["a", "b"], says)
    plain_terms = dataclasses.replace(TERMS, spread=False)
    fleets.run(tmp_path / "g.jsonl", everywhere, plain_terms, SUITE)
    assert everywhere.stored == {}


def test_a_sweep_is_one_file_whose_points_name_their_hosts(tmp_path, invalid):
    path = tmp_path / "points.jsonl"
    cluster = cluster_of(["a", "b"], says_points)
    points, fleet, lines = swept(path, cluster)
    remark = points.remark()
    header = json.loads(path.read_text().splitlines()[0])
    assert invalid(header) == []
    assert header["sweep"]["values"] == [2, 4, 8, 16, 32]
    assert sorted(line["x"] for line in lines if "control" not in line) == [2, 4, 8, 16, 32]
    assert {line["host"] for line in lines} == {"a", "b"}
    assert [line["x"] for line in lines if "control" in line] == [8]
    assert remark.startswith("the hosts differ by up to 10.0 %: naive 1 thread at size 8")
    assert (fleet.done, fleet.total, points.failures) == (6, 6, [])
    saved = show.read_any(str(path))
    assert [record["x"] for record in saved.sweep.records] == [2, 4, 8, 16, 32]


def test_a_sweep_goes_on_with_the_points_that_are_left(tmp_path):
    path = tmp_path / "points.jsonl"

    def says(key, fields):
        if key[1] == 3:
            return json.dumps({"status": "failed", "reason": "SIGSEGV ended its process"})
        return says_points(key, fields)

    points, _, lines = swept(path, cluster_of(["a"], says))
    assert sorted(line["x"] for line in lines) == [2, 4, 8, 32]
    assert points.failures == ["size 16 on a: SIGSEGV ended its process"]
    again = cluster_of(["a", "b"], says_points)
    points, fleet, lines = swept(path, again)
    assert sorted(again.submitted) == [("a", 3), ("b", CONTROL)]
    assert sorted(line["x"] for line in lines if "control" not in line) == [2, 4, 8, 16, 32]
    assert (points.failures, fleet.before) == ([], 4)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _: "nonsense", "without sense: it is not JSON"),
        (lambda _: 17, "without sense: a text is missing"),
        (lambda f: fleets.point({**f, "point": {**f["point"], "x": 3}}), "it is another point"),
        (lambda f: fleets.point(f, version="0"), "convprof 0 wrote the result"),
        (lambda f: fleets.point(f, machine="there"), "another machine than the one of the file"),
        (lambda _: '{"status": "refused", "reason": "too large"}', "too large"),
    ],
)
def test_a_reply_that_is_no_point_is_a_failure_with_the_reason(tmp_path, answer, reason):
    def says(key, fields):
        return answer(fields) if key[1] == 3 else says_points(key, fields)

    points, _, lines = swept(tmp_path / "points.jsonl", cluster_of(["a"], says))
    assert sorted(line["x"] for line in lines) == [2, 4, 8, 32]
    assert len(points.failures) == 1
    assert reason in points.failures[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"options": {"strategy": ("tiled",)}}, "strategy naive, here tiled"),
        ({"options": {}}, "measured with strategy naive, here without"),
        ({"by": "machine"}, "its by is worker, here machine"),
    ],
)
def test_a_file_of_another_sweep_is_not_continued(tmp_path, changes, reason):
    path = tmp_path / "points.jsonl"
    swept(path, cluster_of(["a"], says_points))
    with pytest.raises(InputError, match=reason):
        swept(path, cluster_of(["a"], says_points), dataclasses.replace(TERMS, **changes))


def test_another_cpu_is_named_and_a_long_fact_is_not():
    here = identical.facts_here()
    assert identical.difference(here, here) is None
    assert identical.difference({**here, "brand": "X"}, {**here, "brand": "Y"}) == "brand X, not Y"
    assert identical.difference({**here, "caches": []}, here) == "other caches"
    assert hosts.read_identity(hosts.identity("worker", 0)).facts == json.loads(json.dumps(here))
