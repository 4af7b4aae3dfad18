"""``--weight-dtype`` and ``--group`` as a user gives them."""

from __future__ import annotations

import json
import re

import pytest

from convprof import cli

QUICK = ["--budget", "0.002", "--rounds", "3", "-t", "1", "-s", "naive,prepacked"]


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_product_with_weights_of_4_bits(capsys, monkeypatch, invalid):
    monkeypatch.setenv("COLUMNS", "140")
    words = ["run", "--gemm", "1x40x64", "--weight-dtype", "int4", *QUICK]
    status, out, _ = run(capsys, *words, "--json", "-")
    document = json.loads(out)
    assert status == 0
    assert invalid(document) == []
    for measurement in document["measurements"]:
        problem = measurement["problem"]
        assert (problem["weight_dtype"], problem["group"]) == ("int4", 128)
        assert measurement["status"] == "ok"
        assert measurement["max_rel_error"] < 1e-6
    status, out, _ = run(capsys, *words, "--group", "32", "--dtype", "bf16")
    assert status == 0
    assert "bf16 x int4 in groups of 32" in out
    assert out.splitlines()[-1] == "next: convprof compare dtypes 1x64:64x40 -t 1"


def test_auto_that_refuses_has_chosen_nothing(capsys):
    words = ["run", "--gemm", "1x40x64", "--dtype", "f32:f32:bf16", *QUICK, "-s", "auto"]
    _, out, _ = run(capsys, *words, "--explain")
    assert "nothing was chosen: auto has no result" in out


def test_strategies_that_take_such_weights(capsys):
    words = ["strategies", "1x64:64x40", "--weight-dtype", "int4", "--group", "32"]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert out.startswith("1x64:64x40 · int4 weights in groups of 32\n")
    assert re.search(r"^  prepacked +takes it", out, re.MULTILINE)
    assert re.search(r"^  blas +refuses +takes no weights of 8 or 4 bits", out, re.MULTILINE)
    assert out.endswith("next: convprof run 1x64:64x40 --weight-dtype int4 --group 32\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weight-dtype", "int3"], "--weight-dtype int3: use int8, int4, uint8 or uint4"),
        (
            ["--weight-dtype", "int8", "--group", "5"],
            "--group 5: use one of 16, 32, 64, 128, 256, or channel",
        ),
        (["--group", "32"], "--group 32 needs --weight-dtype"),
        (
            ["--weight-dtype", "int8", "--dtype", "f64"],
            "--weight-dtype int8 takes --dtype f32 or bf16, not f64",
        ),
        (
            ["--weight-dtype", "int8", "--pass", "training"],
            "--weight-dtype int8: only a forward pass has such weights; leave out --pass",
        ),
    ],
)
def test_what_is_wrong_is_said(capsys, words, message):
    status, _, err = run(capsys, "run", "--gemm", "1x40x64", *words)
    assert status == 2
    assert message in err


def test_a_convolution_has_no_such_weights(capsys):
    status, _, err = run(capsys, "run", "mb1ic4ih9oc8kh3", "--weight-dtype", "int8")
    assert status == 2
    assert "is not a matrix product" in err
