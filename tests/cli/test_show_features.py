"""``convprof show-features`` as a user runs it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from convprof import cli
from convprof.problems import parse

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow, which matplotlib brings")
pytest.importorskip("matplotlib", reason="the sheet needs matplotlib")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    values = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(values).save("cat.png")


def run(capsys, words):
    status = cli._status(["show-features", *words.split()])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_sheet_a_table_and_problems_that_can_be_pasted(capsys, caplog, tmp_path):
    status, out, err = run(capsys, "cat.png -s tiled --layout nhwc")
    assert (status, err) == (0, "")
    assert caplog.records == []  # outside of a test they go to stderr
    assert (tmp_path / "features.png").read_bytes().startswith(b"\x89PNG")
    assert out.startswith("features of cat.png, 20x24, shown 20x24")
    assert "sheet: features.png" in out
    rows = [re.split(r"  +", line) for line in out.splitlines()[3:10]]
    assert [row[0] for row in rows][:3] == ["box blur", "Gaussian blur", "Sobel x and y"]
    assert [parse(row[1]).kind for row in rows] == ["conv2d"] * 6 + ["gemm"]


def test_the_default_picture_and_json(capsys, tmp_path, invalid):
    status, out, err = run(capsys, "-s tiled --size 40 --json - -o a.png")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert invalid(document) == []
    assert document["picture"]["shown"] == [34, 40]
    assert document["sheet"] == "a.png"
    assert {step["status"] for step in document["steps"]} == {"ok"}
    assert (tmp_path / "a.png").exists()


def test_a_strategy_that_refuses_some_filters_and_weights_of_ones_own(capsys):
    np.save("w.npy", np.ones((2, 3, 5, 5), np.float32))
    status, out, _ = run(capsys, "cat.png -s winograd --weights w.npy -o x.svg")
    assert status == 0
    reason = "winograd needs a filter of at most 4 times the stride; got 9x9"
    assert f"* box blur: computed by direct: {reason}" in out
    assert "* Sobel" not in out
    assert "mb1ic3ih24iw20oc2oh12ow10kh5kw5sh2sw2ph2pw2" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("no.png", r"no.png: cannot be read: No such file"),
        (".", r"\.: is a directory"),
        ("cat.png -o cat.png", r"--output cat.png: is the picture itself"),
        ("cat.png -o cat.txt", r"--output cat.txt: the name ends in '.txt'; use .svg or .png"),
        ("cat.png -o no/x.png", r"--output no/x.png: cannot be written: there is no folder no"),
        ("cat.png --json features.png", r"--json features.png: the sheet goes there"),
        ("cat.png -s tild", r"--strategy of conv2d 'tild': did you mean tiled"),
        ("cat.png -s direct -t 2", r"--strategy direct: refuses every filter|--threads 2: this"),
        ("cat.png -t 1,1,0", r"--threads 0"),
        ("cat.png -t x", r"--threads x: use numbers"),
        ("cat.png --layout chwn", r"'chwn' is not one of"),
        ("cat.png --size 9", r"9 is not in the range 16<=x<=1024"),
        ("cat.png --patch 21", r"--patch 21: the picture is 20x24 here; use at most 20"),
        ("cat.png --weights no.npy", r"--weights no.npy: cannot be read"),
        ("cat.png --weights cat.png", r"--weights cat.png: it is not a .npy file"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(words, message, capsys, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, err = run(capsys, words)
    assert (status, out) == (2, "")
    assert re.search(message, err)
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_empty_names_name_nothing(capsys, tmp_path):
    for words in (["cat.png", "-o", ""], [""], ["cat.png", "--weights", ""]):
        assert cli._status(["show-features", *words]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "''" in err
    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]


def test_an_existing_file_with_the_default_name_is_not_replaced(capsys, tmp_path):
    (tmp_path / "features.png").write_text("mine")
    status, _, err = run(capsys, "cat.png -s direct")
    assert status == 2
    assert "features.png: exists here already" in err
    assert (tmp_path / "features.png").read_text() == "mine"


def test_a_wrong_result_is_exit_three(capsys, monkeypatch):
    from convprof.studies.show_features import step

    monkeypatch.setattr(step, "tolerance", lambda *_: -1.0)
    status, out, _ = run(capsys, "cat.png -s direct")
    assert status == 3
    assert "box blur: WRONG" in out
