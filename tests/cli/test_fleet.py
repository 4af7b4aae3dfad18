"""`convprof fleet` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import fleets
import psutil
import pytest

from convprof import cli
from convprof.studies.fleet import connect

TIMES = {"node1": (1e-3, 2e-3, 3e-3), "node2": (2e-3, 1e-3, 6e-3)}


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def path(tmp_path):
    """A file of two hosts, one of which has lost a problem."""

    def says(key, fields):
        if key == ("node2", 2):
            return json.dumps({"status": "failed", "reason": "SIGSEGV ended its process"})
        return fleets.reply(fields["problem"], TIMES[key[0]][key[1]], machine=key[0])

    fleets.run(tmp_path / "f.jsonl", fleets.FakeCluster(["node1", "node2"], says))
    return str(tmp_path / "f.jsonl")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_table_has_problems_hosts_failures_and_the_answer(capsys, path):
    status, out, err = run(capsys, "fleet", "table", path)
    assert (status, err) == (0, "")
    problems, hosts = out.split("\n\n")[:2]
    assert problems.splitlines()[1].split()[:3] == ["problem", "│", "node1"] or "node1" in problems
    assert "CPU of node1" in hosts
    assert "failed on node2: 2x2:2x2: SIGSEGV ended its process" in out
    assert "node2 is the fastest: 4.00 ms for the 2 problems that every host finished" in out
    assert f"convprof fleet table {path} --price node2=0.34" in out


def test_prices_files_and_a_report(capsys, path, tmp_path, invalid):
    names = {flag: tmp_path / f"t.{flag}" for flag in ("json", "csv", "markdown")}
    flags = [word for flag, name in names.items() for word in (f"--{flag}", name)]
    prices = ["--price", "node1=1", "--price", "node2=2.5"]
    status, out, _ = run(capsys, "fleet", "table", path, *prices, *flags)
    assert status == 0
    assert "node1 costs the least: 1.39 for a million runs of the suite." in out
    assert invalid(json.loads(names["json"].read_text())) == []
    assert len(names["csv"].read_text().splitlines()) == 1 + 6
    assert "| problem |" in names["markdown"].read_text()


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("node1", "--price node1: write HOST=NUMBER"),
        ("node1=nan", "--price node1=nan: write HOST=NUMBER"),
        ("node3=1", "--price node3=1: no host of this name in the file: node1, node2"),
    ],
)
def test_a_bad_price_is_one_line(capsys, path, price, reason):
    status, out, err = run(capsys, "fleet", "table", path, "--price", price)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert reason in err


def test_show_prints_the_table_of_the_lines_and_of_the_document(capsys, path, tmp_path):
    status, lines, err = run(capsys, "show", path)
    assert (status, err) == (0, "")
    assert "failed on node2: 2x2:2x2: SIGSEGV ended its process" in lines
    assert run(capsys, "show", path, "--json", tmp_path / "t.json")[0] == 0
    assert run(capsys, "show", tmp_path / "t.json") == (0, lines, "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "say where: --workers N on this machine, or --scheduler ADDRESS"),
        (["--workers", "2", "--scheduler", "tcp://x:1"], "say where"),
        (["--scheduler", "nonsense"], "--scheduler nonsense: write tcp://HOST:PORT"),
        (["--scheduler", "http://x:1"], "--scheduler http://x:1: write tcp://HOST:PORT"),
        (["--workers", "2", "--json", "-"], "name a file"),
        (["--workers", "2", "--json", "/dev/full"], "not a regular file"),
        (["--scheduler", "tls://x:1"], "tls:// needs --tls-ca, --tls-cert and --tls-key"),
        (["--scheduler", "tls://x:1", "--tls-ca", "x"], "together"),
        (["--workers", "2", "-s", "nonsense"], "unknown --strategy"),
        (["--workers", "2", "--layout", "x"], "--layout x: use"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_bad_input_is_one_line(capsys, words, reason):
    pytest.importorskip("distributed", reason="Dask is not installed")
    status, out, err = run(capsys, "fleet", "run", "3x4:4x5", *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert reason in err


def test_a_scheduler_that_is_not_there_is_one_line(capsys, monkeypatch, tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr(connect, "CONNECT_S", 0.3)
    address = "tcp://127.0.0.1:9"
    out_file = tmp_path / "f.jsonl"
    words = ["fleet", "run", "3x4:4x5", "--scheduler", address, "--json", out_file]
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"--scheduler {address}: no connection: " in err


SWEEP = ["fleet", "sweep", "4x4:4x4", "--range", "2:8:x2", "-s", "naive", "--workers", "2"]


@pytest.fixture
def two_hosts(monkeypatch):
    """A cluster of two hosts that answer at once; the second one is a little slower."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    seconds = {"worker-0": 1e-3, "worker-1": 1.01e-3}

    def says(key, fields):
        if fields["point"]:
            return fleets.point(fields, seconds[key[0]])
        (dtype,) = fields["options"]["dtype"]
        return fleets.reply(fields["problem"], seconds[key[0]], dtype=dtype)

    cluster = fleets.FakeCluster([*seconds], says)
    monkeypatch.setattr(connect, "connected", lambda _: cluster)
    return cluster


