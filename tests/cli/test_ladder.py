"""``convprof ladder`` as a user runs it, on problems that take microseconds."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.machine import facts
from convprof.render.charts import picture
from convprof.studies.ladder import schedules
from convprof.studies.ladder.study import LADDERS

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
)
QUICK = ["--budget", "0.002", "--rounds", "6"]
SMALL = "mb1ic8ih9oc16oh9kh3ph1"
LAST = ["parallel"] if facts().topology.usable_cores > 1 else []


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_sizes_side_by_side_and_a_valid_document(capsys, tmp_path):
    path = tmp_path / "ladder.json"
    words = ["ladder", "gemm", "--size", "8,24", *QUICK, "--why", "--json", path]
    status, out, _ = run(capsys, *words)
    assert status == 0
    names = [*LADDERS["gemm"], *LAST]
    lines = out.splitlines()
    assert lines[0] == "ladder · gemm (8x8) (8x8) · f32"
    end = lines[lines.index("GFLOP/s over the sizes") :]
    assert end[1].split() == ["rung", "8", "24"]
    assert [line.split()[0] for line in end[3 : 3 + len(names)]] == names
    for name in names:
        assert sum(line.startswith(f"{name}: ") for line in lines) == 2
    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    assert len(document["measurements"]) == 2 * len(names)
    assert {m["status"] for m in document["measurements"]} == {"ok"}
    pairs = [(c["b"]["strategy"], c["a"]["strategy"]) for c in document["comparisons"]]
    assert pairs[:6] == list(itertools.pairwise(names[:7]))
    assert all(c["evidence"]["a"]["flops"] > 0 for c in document["comparisons"])
    sure = [c["limits"][side] for c in document["comparisons"] if not c["doubt"] for side in "ab"]
    assert all(limit["kind"] for limit in sure)
    ending = out[out.index("GFLOP/s over the sizes") :]
    assert "is the fastest rung" in ending or "Every time is in doubt" in ending
    assert lines[-1].startswith("next: convprof ")


def test_a_convolution_that_winograd_refuses(capsys):
    words = ["ladder", "conv", "mb1ic8ih9oc16oh9kh1", *QUICK, "-t", "1", "--tune", "off"]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "refused: winograd nhwc 1 thread: needs a filter larger than the stride" in out
    lines = out.splitlines()
    assert sum(re.match(r"auto( \?)?  ", line) is not None for line in lines) == 2
    assert "parallel" not in out


@pytest.mark.skipif(importlib.util.find_spec("halide") is None, reason="halide not installed")
def test_halide_and_our_rungs(capsys):
    words = ["ladder", "gemm", "--size", "16", *QUICK, "--with", "halide", "-t", "1"]
    status, out, _ = run(capsys, *words, "-s", "naive,packed")
    assert status == 0
    table = out[out.index("Halide's schedules and our rungs") :].splitlines()
    assert [line.split()[2] for line in table[3:5]] == ["default", "tuned"]
    assert "compile [s]" in table[1]


def test_a_picture(capsys, tmp_path):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib not installed")
    path = tmp_path / "ladder.svg"
    words = ["ladder", "gemm", "--size", "8", *QUICK, "-s", "naive,packed", "--plot", path]
    assert run(capsys, *words)[0] == 0
    assert path.read_text().startswith("<?xml")


def test_too_little_patience_refuses_before_it_measures(capsys):
    words = ["ladder", "gemm", "--size", "320", "-s", "naive", "--patience", "0.0001"]
    status, out, _ = run(capsys, *words)
    assert status == 2
    assert "refused: naive 1 thread: predicted to take " in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["gemm", "--size", "x"], "--size 'x': 'x' is not a range"),
        (["gemm", "--size", "0"], "--size '0': 0 is not from 1"),
        (["gemm", "--size", "9999999"], "memory"),
        (["gemm", "8x8:8x8", "--size", "8"], "--size 8: 8x8:8x8 has its size; use one of them"),
        (["gemm", SMALL], f"{SMALL}: ladder gemm takes a gemm"),
        (["conv", "8x8:8x8"], "8x8:8x8: ladder conv takes a conv"),
        (["gemm", "-s", "packd"], "unknown --strategy of the gemm ladder 'packd'"),
        (["gemm", "-s", "blas"], "unknown --strategy of the gemm ladder 'blas'"),
        (["gemm", "--threads", "1,2"], "--threads 1,2: a ladder has one number"),
        (["conv", "--layout", "all"], "--layout all: a ladder has one layout: nchw or nhwc"),
        (["gemm", "--with", "blis"], "--with blis: use halide"),
        (["gemm", "--with", "halide", "--cache", "cold"], "use --cache hot"),
        (["gemm", "--patience", "-1"], "'--patience': -1.0 is not in the range 0<x"),
        (["gemm", "--plot", "x.bmp"], "--plot x.bmp: the name ends in '.bmp'"),
    ],
)
def test_bad_input(capsys, words, text):
    status, out, err = run(capsys, "ladder", *words)
    assert (status, out) == (2, "")
    assert text in err
    assert len(err.splitlines()) == 1


def test_halide_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr(schedules.importlib.util, "find_spec", lambda _: None)
    status, _, err = run(capsys, "ladder", "gemm", "--with", "halide")
    text = "--with halide: halide is not installed: pip install 'convprof[peers]'"
    assert (status, err) == (2, f"convprof: {text}\n")


def test_no_library_for_pictures(capsys, monkeypatch):
    monkeypatch.setattr(picture.importlib.util, "find_spec", lambda _: None)
    status, _, err = run(capsys, "ladder", "gemm", "--plot", "x.svg")
    assert status == 2
    assert "pip install 'convprof[plot]'" in err
