"""A fleet on real Dask workers of this machine, with tasks that take no time."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fleets
import pytest

from convprof.errors import ConvprofError, InputError
from convprof.studies.fleet import connect, hosts, task
from convprof.studies.fleet.cluster import DaskCluster
from convprof.studies.fleet.connect import Place, Tls

pytest.importorskip("dask", reason="Dask is not installed")
pytest.importorskip("distributed", reason="Dask is not installed")
pytest.importorskip("cryptography", reason="cryptography is not installed")

TERMS = dataclasses.replace(fleets.TERMS, limit_s=20.0, away_s=20.0)


@pytest.fixture(scope="module")
def cluster():
    """Two workers in processes of their own."""
    cluster = connect.connected(Place("worker", 2))
    yield cluster
    cluster.close()


def stub(seconds=0.0):
    """Return a task that answers with the name of its worker as its brand.

    A closure: Dask sends it as it is, because workers cannot import tests.
    """
    head = fleets.document([fleets.measurement(fleets.SUITE[0].problem)])

    def measure(data):
        import json
        import time

        from distributed import get_worker

        fields = json.loads(data)
        time.sleep(seconds)
        head["measurements"][0]["problem"] = {**fields["problem"], "name": None}
        head["machine"]["brand"] = f"worker-{get_worker().name}"
        return json.dumps({"status": "finished", "document": head})

    return measure


def pids(cluster):
    return cluster._client.run(os.getpid)


def test_each_problem_is_measured_on_the_host_it_is_pinned_to(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(task, "measure", stub())
    path = tmp_path / "f.jsonl"
    _, statuses = fleets.run(path, cluster, TERMS)
    assert statuses == {(i, f"worker-{w}"): "finished" for i in range(3) for w in range(2)}
    _, *lines = map(json.loads, path.read_text().splitlines())
    assert all(line["document"]["machine"]["brand"] == line["host"] for line in lines)


def test_a_worker_that_is_killed_loses_nothing_where_a_nanny_starts_it_again(
    cluster, monkeypatch, tmp_path
):
    monkeypatch.setattr(task, "measure", stub(0.2))
    before = pids(cluster)
    with fleets.journal_of(tmp_path / "f.jsonl", terms=TERMS) as journal:
        fleet = fleets.fleet_of(cluster, journal, terms=TERMS)
        for _ in fleet.events():
            if before and fleet.done:
                os.kill(before.popitem()[1], signal.SIGKILL)
                before = {}
        assert set(fleets.statuses(journal).values()) == {"finished"}
        assert fleet.done == 6


def test_a_task_that_raises_is_a_row(cluster, monkeypatch, tmp_path):
    def measure(data):
        raise ValueError(f"no {len(data) > 0}")

    monkeypatch.setattr(task, "measure", measure)
    path = tmp_path / "f.jsonl"
    _, statuses = fleets.run(path, cluster, TERMS, fleets.SUITE[:1])
    assert set(statuses.values()) == {"failed"}
    assert "ValueError: no True" in path.read_text()


def xs_of(path):
    """Return the points in a file, and its hosts."""
    _, *lines = map(json.loads, path.read_text().splitlines())
    return sorted(line["x"] for line in lines if "control" not in line), {
        line["host"] for line in lines
    }


def test_a_worker_that_is_killed_loses_no_point_of_a_sweep(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(task, "measure", fleets.points(fleets.RANGE, 0.1))
    before = pids(cluster)
    path = tmp_path / "f.jsonl"
    for _, fleet in fleets.sweep(path, cluster):
        if before and fleet.done:
            os.kill(before.popitem()[1], signal.SIGKILL)
            before = {}
    assert xs_of(path) == (list(fleets.RANGE.values), {"worker-0", "worker-1"})


def test_a_sweep_whose_client_is_killed_is_continued(cluster, monkeypatch, tmp_path):
    path = tmp_path / "f.jsonl"
    tls = tls_of(cluster._local.security, tmp_path / "own")
    go = tmp_path / "go"
    words = [path, go, cluster._local.scheduler_address, tls.ca, tls.cert, tls.key]
    script = "import sys; import fleets; fleets.held_client(*sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(Path(fleets.__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as client:
        until = time.monotonic() + 60
        while not path.exists() or len(path.read_bytes().splitlines()) < 2:
            assert time.monotonic() < until
            assert client.poll() is None, client.stderr.read()
            time.sleep(0.02)
        client.kill()
    go.touch()
    finished = xs_of(path)[0]
    assert len(finished) < len(fleets.RANGE.values)
    monkeypatch.setattr(task, "measure", fleets.points(fleets.RANGE))
    *_, (_, fleet) = fleets.sweep(path, cluster)
    assert xs_of(path) == (list(fleets.RANGE.values), {"worker-0", "worker-1"})
    assert fleet.before >= len(finished)


def process(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,
    )


def test_a_host_dies_and_then_the_scheduler(monkeypatch, tmp_path):
    file = tmp_path / "scheduler.json"
    at = ["--scheduler-file", str(file), "--no-dashboard"]
    options = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
    processes = [
        process("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *at),
        *(process("dask_worker", *at, *options, "--name", name) for name in ("a", "b")),
    ]
    try:
        until = time.monotonic() + 30
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        cluster = connect.connected(Place("worker", 0, address))
        terms = dataclasses.replace(TERMS, hosts=2, away_s=20.0)
        monkeypatch.setattr(task, "measure", stub(0.5))
        path = tmp_path / "f.jsonl"
        with fleets.journal_of(path, terms=terms) as journal:
            fleet = fleets.fleet_of(cluster, journal, terms=terms)
            for _ in fleet.events():
                if fleet.done and processes[2].poll() is None:
                    processes[2].kill()
                    fleet._members._terms = dataclasses.replace(terms, away_s=0.2)
            known = fleets.statuses(journal)
        assert [known[i, "a"] for i in range(3)] == ["finished"] * 3
        assert "failed" in {known[i, "b"] for i in range(3)}
        other = tmp_path / "other.jsonl"
        monkeypatch.setattr(task, "measure", stub(0.5))
        monkeypatch.setattr(cluster._client, "_timeout", 1.0)  # for connecting again
        with fleets.journal_of(other, terms=terms) as journal:
            fleet = fleets.fleet_of(cluster, journal, terms=dataclasses.replace(terms, hosts=1))
            with pytest.raises(ConvprofError, match="scheduler"):  # noqa: PT012
                for _ in fleet.events():
                    if fleet.done:
                        processes[0].kill()
            assert set(fleets.statuses(journal).values()) == {"finished"}
        cluster.close()
    finally:
        for each in processes:
            each.kill()
            each.wait()


def tls_of(security, folder):
    """Return the files of a client's certificate."""
    texts = (security.tls_ca_file, security.tls_client_cert, security.tls_client_key)
    paths = [folder / name for name in ("ca", "cert", "key")]
    folder.mkdir()
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="ascii")
    return Tls(*map(str, paths))


