"""``--isolate`` as a user gives it."""

from __future__ import annotations

import json
import os
import sys

import click
import pytest

from convprof.cli import _status, cli, isolation
from convprof.measure.isolated import process
from convprof.measure.isolated.processes import HERE

QUICK = ["-t", "1", "--budget", "0.002", "--rounds", "6", "-q"]
CRASH = """
import os, signal
from convprof.measure.isolated import worker
from convprof.strategies import registry

def find(kind, name):
    return os.kill(os.getpid(), signal.SIGSEGV) if name == "naive" else registry.find(kind, name)

worker.serve(find)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


@pytest.fixture(autouse=True)
def _libraries_compute_here():
    """Libraries compute in other processes, as for users."""


def test_a_strategy_that_crashes_is_a_row_and_the_others_go_on(
    capsys, tmp_path, monkeypatch, invalid
):
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-P", "-c", CRASH))
    path = tmp_path / "r.json"
    words = ["run", "8x8:8x8", "-s", "naive,blas", *QUICK, "--isolate", "--json", str(path)]
    status = _status(words)
    document = json.loads(path.read_text())
    assert invalid(document) == []
    settings = document["settings"]
    assert (settings["isolate_s"], settings["isolated"]) == (120, "all")
    rows = {m["strategy"]: (m["status"], m["reason"]) for m in document["measurements"]}
    assert rows == {
        "naive": (
            "failed",
            "SIGSEGV ended its process (segmentation fault); without isolation the crash is shown",
        ),
        "blas": ("ok", None),
    }
    assert "SIGSEGV" in capsys.readouterr().out
    assert status == 1


@pytest.fixture
def peers(tmp_path, monkeypatch, invalid):
    """Return what compares where no process works: its settings, and what fails."""
    monkeypatch.setattr(process, "COMMAND", ("false",))
    path = tmp_path / "r.json"

    def compare(*words):
        command = ["compare", "peers", "8x8:8x8", "-s", "naive,blas", *QUICK]
        _status([*command, *words, "--json", str(path)])
        document = json.loads(path.read_text())
        assert invalid(document) == []
        reasons = {m["strategy"]: m["reason"] for m in document["measurements"] if m["reason"]}
        text = "its process ended with exit code 1; without isolation the crash is shown"
        assert set(reasons.values()) <= {text}
        settings = document["settings"]
        return (settings["isolate_s"], settings["isolated"], *sorted(reasons))

    return compare


def test_libraries_of_a_comparison_compute_in_other_processes(peers):
    assert peers() == (120, "libraries", "blas")
    assert peers("--isolate", "5") == (5, "all", "blas", "naive")
    assert peers("--isolate", "none") == (None, None)


@pytest.mark.parametrize(
    ("words", "default"),
    [
        (("run",), "none"),
        (("compare", "peers"), "libraries"),
        (("diagnose",), "libraries"),
        (("trace",), "libraries"),
        (("fleet", "run"), "libraries"),
    ],
)
def test_only_run_computes_libraries_in_its_own_process_by_default(words, default):
    command = cli
    for word in words:
        command = command.get_command(click.Context(command), word)
    (option,) = [each for each in command.params if each.name == "isolate"]
    assert option.default == default


def test_a_log_that_is_not_measured_needs_no_processes(capsys, tmp_path):
    log = tmp_path / "run.log"
    log.write_text("")
    assert _status(["diagnose", str(log), "--isolate", "none"]) == 2
    assert "--isolate needs --measure" in capsys.readouterr().err


def test_another_word_is_refused_in_one_line(capsys):
    assert _status(["run", "8x8:8x8", "--isolate=some"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "'some' is not a number of seconds, libraries or none." in line


def test_a_system_without_processes_says_so_if_they_are_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(process, "IS_SUPPORTED", False)
    monkeypatch.setattr(isolation, "is_given", lambda: False)
    assert isolation.processes({"isolate": "libraries", "quiet": False}) is HERE
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(isolation, "is_given", lambda: True)
    assert isolation.processes({"isolate": 5.0, "quiet": True}) is HERE
    assert capsys.readouterr().err == ""
    assert isolation.processes({"isolate": 5.0, "quiet": False}) is HERE
    assert "--isolate needs a POSIX system" in capsys.readouterr().err


def test_kernels_of_another_process_are_not_printed(capsys):
    assert _status(["run", "8x8:8x8", "--isolate", "--asm"]) == 2
    assert "--asm prints kernels of this process" in capsys.readouterr().err
