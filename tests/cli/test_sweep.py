"""`convprof sweep` as a user runs it, on products that take microseconds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.codegen import tile_list
from convprof.measure.session import Session

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
QUICK = ["--budget", "0.002", "--rounds", "6"]
GEMM = ["sweep", "gemm", "--range", "8:32:x2", "-s", "naive,packed", *QUICK]


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_table_a_plot_and_a_file(capsys, tmp_path, monkeypatch, invalid):
    monkeypatch.setattr(tile_list, "KEPT_KERNELS", 0)
    path = tmp_path / "points.jsonl"
    status, out, _ = run(capsys, *GEMM, "--json", path)
    assert status == 0
    assert out.startswith("gemm over size (m = n = k) · f32\n")
    assert re.search(r"^ +32 +12 KiB +[\d.]+ ±", out, re.MULTILINE)
    assert "FMA peak, 1 thread" in out
    assert "o naive   x packed" in out
    assert not tile_list._KERNELS  # the last point's too
    header, *points = lines_of(path)
    assert header["sweep"]["values"] == [8, 16, 32]
    assert invalid(header) == []
    assert header["machine"]["key"]
    assert [point["x"] for point in points] == [8, 16, 32]
    defs = SCHEMA["$defs"]
    whole = jsonschema.Draft202012Validator({"$defs": defs, **defs["measurement"]})
    for point in points:
        assert [m["strategy"] for m in point["measurements"]] == ["naive", "packed"]
        for measurement in point["measurements"]:
            whole.validate(measurement)


def test_interrupted_and_run_again_it_ends_with_every_point_once(capsys, session_fails, tmp_path):
    path = tmp_path / "points.jsonl"
    session_fails(3, KeyboardInterrupt())
    status, out, err = run(capsys, *GEMM, "--json", path)
    assert status == 130
    assert re.search(r"^ +16 +3 KiB", out, re.MULTILINE)
    assert f"interrupted: 2 of 3 points are in {path}; the same command goes on" in err
    before = lines_of(path)
    status, out, err = run(capsys, *GEMM, "--json", path)
    assert status == 0
    assert f"continuing {path}: 2 of 3 points are there" in err
    assert [point["x"] for point in lines_of(path)[1:]] == [8, 16, 32]
    assert lines_of(path)[:3] == before
    assert re.search(r"^ +32 +12 KiB", out, re.MULTILINE)


def test_without_a_file_an_interrupt_still_shows_what_there_is(capsys, session_fails):
    session_fails(2, KeyboardInterrupt())
    status, out, err = run(capsys, *GEMM)
    assert status == 130
    assert "o naive   x packed" in out
    assert "interrupted: 1 of 3 points were measured; --json FILE would keep them" in err


def test_json_on_stdout_is_the_lines_and_nothing_else(capsys):
    status, out, _ = run(capsys, *GEMM, "--json", "-")
    header, *points = (json.loads(line) for line in out.splitlines())
    assert header["kind"] == "sweep"
    assert [point["x"] for point in points] == [8, 16, 32]
    assert status == 0


def test_a_picture(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "x.svg"
    status, _, _ = run(capsys, *GEMM, "--plot", path)
    assert ET.fromstring(path.read_bytes()).tag.endswith("svg")  # noqa: S314
    assert status == 0


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("conv mb1ic4ih8oc4kh3ph1 --over channels --range 4,8", "over channels (c = k)"),
        ("conv mb1ic4ih8oc4kh3ph1 --over image --range 7,9", "over image (h = w, pixels)"),
        ("conv mb1ic4ih8oc4kh3ph1 --over filter --range 1:3:+1", "over filter (r = s, padded)"),
        ("conv mb1ic4ih8oc4kh3ph1 --over batch --range 1,2", "over batch (images)"),
        ("conv mb1ic4ih8oc4kh3ph1 --over tile --range 1,8", "over tile (block_rows)"),
        ("gemm 16x16:16x16 --over batch --range 1,2", "over batch (products)"),
        ("gemm 16x16:16x16 --over threads --range 1", "over threads"),
        ("gemm 40x40:40x40 --over tile --range 8,16", "over tile (mc = kc = nc)"),
        ("gemm 40x40:40x40 --over tile.rows --range 2:6:+2", "over tile.rows"),
    ],
)
def test_every_variable(words, first, capsys):
    chosen = () if "tile" in words else ("-s", "tiled")
    status, out, err = run(capsys, "sweep", *words.split(), *chosen, *QUICK)
    assert status == 0, err
    assert out.splitlines()[0].endswith(first)


def test_the_axis_of_threads_has_one_series_per_strategy(capsys):
    words = ["sweep", "gemm", "16x16:16x16", "--over", "threads", "-s", "tiled", *QUICK]
    _, out, _ = run(capsys, *words, "--range", "1")
    assert "o tiled   x FMA peak" in out


CASES = [
    ("gemm --range 5:1", r"--range '5:1': '5:1' is not a range; use"),
    ("gemm --range 5:1:x2", r"ends at 5|ends at 1 before it starts at 5"),
    ("gemm --range 1:99999999:+1", r"99,999,999 points, more than 10,000"),
    ("gemm --range 1000000", r"needs .* of memory"),
    ("gemm --over sizes", r"--over sizes: a gemm is swept over size, batch, threads, tile"),
    ("gemm --over channels", r"--over channels: a gemm is swept over"),
    ("conv --over size", r"--over size: a conv is swept over channels, image, filter"),
    ("gemm --over threads --range 1:4096:x2", r"--range 1:4096:x2: .*\. End at \d+"),
    ("gemm --over threads -t 1", r"--threads: with --over threads, --range says how many"),
    ("gemm --over unroll -s naive", r"--over unroll: naive cannot vary unroll"),
    ("gemm --over tile.foo --range 1", r"--over tile.foo: .* cannot vary foo; vary tile"),
    ("gemm --over tile.kc", r"--over tile.kc: also say --range"),
    ("gemm --over tile.rows --range 65", r"--range: rows may be at most 64, not 65"),
    ("gemm --patience 0", r"'--patience': 0\.0 is not in the range 0<x"),
    ("gemm --patience nan", r"'--patience': nan is not in the range 0<x"),
    ("gemm -s nai", r"--strategy of gemm 'nai': did you mean naive\?"),
    ("gemm resnet50:conv1", r"resnet50:conv1: sweep gemm takes one gemm"),
    ("conv 5x5:5x5", r"5x5:5x5: sweep conv takes one conv"),
    ("conv resnet50:layer1.*", r"sweep conv takes one conv"),
    ("conv --over channels --range 3,4 g2ic4ih5oc4kh3", r"--range channels: groups=2"),
    ("gemm --plot x.pdf", r"--plot x.pdf: the name ends in '.pdf'; use .svg or .png"),
    ("gemm --plot /no/such/x.svg", r"--plot /no/such/x.svg: cannot be written: there is no folder"),
    ("gemm --json /no/such/x", r"--json /no/such/x: cannot be written: there is no folder"),
    ("gemm --plot p.svg --json p.svg", r"--plot p.svg: --json writes there"),
    ("lstm", r"No such command 'lstm'"),
]


@pytest.mark.parametrize(("words", "message"), CASES, ids=[words for words, _ in CASES])
def test_one_clear_line_and_nothing_is_left(words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "__init__", lambda *_: pytest.fail("something was measured"))
    status, out, err = run(capsys, "sweep", *words.split())
    assert (status, out) == (2, "")
    assert err.count("\n") == 1, err
    assert re.search(message, err), err
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_stays_as_it_is(capsys, tmp_path):
    path = tmp_path / "precious.json"
    path.write_text("{}\n")
    status, _, err = run(capsys, *GEMM, "--json", path)
    assert status == 2
    assert "it is not a sweep's file. Name another file" in err
    assert path.read_text() == "{}\n"


def test_the_missing_extra_is_said_before_measuring(capsys, monkeypatch, tmp_path):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    status, _, err = run(capsys, *GEMM, "--plot", tmp_path / "x.svg")
    assert status == 2
    assert "pip install 'convprof[plot]'" in err


def test_help_loads_neither_numba_nor_matplotlib():
    code = "import sys\nfrom convprof import cli\n"
    code += "cli._status(['sweep', '--help']); cli._status(['sweep', 'gemm', '--help'])\n"
    code += "assert not {'numba', 'numpy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)


def test_an_unexpected_error_at_a_point_is_a_line_and_the_points_before_are_shown(
    capsys, session_fails, tmp_path
):
    session_fails(3, KeyError("a mistake"))
    path = tmp_path / "points.jsonl"
    status, out, err = run(capsys, *GEMM, "--json", path)
    assert status == 1
    assert "Traceback" not in out + err
    assert "convprof: KeyError: 'a mistake' (study.py:" in err
    assert re.search(r"^ +16 +3 KiB", out, re.MULTILINE)
    assert len(lines_of(path)) == 3


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="no such signal")
def test_sigterm_is_like_ctrl_c(capsys, monkeypatch, tmp_path):
    sample, taken = Session._sample, []

    def counted(self, participant):
        taken.append(1)
        if len(taken) == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return sample(self, participant)

    monkeypatch.setattr(Session, "_sample", counted)
    path = tmp_path / "points.jsonl"
    status, out, err = run(capsys, *GEMM, "--json", path)
    assert status == 143
    assert "interrupted by SIGTERM: 1 of 3 points are in" in err
    assert "gemm over size" in out


def test_csv_on_stdout_and_markdown_in_a_file(capsys, tmp_path):
    path = tmp_path / "points.md"
    status, out, _ = run(capsys, *GEMM, "--csv", "-", "--markdown", path)
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("size,bytes_min,contestant,status,")
    assert len(lines) == 1 + 3 * 2
    assert "| size | data |" in path.read_text(encoding="utf-8")
    status, _, err = run(capsys, *GEMM, "--csv", "-", "--json", "-")
    assert status == 2
    assert "cannot both write to stdout" in err
