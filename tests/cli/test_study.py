"""``convprof study`` as a user runs it."""

from __future__ import annotations

import importlib.util
import json

import pytest

from convprof import cli
from convprof.machine import core_latency
from convprof.machine.model import MachineModel
from convprof.studies.study import STUDIES
from convprof.studies.study.base import Study
from convprof.studies.study.cores import Cores


def run(capsys, words):
    status = cli._status(["study", *words.split()])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def _nothing_is_measured(monkeypatch):
    def fail(self):
        raise AssertionError(f"{self.name} measures")

    monkeypatch.setattr(Study, "steps", fail)
    monkeypatch.setattr(Cores, "steps", fail)


def test_without_a_study_they_are_listed(capsys):
    status, out, err = run(capsys, "")
    assert (status, err) == (0, "")
    assert all(name in out for name in STUDIES)


@pytest.mark.usefixtures("_nothing_is_measured")
@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("unrol", "No such command 'unrol': did you mean unroll?"),
        ("tile --size 64,128", "tile takes at most 1"),
        ("tile --size 3", "--size 3: use sizes from 64 to 4096"),
        ("threads --size x", "--size x: use numbers"),
        ("threads --size 99999", "use sizes from 2 to 4096"),
        ("threads --cores 1", "--cores 1: use 2 to 1024"),
        ("threads --cores 4 --size 8", "--size: this is for the study on this machine"),
        ("threads 8x8:8x8 -t 2", "--threads: this is for the study on this machine"),
        ("threads 8x8:8x8 -s auto,packed", "one strategy in one layout"),
        ("threads 8x8:8x8 -s blas", "blas is a library"),
        ("threads 8x8:8x8 -s nosuch", "unknown gemm strategy 'nosuch'"),
        ("threads nosuch --cores 4", "nosuch"),
        ("unroll --dtype f16", "--dtype f16: use f32 or f64"),
        ("unroll --isa mmx", "mmx"),
        ("tile --threads 1,2", "name one number"),
        ("simd --budget 0", "--budget"),
        ("fma --seed -1", "--seed"),
        ("fma --plot /nowhere/x.svg", "--plot /nowhere/x.svg: cannot be written"),
        ("fma --plot x.gif", "--plot x.gif: the name ends in '.gif'"),
        ("fma --json /nowhere/x.json", "--json /nowhere/x.json: cannot be written"),
        ("fma --json - --csv -", "cannot both write to stdout"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_measured(words, part, capsys):
    if part.startswith("--plot") and not importlib.util.find_spec("matplotlib"):
        pytest.skip("pictures need matplotlib")
    status, out, err = run(capsys, words)
    assert (status, out) == (2, "")
    assert part in err
    assert err.count("\n") == 1


def test_a_missing_extra_is_said_before_anything_is_measured(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("convprof.render.charts.picture.EXTRA", "no_such_package")
    status, _, err = run(capsys, f"simd --plot {tmp_path}/x.png")
    assert status == 2
    assert "pip install 'convprof[plot]'" in err


def test_a_prediction_ends_with_its_answer(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(MachineModel, "core_latencies", ())
    monkeypatch.setattr(core_latency, "measure", lambda most: iter([]))  # noqa: ARG005
    words = f"threads 24x16:16x32 --cores 4 --budget 0.001 --json {tmp_path}/x.json"
    status, out, _ = run(capsys, words)
    assert status == 0
    assert "24x16:16x32 on 4 cores, predicted" in out
    assert "Predicted: 4 threads are" in out
    assert "barriers are free: the latency between cores is unknown here" in out
    rows = json.loads((tmp_path / "x.json").read_text())["sections"][0]["rows"]
    assert [row["variant"]["threads"] for row in rows] == [2, 4]


def test_ctrl_c_says_so(capsys, monkeypatch):
    def interrupted(self):  # noqa: ARG001
        yield "something"
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "steps", interrupted)
    status, out, err = run(capsys, "simd")
    assert (status, out) == (130, "")
    assert "interrupted: nothing was measured yet" in err
