"""``--isolate`` as a user gives it."""

from __future__ import annotations

import json
import os
import sys

import pytest

from convprof.cli import _status
from convprof.measure.isolated import process

QUICK = ["-t", "1", "--budget", "0.002", "--rounds", "6", "-q"]
CRASH = (
    'read -r line; case "$line" in *naive*) kill -SEGV $$;; esac; '
    f'{{ echo "$line"; cat; }} | {sys.executable} -P -m convprof.measure.isolated.worker'
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


def test_a_strategy_that_crashes_is_a_row_and_the_others_go_on(
    capsys, tmp_path, monkeypatch, invalid
):
    monkeypatch.setattr(process, "COMMAND", ("sh", "-c", CRASH))
    path = tmp_path / "r.json"
    words = ["run", "8x8:8x8", "-s", "naive,blas", *QUICK, "--isolate", "--json", str(path)]
    status = _status(words)
    document = json.loads(path.read_text())
    assert invalid(document) == []
    assert document["settings"]["isolate_s"] == 120
    rows = {m["strategy"]: (m["status"], m["reason"]) for m in document["measurements"]}
    assert rows == {
        "naive": ("failed", "SIGSEGV ended its process (segmentation fault)"),
        "blas": ("ok", None),
    }
    assert "SIGSEGV" in capsys.readouterr().out
    assert status == 1


def test_peers_and_logs_are_measured_in_processes(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "COMMAND", ("false",))
    path = tmp_path / "r.json"
    words = ["compare", "peers", "8x8:8x8", "-s", "naive,blas", *QUICK]
    _status([*words, "--isolate", "5", "--json", str(path)])
    document = json.loads(path.read_text())
    assert {m["reason"] for m in document["measurements"]} == {"its process ended with exit code 1"}
    assert _status(["diagnose", str(path), "--isolate"]) == 2
    assert "--isolate needs --measure" in capsys.readouterr().err


def test_kernels_of_another_process_are_not_printed(capsys):
    assert _status(["run", "8x8:8x8", "--isolate", "--asm"]) == 2
    assert "--asm prints kernels of this process" in capsys.readouterr().err
