"""``compare dtypes`` as a user runs it, on products that take microseconds."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from convprof import cli

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "docs" / "result-schema.json").read_text())
)
QUICK = ["-s", "packed", "-t", "1", "--budget", "0.002", "--rounds", "6"]


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_row_per_type_and_the_document_shows_the_same(capsys, tmp_path):
    path, table = tmp_path / "types.json", tmp_path / "types.csv"
    words = ["compare", "dtypes", "6x7:7x8", *QUICK, "--json", path, "--csv", table]
    status, out, _ = run(capsys, *words)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "gemm (6x7) (7x8)"
    assert [line.split()[:2] for line in lines[3:7]] == [
        [name, "packed"] for name in ("f32", "bf16", "f16", "int8")
    ]
    assert any(line.startswith("On 1 thread ") for line in lines)

    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    assert document["settings"]["dtype"] == "f32,bf16,f16,u8:s8:s32"
    assert {peak["dtype"] for peak in document["ceilings"]["peaks"]} == {
        "f32", "bf16", "f16", "u8:s8:s32",
    }  # fmt: skip
    assert [(c["a"]["dtype"], c["b"]["dtype"]) for c in document["comparisons"]] == [
        ("bf16", "f32"), ("f16", "f32"), ("u8:s8:s32", "f32"),
    ]  # fmt: skip
    assert all(c["rounding_error"] > 0 for c in document["comparisons"])
    heading, *rows = table.read_text().splitlines()
    assert "compared.with_dtype" in heading
    assert sum("dtypes,packed" in row for row in rows) == 3

    _, shown, _ = run(capsys, "show", path)
    assert shown.splitlines()[:7] == lines[:7]


def test_several_problems_have_a_row_each_and_a_file_continues(capsys, tmp_path):
    path = tmp_path / "types.json"
    words = ["compare", "dtypes", "2x7:7x8", "4x7:7x8", *QUICK, "--dtype", "bf16", "--json", path]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert out.splitlines()[0] == "time of each type / time of f32"
    assert [line.split()[0] for line in out.splitlines()[3:5]] == ["2x7:7x8", "4x7:7x8"]
    assert "(measured: m = 2 and 4)" in out
    _, shown, _ = run(capsys, "show", path)
    assert shown.splitlines()[:5] == out.splitlines()[:5]


def test_all_shows_every_strategy_and_markdown_names_types(capsys):
    words = ["compare", "dtypes", "6x7:7x8", "--dtype", "int8", *QUICK[2:]]
    status, out, _ = run(capsys, *words, "-s", "packed,prepacked", "--all", "--markdown", "-")
    assert status == 0
    assert "| strategy | type | threads |" in out
    assert sum(line.startswith("| packed | int8 |") for line in out.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ["--attention", "1x1x4x4", "--dtype", "u8:s8:u8"],
            "no strategy computes attention in u8:s8:u8; use f32, bf16, f16 or int8",
        ),
        (["8x8:8x8", "--dtype", "s8"], "--dtype s8: did you mean s8:s8:s32?"),
        (["8x8:8x8", "--dtype", "u8:s8:f16"], "no strategy computes gemm in u8:s8:f16; use f32"),
        (["8x8:8x8", "--dtype", "f99"], "--dtype f99: use f32"),
    ],
)
def test_what_cannot_be_compared_is_refused(capsys, words, reason):
    status, out, err = run(capsys, "compare", "dtypes", *words)
    assert status == 2
    assert out == ""
    assert reason in err


def test_a_dry_run_lists_commands(capsys):
    status, out, _ = run(capsys, "compare", "dtypes", "8x8:8x8", "--dtype", "int8", "--dry-run")
    assert (status, out) == (0, "convprof compare dtypes --dtype int8 8x8:8x8\n")


def test_weights_of_8_and_4_bits_take_part_in_all_types(capsys, tmp_path):
    path, table = tmp_path / "types.json", tmp_path / "types.csv"
    words = ["compare", "dtypes", "1x128:128x32", *QUICK[2:], "--json", path, "--csv", table]
    status, out, _ = run(capsys, *words)
    assert status == 0
    for name in ("f32 x int8", "f32 x int4", "bf16 x int8", "bf16 x int4"):
        assert any(line.startswith(name) for line in out.splitlines())
    document = json.loads(path.read_text())
    VALIDATOR.validate(document)
    sides = [c["a"].get("problem", {}).get("weight_dtype") for c in document["comparisons"]]
    assert sorted(filter(None, sides)) == ["int4", "int4", "int8", "int8"]
    rows = table.read_text().splitlines()[1:]
    assert sum("dtypes,auto" in row or "dtypes,prepacked" in row for row in rows) == len(sides)
    _, shown, _ = run(capsys, "show", path)
    assert shown.splitlines()[:10] == out.splitlines()[:10]


@pytest.mark.parametrize(("dtype", "rows"), [((), True), (("--dtype", "bf16"), False)])
def test_f32_from_pieces_takes_part_where_no_type_is_named(capsys, dtype, rows):
    from convprof.problems import Gemm
    from convprof.strategies import registry
    from convprof.strategies.base import Setting

    able = registry.find("gemm", "split3").why_not(Gemm(m=4, n=16, k=32), Setting()) is None
    words = ["compare", "dtypes", "4x32:32x16", *dtype, *QUICK[2:]]
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert any(line.split()[:2] == ["f32", "split3"] for line in out.splitlines()) == (
        able and rows
    )