def test_a_sweep_is_shared_by_two_hosts_and_shown_again(capsys, two_hosts, tmp_path):
    path = tmp_path / "points.jsonl"
    flags = ["--spread", "--json", path, "--csv", tmp_path / "points.csv"]
    status, out, err = run(capsys, *SWEEP, *flags)
    assert status == 0
    assert out.startswith("gemm over size (m = n = k) · f32\n")
    assert "worker-1" in out
    assert "note: the hosts differ by up to 1.0 %: naive 1 thread at size 4 takes" in err
    assert "worker-0" in (tmp_path / "points.csv").read_text()
    assert run(capsys, "show", path) == (0, out, "")
    assert run(capsys, *SWEEP, *flags)[:2] == (0, out)
    assert len(two_hosts.submitted) == 4


@pytest.mark.usefixtures("two_hosts")
def test_a_host_gets_only_the_options_that_its_sweep_has(capsys, tmp_path):
    path = tmp_path / "points.jsonl"
    words = ["fleet", "sweep", "4x4:4x4", "--over", "threads", "--range", "1,2", "-s", "naive"]
    status, *_ = run(capsys, *words, "--workers", "2", "--spread", "--json", path)
    assert status == 0
    header = json.loads(path.read_text().splitlines()[0])
    assert not {"threads", "layout", "isolate", "max_error"} & header["options"].keys()
    assert header["settings"]["threads"] == [1, 2]


def test_a_sweep_that_is_not_spread_is_a_table_of_hosts(capsys, two_hosts):
    status, out, _ = run(capsys, *SWEEP)
    assert status == 0
    assert "worker-0 and worker-1 are the same within 2 %" in out
    assert len(two_hosts.submitted) == 6


@pytest.mark.usefixtures("two_hosts")
def test_a_suite_that_is_spread_is_one_column(capsys, tmp_path, invalid):
    words = ["fleet", "run", "3x4:4x5", "4x4:4x4", "--workers", "2", "--spread"]
    status, out, _ = run(capsys, *words, "--json", tmp_path / "f.jsonl")
    assert status == 0
    assert "any host [" in out
    assert "the hosts differ by up to 1.0 %" in out
    table, shown = tmp_path / "t.json", ["show", tmp_path / "t.json"]
    assert run(capsys, "fleet", "table", tmp_path / "f.jsonl", "--json", table)[0] == 0
    assert invalid(json.loads(table.read_text())) == []
    assert "the hosts differ by up to 1.0 %" in run(capsys, *shown)[1]
    priced = run(capsys, "fleet", "table", tmp_path / "f.jsonl", "--price", "any host=0.5")[1]
    assert "runs of the suite cost 0.278 on any host" in priced


