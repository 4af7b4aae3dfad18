"""``--epilogue`` as a user gives it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import jsonschema
import pytest

from convprof import cli

SMALL = "mb1ic4ih9iw8oc6oh9ow8kh3kw3ph1pw1"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
)
QUICK = ["--budget", "0.002", "--rounds", "3", "-t", "1"]


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(
    ("problem", "fused", "apart"),
    [
        (SMALL, {"microkernel", "winograd"}, {"direct", "tiled", "microkernel", "fft"}),
        ("8x9:9x10", {"packed", "vectorized"}, {"naive", "packed", "blas"}),
    ],
)
def test_fused_and_in_passes_side_by_side_in_a_valid_document(capsys, problem, fused, apart):
    words = ["run", problem, "--epilogue", "bias,add,relu", "--layout", "nhwc", *QUICK]
    status, out, _ = run(capsys, *words, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert status == 0
    found = {m["strategy"] for m in document["measurements"]}
    assert fused < found
    assert {f"{name}+passes" for name in apart} < found
    assert not {"direct", "tiled", "naive", "auto", "auto+passes"} & found
    for m in document["measurements"]:
        assert m["problem"]["epilogue"] == "bias,add,relu"
        if m["strategy"] == "threaded+passes":  # which takes 2 threads at least
            assert m["status"] == "refused"
            continue
        assert m["status"] == "ok"
        assert m["max_rel_error"] < 1e-5


def test_the_problem_line_says_what_follows(capsys):
    words = ["run", "8x9:9x10", "-s", "packed,packed+passes", "--epilogue", "bias,gelu", *QUICK]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert out.startswith("gemm (8x9) (9x10) + bias, gelu · f32")
    assert "packed+passes" in out


@pytest.mark.parametrize("command", ["run", "compare layouts", "compare peers"])
def test_a_dry_run_can_be_pasted_back(capsys, command):
    words = [*command.split(), SMALL, "--epilogue", "add,silu", "--dry-run"]
    status, out, _ = run(capsys, *words)
    assert (status, out) == (0, f"convprof {command} --epilogue add,silu {SMALL}\n")
    status, again, _ = run(capsys, *shlex.split(out)[1:], "--dry-run")
    assert (status, again) == (0, out)


def test_layouts_of_a_fused_convolution_are_compared(capsys):
    words = ["compare", "layouts", SMALL, "-s", "microkernel", "--epilogue", "bias,add,relu"]
    status, out, _ = run(capsys, *words, *QUICK, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert status == 0
    (comparison,) = document["comparisons"]
    assert comparison["problem"]["epilogue"] == "bias,add,relu"


def test_without_the_flag_nothing_is_different(capsys):
    _, out, _ = run(capsys, "run", "8x9:9x10", *QUICK, "--json", "-")
    document = json.loads(out)
    assert not [m for m in document["measurements"] if "passes" in m["strategy"]]
    assert "epilogue" not in document["measurements"][0]["problem"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epilogue", "bias,foo"], "--epilogue 'bias,foo': 'foo': use bias, add, relu, "),
        (["--epilogue", ""], "--epilogue '': use bias, add, relu, "),
        (
            ["--epilogue", "relu,bias"],
            "--epilogue 'relu,bias': bias, add and one activation, each once and in this order",
        ),
        (
            ["--epilogue", "relu", "attention:1x2x16x8"],
            (
                "--epilogue relu: attention:1x2x16x8 has no epilogue; "
                "name convolutions and matrix products"
            ),
        ),
        (
            ["--epilogue", "relu", "--pass", "training"],
            "--epilogue relu: only a forward pass has one; leave out --pass training",
        ),
        (["-s", "tile+passes"], "unknown --strategy of conv2d 'tile+passes'"),
    ],
)
def test_bad_input_is_one_line(capsys, words, message):
    status, out, err = run(capsys, "run", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-s", "microkernel+passes"], "add one, or use microkernel"),
        (["-s", "tiled", "--epilogue", "relu"], "tiled fuses no epilogue; use tiled+passes"),
    ],
)
def test_refusals_say_the_way_out(capsys, words, message):
    status, out, _ = run(capsys, "run", SMALL, *words, *QUICK)
    assert status == 2
    assert message in out
