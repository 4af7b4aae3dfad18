"""``--pass`` as a user gives it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from convprof import cli

SMALL = "mb1ic4ih9iw8oc6oh9ow8kh3kw3ph1pw1"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
)
QUICK = ["--budget", "0.002", "--rounds", "6", "-t", "1"]


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("problem", [SMALL, "8x9:9x10", "2x8x9:2x9x10"])
@pytest.mark.parametrize("which", ["backward-data", "backward-weights"])
def test_one_pass_in_a_valid_document(capsys, which, problem):
    status, out, _ = run(capsys, "run", problem, "--pass", which, *QUICK, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert status == 0
    kind = "conv2d" if problem == SMALL else "gemm"
    for m in document["measurements"]:
        assert m["problem"]["kind"] == f"{kind}-{which}"
        assert m["problem"]["pass"] == which
        assert m["problem"]["descriptor"] == problem
        assert m["status"] == "ok"
        assert m["max_rel_error"] < 1e-5
    layouts = {m["layout"] for m in document["measurements"]}
    assert layouts == ({"nchw", "nhwc"} if kind == "conv2d" else {None})


def test_a_training_step_in_two_types_is_two_totals(capsys, tmp_path):
    shapes = tmp_path / "shapes"
    shapes.write_text(f"--dt=f32,f64\n{SMALL}\n")
    words = ["run", "--batch", str(shapes), "--pass", "training", "-s", "direct", *QUICK]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert {f"{SMALL} f32", f"{SMALL} f64"} <= set(out.splitlines())


def test_a_training_step_is_added_up(capsys):
    words = ["run", SMALL, "--pass", "training", "-s", "direct,microkernel", *QUICK]
    status, out, _ = run(capsys, *words, "--layout", "nhwc", "--all")
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("training step")]
    assert line.startswith("training step, nhwc 1 thread: ")
    passes = ("forward", "backward-data", "backward-weights")
    assert all(f" {which} (microkernel)" in line for which in passes)
    assert "rearranging the weights" in line
    titles = [line for line in out.splitlines() if line.startswith("conv2d ")]
    assert ["backward" in title for title in titles] == [False, True, True]


def test_a_step_with_a_refused_pass_has_no_total(capsys):
    words = ["run", SMALL, "--pass", "training", "-s", "winograd", *QUICK]
    _, out, _ = run(capsys, *words)
    assert "training step: no total, a pass has no result" in out


def test_layouts_of_each_pass(capsys):
    words = [
        "compare",
        "layouts",
        SMALL,
        "--pass",
        "training",
        "-s",
        "microkernel",
        *QUICK,
        "--all",
    ]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert out.count("converting between the layouts") == 2  # dw has no layout
    assert out.count("training step, ") == 2


def test_a_dry_run_keeps_the_pass(capsys):
    status, out, _ = run(capsys, "run", SMALL, "8x9:9x10", "--pass", "training", "--dry-run")
    assert (status, out.splitlines()) == (
        0,
        [f"convprof run --pass training {problem}" for problem in (SMALL, "8x9:9x10")],
    )


def test_bad_input(capsys):
    status, out, err = run(capsys, "run", SMALL, "--pass", "backward", "--dry-run")
    assert (status, out) == (2, "")
    assert "--pass" in err
    assert "backward-data" in err
    status, out, err = run(capsys, "run", "attention:1x2x8x4", "--pass", "training")
    assert (status, out) == (2, "")
    assert "--pass training: attention:1x2x8x4 has a forward pass only" in err
    status, _, err = run(capsys, "run", SMALL, "--pass", "backward-weights", "-s", "winograd")
    assert status == 2
    assert "winograd" in err