def test_only_a_client_with_a_certificate_of_the_authority_gets_in(tmp_path):
    import distributed

    own, other = distributed.Security.temporary(), distributed.Security.temporary()
    local = distributed.LocalCluster(
        n_workers=0, dashboard_address="127.0.0.1:0", security=own, silence_logs=50
    )
    address = local.scheduler_address
    try:
        connect.connected(Place("machine", 0, address, tls_of(own, tmp_path / "own"))).close()
        wrong = Place("machine", 0, address, tls_of(other, tmp_path / "other"))
        with pytest.raises(InputError, match=r"no connection: .*(?i:certificate)") as error:
            connect.connected(wrong)
        assert "\n" not in str(error.value)
        lost = dataclasses.replace(wrong.tls, key=str(tmp_path / "nothing"))
        with pytest.raises(InputError, match=r"tls_key=.*nothing: cannot be read: No such file"):
            connect.connected(dataclasses.replace(wrong, tls=lost))
    finally:
        local.close()


def test_the_logs_of_dask_in_this_process_are_short(cluster):
    scheduler = cluster._local.scheduler
    assert scheduler.transition_log.maxlen == connect.KEPT
    assert scheduler.computations.maxlen == 1


def test_what_a_worker_says_of_itself(cluster):
    known = cluster.identities()
    assert sorted(identity.host for identity in known) == ["worker-0", "worker-1"]
    assert all(identity.versions == hosts.versions() for identity in known)


class Scheduler:
    """What a client says of a scheduler with a host, a new worker, and one that has ended."""

    def __init__(self):
        self.known = {
            "tcp://a:1": {"name": "a", "status": "running", "resources": {"convprof on a": 1}},
            "tcp://b:1": {"name": "b", "status": "init", "resources": {}},
            "tcp://c:1": {"name": "c", "status": "closing", "resources": {}},
        }
        self.asked = []

    def scheduler_info(self, n_workers):
        assert n_workers == -1
        return {"workers": dict(self.known)}

    def retire_workers(self, addresses, *, close_workers):
        assert close_workers
        for address in addresses:
            del self.known[address]

    def register_plugin(self, _):
        self.asked.append(sorted(self.known))

    def run(self, _function, _argument, *, workers, on_error):
        assert on_error == "return"
        self.asked.append(workers)
        return {}


def test_a_worker_that_has_ended_is_said_and_not_asked():
    """The scheduler lists it for minutes, and waits for it."""
    known = object.__new__(DaskCluster)
    known._client, known._by = Scheduler(), "worker"
    workers = known.workers()
    assert (workers.of_hosts, workers.ended) == ({"a": {"tcp://a:1"}}, {"c"})
    assert known.identities() == []
    known.claim()
    assert known._client.asked == [["tcp://a:1", "tcp://b:1"]] * 2
    assert known.workers().ended == set()
