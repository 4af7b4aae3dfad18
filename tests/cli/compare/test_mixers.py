"""``compare mixers`` as a user runs it, on grids that take microseconds."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.measure.session import Session
from convprof.strategies.peers.torch.products import TorchLibrary

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs" / "result-schema.json").read_text())
)
MIXERS = ["compare", "mixers", "--patch", "4", "--dim", "32", "--heads", "2"]
QUICK = ["--budget", "0.002", "--rounds", "6", "--tune", "off"]
NAMES = ["attention", "conv3x3", "depthwise7x7+pointwise"]

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch not installed: pip install 'convprof[peers]'",
)
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="matplotlib not installed: pip install 'convprof[plot]'",
)


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_one_image_shows_every_mixer_with_its_parts(capsys, tmp_path):
    path = tmp_path / "mixers.json"
    status, out, _ = run(capsys, *MIXERS, "--image", "16", "--json", path, *QUICK)
    lines = out.splitlines()
    assert lines[0] == "mixers of 16 tokens (4x4 patches of 4), 32 channels, 2 heads · f32"
    assert [line.split("  ")[0] for line in lines[3:11] if not line.startswith(" ")] == NAMES
    assert sum(line.startswith("  ") for line in lines[3:11]) == 5
    assert sum(line.startswith("On 1 thread attention takes ") for line in lines) <= 1
    assert sum(f"as long as {name} (" in out for name in NAMES[1:]) in {0, 2}  # 0: in doubt
    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    assert [c["b"]["mixer"] for c in document["comparisons"]] == NAMES[1:]
    assert {c["kind"] for c in document["comparisons"]} == {"mixers"}
    assert document["comparisons"][0]["grid"]["tokens"] == 16
    assert [m["status"] for m in document["measurements"]] == ["ok"] * 6
    assert status == 0


def test_growing_images_have_a_row_each_a_chart_and_a_conclusion(capsys):
    status, out, _ = run(capsys, *MIXERS, "--images", "8,16,32", *QUICK)
    lines = out.splitlines()
    assert lines[0].startswith("mixers, patches of 4, 32 channels, 2 heads · f32 · 1 thread · time")
    assert [line.split()[:2] for line in lines[3:6]] == [["8", "4"], ["16", "16"], ["32", "64"]]
    assert "o attention   x attention: quadratic part" in out
    assert "overtakes its linear projections by FLOPs from 64 tokens (images of 32 pixels)" in out
    assert "attention overtakes conv3x3 by FLOPs from 80 tokens (images of 36 pixels) on" in out
    assert status == 0


def test_every_number_of_threads_has_its_own_rows(capsys):
    words = [*MIXERS, "--image", "8", "--threads", "1,all", *QUICK, "--csv", "-"]
    status, out, _ = run(capsys, *words)
    rows = list(csv.DictReader(out.splitlines()))
    parts = [row["threads"] for row in rows if not row["compared.kind"]]
    counts = list(dict.fromkeys(parts))
    assert [parts.count(count) for count in counts] == [6] * len(counts)
    assert [
        (row["problem.name"], row["threads"], row["compared.with"])
        for row in rows
        if row["compared.kind"]
    ] == [("attention", count, other) for count in counts for other in NAMES[1:]]
    assert status == 0


@needs_torch
def test_a_library_next_to_our_strategies(capsys):
    status, out, _ = run(capsys, *MIXERS, "--image", "8", "--with", "torch", *QUICK)
    assert "On 1 thread attention takes" in out
    assert "1 thread, torch: attention takes" in out
    assert status == 0


@needs_matplotlib
def test_the_picture_is_written_even_when_stdout_is_json(capsys, tmp_path):
    path = tmp_path / "growth.svg"
    words = [*MIXERS, "--images", "8,16", "--plot", path, "--json", "-", *QUICK]
    status, out, _ = run(capsys, *words)
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert [c["grid"]["image"] for c in document["comparisons"]] == [8, 8, 16, 16]
    assert path.read_text().startswith("<?xml")
    assert status == 0


def test_what_was_measured_before_an_interrupt_is_shown(capsys, session_fails):
    session_fails(2, KeyboardInterrupt())
    status, out, err = run(capsys, *MIXERS, "--images", "8,16", *QUICK)
    assert out.splitlines()[3].split()[:2] == ["8", "4"]
    assert "interrupted: what was measured until then is above" in err
    assert status == 130


def test_a_strategy_without_attention_still_measures_the_convolutions(capsys):
    status, out, _ = run(capsys, *MIXERS, "--image", "8", "-s", "microkernel", *QUICK)
    assert "attention: microkernel computes no gemm and no attention" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("conv3x3 ")]
    assert status == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--image", "225"], "--image 225: patches of 16 do not divide it; use 224 or 240"),
        (["--image", "16384"], "--image 16384: 1,048,576 tokens, and attention's work grows"),
        (["--patch", "0"], "--patch 0: must be at least 1"),
        (["--dim", "0"], "--dim 0: must be at least 1"),
        (["--dim", "100"], "--dim 100: not a multiple of 64"),
        (["--dim", "96", "--heads", "5"], "--heads 5: must divide dim=96"),
        (["--mb", "0"], "--mb 0: must be at least 1"),
        (["--mb", "100000000"], "--mb 100000000: m=19600000000: must be at most 2147483647"),
        (["--dim", "6400000"], "--dim 6400000, --mb 1: weights of 6400000x6400000x3x3: more than"),
        (["--dim", "640000"], "are available: use a smaller problem"),
        (["--images", "224,112"], "--images 224,112: 112 follows 224; let the sizes increase"),
        (["--images", "224,224"], "--images 224,224: 224 follows 224; let the sizes increase"),
        (["--images", "224"], "--images 224: growth takes two sizes or more; for one use --image"),
        (["--images", "112,x"], "--images '112,x': use whole numbers, such as 112,224"),
        (["--images", "112,225"], "--images 112,225: image=225: patches of 16 do not divide"),
        (["--images", ",".join(map(str, range(16, 640, 16)))], "39 images; use at most 32"),
        (["--image", "16", "--images", "16,32"], "--image 16: --images says which; use one"),
        (["--with", "nope"], "unknown --with of attention or conv2d or gemm 'nope': known: blas"),
        (["--with", "torch", "--cache", "cold"], "--with torch: a library's copies of the weig"),
    ],
)
def test_bad_input_is_one_line(capsys, words, message):
    status, out, err = run(capsys, "compare", "mixers", *words)
    assert message in err
    assert err.count("\n") == 1
    assert (status, out) == (2, "")


def test_a_library_that_is_not_installed_is_refused_before_all_else(capsys, monkeypatch):
    monkeypatch.setattr(Session, "events", None)  # nothing is measured
    monkeypatch.setattr(TorchLibrary, "packages", ("no_such_torch",))
    status, out, err = run(capsys, *MIXERS, "--image", "8", "--with", "torch", *QUICK)
    assert (status, out) == (2, "")
    assert err.startswith("convprof: --with torch: no_such_torch is not installed: ")
    assert err.count("\n") == 1


@needs_matplotlib
def test_two_flags_do_not_write_one_file(capsys, tmp_path):
    path = tmp_path / "a.png"
    words = ["compare", "mixers", "--images", "16,32", "--plot", path, "--json", path]
    status, _, err = run(capsys, *words)
    assert f"--plot {path}: --json writes there; name another file" in err
    assert status == 2
