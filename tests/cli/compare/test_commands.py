"""``compare commands`` as a user gives it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import slowed
from environment_folders import same, script

from convprof.cli import _status

SLOWED = str(Path(slowed.__file__))
WORDS = ["compare", "commands", "64x64:64x64", "-s", "packed", "-t", "1", "--rounds", "8"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


@pytest.mark.usefixtures("_free_ceilings")
def test_a_slower_environment_is_found_and_shown_again(capsys, tmp_path, invalid, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    slow = same(tmp_path, "slow", "-I", SLOWED, "30")
    path, page = tmp_path / "r.json", tmp_path / "r.md"
    flags = ["--fail-on", "slower:5%", "--json", str(path), "--markdown", str(page), "-q"]
    pythons = ["--python", sys.executable, "--python", slow]
    assert _status([*WORDS, *pythons, *flags]) == 4
    printed = capsys.readouterr().out
    assert f"A: {sys.executable}" in printed.replace("\n", "")
    assert "no version differs" in printed
    assert "slower" in printed
    assert "the limit is exceeded" in printed.replace("\n", " ")
    document = json.loads(path.read_text())
    assert invalid(document) == []
    assert [m["environment"] for m in document["measurements"]] == ["A", "B"]
    (comparison,) = document["comparisons"]
    assert comparison["verdict"] == "slower"
    assert comparison["ratio"] > 3
    assert [each["name"] for each in document["settings"]["environments"]] == ["A", "B"]
    assert "| B/A |" in page.read_text()
    assert _status(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "slower" in shown
    assert "B is slower" in shown
    assert "next:" not in shown  # it would start a program that a stranger's file names
    assert _status(["show", str(path), "--csv", "-"]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert "compared.with_environment" in heading
    assert "environments" in second
    assert "environments" not in first


@pytest.mark.usefixtures("_free_ceilings")
def test_each_environment_has_several_processes(capsys, tmp_path, invalid):
    """Whatever the verdict is: on a busy machine two processes may differ by any factor."""
    path = tmp_path / "r.json"
    pythons = ["--python", sys.executable, "--python", same(tmp_path, "other")]
    assert _status([*WORDS, *pythons, "--processes", "2", "--json", str(path), "-q"]) == 0
    assert "2 processes of each" in capsys.readouterr().out
    document = json.loads(path.read_text())
    assert invalid(document) == []
    assert [comparison["processes"] for comparison in document["comparisons"]] == [2]


@pytest.mark.usefixtures("_free_ceilings")
def test_a_strategy_that_dies_in_one_environment_is_lost(capsys, tmp_path):
    dies = script(
        tmp_path,
        "dies",
        # the examination gets what the Python says; a contestant's process ends
        f"if [ -e {tmp_path}/seen ]; then read line; kill -SEGV $$; fi; touch {tmp_path}/seen\n"
        f'exec {sys.executable} "$@"',
    )
    pythons = ["--python", sys.executable, "--python", dies]
    assert _status([*WORDS, *pythons, "--fail-on", "slower:5%", "-q"]) == 4
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "SIGSEGV ended its process" in printed
    assert "a result that is lost counts as slower" in printed


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "name 2 to 8 environments: --python old/bin/python --python new/bin/python"),
        (["--python", sys.executable], "name 2 to 8 environments"),
        (
            ["--python", "/nowhere/python", "--python", sys.executable],
            "--python /nowhere/python: there is no program of this name",
        ),
        (
            ["--python", "/bin/false", "--python", sys.executable],
            "--python /bin/false: convprof cannot run in it: its process ended with exit code 1",
        ),
    ],
)
def test_bad_environments_are_one_line(capsys, flags, line):
    assert _status([*WORDS, *flags]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


def programs(*commands):
    flags = [word for command in commands for word in ("--command", command)]
    return ["compare", "commands", *flags]


def test_whole_programs_are_compared(capsys, tmp_path, invalid, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path, table = tmp_path / "p.json", tmp_path / "p.csv"
    words = programs("true", "sleep 0.1")
    flags = ["--rounds", "6", "--fail-on", "slower:5%", "--json", str(path), "--csv", str(table)]
    assert _status([*words, *flags, "-q"]) == 4
    printed = capsys.readouterr().out
    assert "Whole programs, 6 runs of each" in printed
    assert "B is slower" in printed
    assert max(map(len, printed.split("next:")[0].splitlines())) <= 80
    document = json.loads(path.read_text())
    assert invalid(document) == []
    assert [p["command"] for p in document["programs"]] == ["true", "sleep 0.1"]
    assert _status(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "Whole programs, 6 runs of each" in shown
    assert "B is slower" in shown
    assert "next:" not in shown
    heading, _, second = table.read_text().splitlines()
    assert "processor_s" in heading
    assert "slower" in second


def test_a_program_that_fails_is_a_line(capsys):
    assert _status([*programs("true", "false"), "--rounds", "6", "-q"]) == 1
    printed = capsys.readouterr().out
    assert "failed: B: its process ended with exit code 1" in printed


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (programs("true"), "name 2 to 8 programs"),
        (programs("true", "a 'b"), "--command a 'b: no closing quotation in it"),
        (programs("true", " "), "--command ' ': this is not a command line"),
        ([*programs("true", "true"), "-s", "torch"], "leave out --strategy"),
        ([*programs("true", "true"), "8x8:8x8"], "leave out PROBLEM"),
        ([*programs("true", "true"), "--save", "x"], "leave out --save"),
    ],
)
def test_bad_programs_are_one_line(capsys, words, line):
    assert _status(words) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
