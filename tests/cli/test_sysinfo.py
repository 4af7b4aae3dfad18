from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from convprof.cli import _status
from convprof.cli import sysinfo as cli
from convprof.studies import sysinfo as study

DOCUMENT = {"schema_version": 1, "machine": {"cpu": {"brand": "Example µ"}}, "notes": []}


def convprof(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "convprof", "sysinfo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


@pytest.fixture
def measured(monkeypatch):
    """Gather at once; return how often it was asked for."""
    calls = []

    def gather():
        calls.append(1)
        return DOCUMENT

    monkeypatch.setattr(study, "gather", gather)
    return calls


def test_this_machine_as_json_and_nothing_else():
    done = convprof("--json", "-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"machine", "state", "clock", "ceilings", "counters", "threads"} < document.keys()
    assert document["notes"] == []
    assert all(peak["flop_per_s"] > 0 for peak in document["ceilings"]["peaks"])
    assert all(line.startswith("busy: ") for line in done.stderr.splitlines())


def test_unwritable_path_is_one_line_before_measuring(tmp_path):
    path = tmp_path / "none" / "x.json"
    done = convprof("--json", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    folder = path.parent
    assert done.stderr == (
        f"convprof: --json {path}: cannot be written: there is no folder {folder}. "
        "Create it first, or use '-' for stdout\n"
    )


def test_unwritable_path_measures_nothing(measured, tmp_path):
    result = CliRunner().invoke(cli.command, ["--json", str(tmp_path)])
    assert "it is a folder" in str(result.exception)
    assert measured == []


def test_a_file_and_the_tables(measured, tmp_path):
    path = tmp_path / "x.json"
    result = CliRunner().invoke(cli.command, ["--json", str(path)])
    assert result.exit_code == 0, result.exception
    assert json.loads(path.read_text()) == DOCUMENT
    assert [path] == list(tmp_path.iterdir())
    assert "Example µ" in result.stdout
    assert measured == [1]


def test_the_tables_alone(measured, capsys):
    assert _status(["sysinfo"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("CPU\n  name")
    assert "\x1b" not in captured.out
    assert captured.err == ""
    assert measured == [1]


@pytest.mark.parametrize(
    ("color", "escapes"), [("auto", False), ("always", True), ("never", False)]
)
@pytest.mark.usefixtures("measured")
def test_colour_when_piped(color, escapes, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    result = CliRunner().invoke(cli.command, ["--color", color])
    assert escapes == ("\x1b[" in result.output)


def test_a_colour_that_does_not_exist():
    done = convprof("--color", "green")
    assert done.returncode == 2
    assert "green" in done.stderr
    assert "Traceback" not in done.stderr