@pytest.mark.usefixtures("two_hosts")
def test_the_types_and_epilogues_of_a_shape_file_hold(capsys, tmp_path, invalid):
    shapes, path, table = (tmp_path / name for name in ("shapes", "f.jsonl", "t.json"))
    shapes.write_text("--matmul\n4x4:4x4\n--dt=bf16\n4x4:4x4\n--attr-post-ops=relu\n4x4:4x4\n")
    words = ["fleet", "run", "--batch", shapes, "--workers", "2"]
    status, out, _ = run(capsys, *words, "--json", path)
    assert status == 0
    assert "with naive · several types" in out
    rows = [" ".join(line.split()) for line in out.splitlines() if line.startswith("4x4:4x4")]
    beginnings = ("4x4:4x4 f32 ", "4x4:4x4 bf16 ", "4x4:4x4 + relu bf16 ")
    assert all(map(str.startswith, rows, beginnings))
    assert len(rows) == len(beginnings)
    assert run(capsys, "fleet", "table", path, "--json", table) == (0, out, "")
    document = json.loads(table.read_text())
    assert invalid(document) == []
    assert [row["dtype"] for row in document["rows"]] == ["f32", "bf16", "bf16"]
    assert out.startswith(run(capsys, "show", table)[1])
    one_type = run(capsys, *words, "--dtype", "f16")[1]
    assert "with naive · f16" in one_type


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["4x4:4x4", "--over", "nonsense"], "--over nonsense: a gemm is swept over size, batch"),
        (["4x4:4x4", "--over", "threads"], "--over threads: also say --range"),
        (["4x4:4x4", "--over", "tile"], "--over tile needs --spread"),
        (["4x4:4x4", "--over", "threads", "--range", "2"], "--over threads needs --spread"),
        (
            ["4x4:4x4", "--over", "threads", "--range", "2", "-t", "2", "--spread"],
            "--threads: with --over threads, --range says how many",
        ),
        (["4x4:4x4", "--range", "x"], "'x' is not a range"),
        (["1x4x8x16", "--range", "2"], "1x4x8x16"),
        (["resnet50", "--spread"], "a sweep takes one matrix product or one convolution"),
        (["4x4:4x4", "--spread", "--json", "-"], "name a file"),
    ],
)
def test_bad_input_of_a_sweep_is_one_line(capsys, two_hosts, words, reason):
    status, out, err = run(capsys, "fleet", "sweep", *words, "--workers", "2")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert reason in err
    assert two_hosts.submitted == []


def test_without_dask_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, _, err = run(capsys, "fleet", "run", "3x4:4x5", "--workers", "1")
    assert status == 1
    assert "pip install 'convprof[fleet]'" in err


def test_a_dask_that_cannot_start_is_one_line(capsys, monkeypatch):
    class Failing:
        def find_spec(self, name, *_):
            if name == "dask":
                raise RuntimeError("process PID not found (pid=7)")

    for name in ("dask", "distributed"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Failing(), *sys.meta_path])
    status, _, err = run(capsys, "fleet", "run", "3x4:4x5", "--workers", "1")
    assert (status, err.count("\n")) == (1, 1)
    assert "fleet run needs Dask" in err
    assert "process PID not found" in err


def test_a_killed_command_is_continued(tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed")
    pytest.importorskip("cryptography", reason="cryptography is not installed")
    path = tmp_path / "f.jsonl"
    words = ["fleet", "run", "3x4:4x5", "4x4:4x4", "-s", "naive", "-t", "1", "--budget", "0.001"]
    command = [sys.executable, "-m", "convprof", *words, "--workers", "1", "--json", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        until = time.monotonic() + 60
        while not path.exists() or len(path.read_bytes().splitlines()) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        workers = psutil.Process(first.pid).children(recursive=True)
        first.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()][1:]
    assert sorted(line["index"] for line in lines) == [0, 1]
    assert {line["status"] for line in lines} == {"finished"}
    assert "worker-0 takes" in done.stdout


def test_the_strategies_are_columns_where_they_differ(capsys, monkeypatch, tmp_path):
    def says(key, fields):
        name = "tiled" if key == ("node1", 1) else "naive"
        content = json.loads(fleets.reply(fields["problem"]))
        content["document"]["measurements"][0]["strategy"] = name
        return json.dumps(content)

    path = tmp_path / "f.jsonl"
    fleets.run(path, fleets.FakeCluster(["node1"], says))
    text = run(capsys, "fleet", "table", path)[1]
    assert "each problem on each host, with its fastest strategy · f32" in text
    assert "tiled" in text
    monkeypatch.setenv("COLUMNS", "40")
    assert "strategy" in run(capsys, "fleet", "table", path)[1].partition("not shown at 40")[2]
