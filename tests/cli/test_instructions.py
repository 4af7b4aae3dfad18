from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from convprof.cli import _status
from convprof.machine import facts
from convprof.studies import instructions as study


def convprof(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "convprof", "instructions", *arguments],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ},
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _known():
    if facts().cpu.architecture not in ("x86_64", "aarch64"):
        pytest.skip("no instructions known here")


def test_a_few_rows_of_this_machine_as_json_and_nothing_else():
    done = convprof("--match", "^(add|mul) i64 scalar", "--json", "-", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    rows = {row["name"]: row for row in document["rows"]}
    assert rows.keys() == {"add i64 scalar", "mul i64 scalar"}
    assert all(row["latency"] > 0 < row["reciprocal_throughput"] for row in rows.values())
    assert document["settings"]["match"] == "^(add|mul) i64 scalar"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--match", "["), "convprof: --match [: not a regular expression"),
        (("--match", "quux"), "convprof: --match quux: no instruction's name matches"),
        (("--json", "/nowhere/x"), "convprof: --json /nowhere/x: cannot be written"),
        (("--json", "-", "--csv", "-"), "convprof: --json and --csv cannot both write to stdout"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    done = convprof(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.fixture
def interrupted(monkeypatch):
    def passes(_self):
        yield "compiling the loops"
        raise KeyboardInterrupt

    monkeypatch.setattr(study.Instructions, "passes", passes)


@pytest.mark.usefixtures("interrupted")
def test_interrupted_it_says_so_and_exits_with_130(tmp_path, capsys):
    path = tmp_path / "x.json"
    assert _status(["instructions", "--json", str(path)]) == 130
    assert "interrupted: nothing was measured yet" in capsys.readouterr().err
    assert json.loads(path.read_text())["interrupted"]
