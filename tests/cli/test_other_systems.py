"""Windows, macOS and sandboxes, simulated: every command answers, or refuses in one line."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "helpers" / "other_system.py"
LOG = Path(__file__).parents[1] / "data" / "logs" / "onednn-3.12.log"
QUICK = ["-t", "1", "--budget", "0.001", "--rounds", "2"]
CONV = "mb1ic3ih6oc4kh3ph1"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="simulated on Linux")


def commands(folder):
    saved, points = str(folder / "r.json"), str(folder / "points.jsonl")
    sweep = ["sweep", "gemm", "--over", "size", "--range", "4:8:+4", "-s", "naive", *QUICK]
    return [
        ["sysinfo"],
        ["run", "8x8:8x8", "-s", "naive,blas,packed", *QUICK, "--save", "here", "--json", saved],
        ["run", "8x8:8x8", "-s", "packed", "-t", "2", "--budget", "0.001", "--rounds", "2"],
        ["run", CONV, "-s", "direct,auto", *QUICK, "--cache", "cold", "--wait-idle", "0.01"],
        ["run", "8x8:8x8", "-s", "naive", *QUICK, "--isolate"],
        ["run", "resnet50:*", "--dry-run"],
        ["history"],
        ["show", "last"],
        ["roofline", saved],
        ["compare", "results", saved, saved],
        ["compare", "layouts", CONV, "-s", "direct", *QUICK],
        ["compare", "dtypes", "8x8:8x8", "--dtype", "f32,f64", *QUICK],
        ["network", "lenet5", "--summary"],
        [*sweep, "--json", points],
        ["show", points],
        ["study", "threads", "8x8:8x8", "--cores", "4", "--budget", "0.001"],
        ["explain", "im2col"],
        ["strategies", CONV],
        ["cache"],
        ["cache", "--clear", "choices"],
        ["ceilings", "-t", "1"],
        ["diagnose", str(LOG)],
        ["repro", "8x8:8x8", "-s", "blas", "--output", str(folder / "repro.py")],
        ["--version"],
    ]


REFUSED = [
    ["trace", "--", sys.executable, "-c", ""],
    ["compare", "commands", "8x8:8x8", *(2 * ["--python", sys.executable])],
]
"""What Windows lacks the means for."""


def on(system, folder, words):
    variables = {
        **os.environ,
        "CONVPROF_CACHE_DIR": str(folder / "kept"),
        "XDG_DATA_HOME": str(folder),
        "LOCALAPPDATA": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.read_text(encoding="utf-8"), system],  # as `-m`: of here
        input=json.dumps(words),
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answered(found):
    return {text: each for text, each in found.items() if each["status"] or each["failed"]}


def test_on_windows_every_command_answers_or_refuses_in_one_line(tmp_path):
    found = on("windows", tmp_path, [*commands(tmp_path), *REFUSED])
    refused = [found.pop(" ".join(words)) for words in REFUSED]
    assert answered(found) == {}
    for each in refused:
        assert each["status"] in (1, 2)
        assert each["trace"] == ""
        assert "POSIX system" in each["last"]


def test_on_macos_without_a_cache_of_known_size(tmp_path):
    if platform.machine() != "x86_64":
        pytest.skip("the features of an Arm Mac's CPU come from its own library")
    assert answered(on("macos", tmp_path, commands(tmp_path)[:2])) == {}
    (row, *_) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert (row["status"], row["bound"], row["level"]) == ("ok", None, None)


def test_in_a_sandbox_that_shows_nothing_of_the_kernel(tmp_path):
    assert answered(on("sandbox", tmp_path, commands(tmp_path)[:2])) == {}
