"""A task: a process with a time limit, on a host that no other task has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from convprof.problems import parse
from convprof.studies.fleet import claim, hosts, reply, request, task
from convprof.studies.fleet.request import Request

PROBLEM = request.described(parse("3x4:4x5"))
QUICK = {"strategy": ("naive",), "threads": ("1",), "budget": ("0.001",)}
ASKED = Request(PROBLEM, "a", "machine", 60.0, QUICK)
WRITE = "import sys; open(sys.argv[sys.argv.index('--json') + 1], 'w').write({text!r}); {end}"


@pytest.fixture(autouse=True)
def _own_lock(monkeypatch, tmp_path):
    monkeypatch.setattr(claim, "lock_file", lambda: tmp_path / "lock")


def measured(monkeypatch, script, limit_s=20.0):
    monkeypatch.setattr(task, "COMMAND", (sys.executable, "-c", script))
    return task.measured(Request(PROBLEM, "a", "machine", limit_s), os.environ)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (WRITE.format(text='{"x": 1}', end="sys.exit(1)"), ("finished", {"x": 1})),
        (WRITE.format(text="{", end=""), ("failed", "it is not JSON")),
        ("import os; os.abort()", ("failed", "SIGABRT ended its process (aborted)")),
        (
            "print('x'); raise SystemExit('why')",
            ("failed", "its process ended with exit code 1: why"),
        ),
        (
            "import sys; print('convprof: too large', file=sys.stderr); sys.exit(2)",
            ("refused", "too large"),
        ),
    ],
)
def test_how_a_process_ends_is_the_reply(monkeypatch, script, expected):
    answer = None
    try:
        answer = measured(monkeypatch, script)
    except Exception as error:  # noqa: BLE001  # `measure` makes a reply of it
        answer = {"status": "failed", "reason": str(error)}
    assert (answer["status"], answer.get("document") or answer["reason"]) == expected


def test_a_process_that_takes_too_long_is_ended(monkeypatch):
    start = time.monotonic()
    answer = measured(monkeypatch, "import time; time.sleep(60)", limit_s=0.3)
    assert answer["reason"] == "it took longer than 0.3 s: its process was ended"
    assert time.monotonic() - start < 20


def test_two_tasks_never_share_a_host(monkeypatch, tmp_path):
    log = tmp_path / "log"
    script = (
        f"import time; f = open({str(log)!r}, 'a', buffering=1); f.write('in '); time.sleep(0.1); "
        "f.write('out ')"
    )
    threads = [threading.Thread(target=measured, args=(monkeypatch, script)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.read_text().split() == ["in", "out"] * 3


def test_a_killed_worker_gives_its_claim_back(tmp_path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom convprof.studies.fleet import claim\n"
        f"claim.lock_file = lambda: Path({str(tmp_path / 'lock')!r})\n"
        "with claim.claimed():\n    print('claimed', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"claimed\n"
        process.kill()
    with claim.claimed():
        assert (tmp_path / "lock").exists()


def test_a_host_measures_a_problem():
    answer = task.measured(ASKED, os.environ)
    read = reply.read(json.dumps(answer), PROBLEM, "f32")
    assert (read.status, read.reason) == ("finished", None)
    assert {m.strategy for m in read.document.measurements} == {"naive"}


def test_what_dask_sets_for_its_workers_is_not_passed_on(monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    variables = task.environment()
    assert "OMP_NUM_THREADS" not in variables  # the value that Dask sets
    assert variables["MKL_NUM_THREADS"] == "7"


def test_the_name_of_a_host():
    assert hosts.label("machine", "node1", "tcp://10.0.0.1:4000") == "node1"
    assert hosts.label("worker", "node1", "tcp://10.0.0.1:4000") == "10.0.0.1:4000"
    assert hosts.label("worker", "node1", 0) == "worker-0"
    assert hosts.label("worker", "node1", "big-cores") == "big-cores"


def test_every_user_can_claim_the_host_whatever_the_umask_of_the_first_one(monkeypatch, tmp_path):
    monkeypatch.setattr(claim, "lock_file", lambda: tmp_path / "host.lock")
    before = os.umask(0o077)
    try:
        with claim.claimed():
            assert (tmp_path / "host.lock").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)
