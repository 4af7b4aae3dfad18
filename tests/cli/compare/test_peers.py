"""``compare peers`` as a user runs it, on problems that take microseconds."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.strategies.peers import package

SMALL = "mb1ic4ih9iw8oc6oh9ow8kh3kw3ph1pw1"
OTHER = "mb1ic8ih5oc8oh5kh1ph0"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs" / "result-schema.json").read_text())
)
QUICK = ["-t", "1", "--budget", "0.002", "--rounds", "6"]

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch not installed: pip install 'convprof[peers]'",
)


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@needs_torch
def test_one_problem_lists_everyone_and_concludes(capsys):
    status, out, _ = run(capsys, "compare", "peers", SMALL, "-s", "tiled,torch", *QUICK)
    lines = out.splitlines()
    assert lines[0].startswith("conv2d 1x4x9x8 -> 6, 3x3, pad 1")
    assert sum(line.startswith("convprof   tiled") for line in lines) == 2
    assert sum(line.startswith("library    torch") for line in lines) == 2
    answer = [line for line in lines if line.startswith("On 1 thread")]
    assert len(answer) == 1
    assert "torch n" in answer[0]
    assert status == 0


def test_totals_count_the_lines_after_a_reset_in_the_type_of_the_command(capsys, tmp_path):
    shapes = tmp_path / "shapes"
    shapes.write_text("--matmul --dt=f64\n8x8:8x8\n--reset\n9x9:9x9\n9x9:9x9\n")
    words = ["compare", "peers", "--batch", shapes, "-s", "tiled,blas", *QUICK]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "total of 2 problems, each as often as it was named (3 layers), on 1 thread" in out


@needs_torch
def test_several_problems_have_a_row_each_and_the_document_is_valid(capsys, tmp_path):
    path = tmp_path / "peers.json"
    words = ["compare", "peers", SMALL, OTHER, "-s", "tiled,torch", *QUICK, "--json", path]
    status, out, _ = run(capsys, *words)
    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    assert document["settings"]["versions"]["torch"] == importlib.metadata.version("torch")
    assert [c["problem"]["descriptor"] for c in document["comparisons"]] == [SMALL, OTHER]
    for comparison in document["comparisons"]:
        assert (comparison["kind"], comparison["threads"]) == ("peers", 1)
        assert comparison["a"]["strategy"] == "tiled"
        assert comparison["b"]["strategy"] == "torch"
        assert comparison["rounds"] == 6
    lines = out.splitlines()
    assert lines[0] == "convprof against the fastest library · f32"
    assert lines[3].startswith(SMALL)
    assert lines[4].startswith(OTHER)
    assert "fastest library on " in out
    assert "2 problems" in out
    assert status == 0


def test_absent_libraries_are_passed_over_with_the_way_out(capsys, monkeypatch):
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda _: None)
    status, out, _ = run(capsys, "compare", "peers", SMALL, "-s", "tiled", *QUICK)
    assert "refused: torch is not installed: pip install 'convprof[peers]'" in out
    assert out.count("torch is not installed") == 1
    assert "nothing to compare" in out
    assert status == 0


def test_cold_caches_are_refused_and_say_why(capsys):
    status, _, err = run(capsys, "compare", "peers", SMALL, "--cache", "cold")
    assert "--cache cold: the libraries keep copies of the weights" in err
    assert status == 2


def test_dry_run(capsys):
    status, out, _ = run(
        capsys, "compare", "peers", SMALL, OTHER, "-s", "tiled", "-t", "1", "--dry-run"
    )
    start = "convprof compare peers -s tiled -t 1 "
    assert [line.startswith(start) for line in out.splitlines()] == [True, True]
    assert status == 0
