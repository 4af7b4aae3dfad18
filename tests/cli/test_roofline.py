from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from convprof import cli
from convprof.machine import ceilings_store, facts
from convprof.machine.bandwidth import Bandwidth
from convprof.machine.caches import MEMORY, levels
from convprof.machine.ceilings_store import Ceilings

SMALL = "mb1ic4ih9iw8oc6oh9ow8kh3kw3ph1pw1"
QUICK = ["-t", "1", "-s", "direct,im2col", "--layout", "nchw", "--budget", "0.002", "--rounds", "6"]
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "result-schema.json").read_text())
)


@pytest.fixture(autouse=True)
def known(monkeypatch, tmp_path):
    """Keep bandwidths for this machine on one thread, so that none are measured."""
    monkeypatch.setenv("CONVPROF_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("COLUMNS", "120")
    names = [*(level.name for level in levels(facts().caches, 1)), MEMORY]
    bandwidths = tuple(
        Bandwidth(name, "load", 1, 4e11 / 4**i, 4096) for i, name in enumerate(names)
    )
    ceilings_store.save(facts().identity_key(), [Ceilings(1, 1_760_000_000.0, (), bandwidths)])


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_every_strategy_is_a_point_with_a_bound_and_what_is_left(capsys):
    status, out, _ = run(capsys, "roofline", SMALL, *QUICK)
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "roofline · f32 on 1 thread"
    assert {line.split()[0] for line in lines[3:5]} == {"direct", "im2col"}
    assert all(line.rstrip("!").endswith("x") for line in lines[3:5])
    assert "FLOP/byte" in out
    assert "memory" in out


def test_a_refused_strategy_is_listed(capsys):
    words = [word.replace("im2col", "winograd") for word in QUICK]
    status, out, _ = run(capsys, "roofline", "mb1ic4ih9oc4kh1", *words)
    assert status == 0
    assert "refused: winograd" in out


ROOF = ("bound_by", "works_in", "roof_flop_per_s", "roof_fraction", "flop_per_byte", "bytes_per_s")


def test_csv_and_markdown_have_the_columns_of_the_roofline(capsys, tmp_path):
    table, page = tmp_path / "r.csv", tmp_path / "r.md"
    words = [*QUICK[:3], "direct,winograd", *QUICK[4:], "--csv", table, "--markdown", page]
    assert run(capsys, "roofline", "mb1ic4ih9oc4kh1", *words)[0] == 0
    timed, refused = csv.DictReader(table.read_text().splitlines())
    assert all(timed[f"roofline.{name}"] and not refused[f"roofline.{name}"] for name in ROOF)
    assert float(timed["time_s.median"]) > 0
    assert (refused["status"], refused["strategy"]) == ("refused", "winograd")
    assert "to the roof | % of roof |" in page.read_text()
    assert "- refused: winograd" in page.read_text()


def test_csv_and_markdown_of_a_result_file(capsys, result, monkeypatch):
    monkeypatch.setattr("convprof.measure.session.Session._sample", None)
    status, out, _ = run(capsys, "roofline", result, "--csv", "-")
    assert status == 0
    assert [row["strategy"] for row in csv.DictReader(out.splitlines())].count("direct") == 1
    assert "| direct | nchw |" in run(capsys, "roofline", result, "--markdown", "-")[1]


@pytest.fixture
def result(capsys, tmp_path):
    path = tmp_path / "r.json"
    assert run(capsys, "run", SMALL, *QUICK, "--json", path)[0] == 0
    return path


def test_run_says_what_bounds_each_strategy_and_what_it_moves(result):
    document = json.loads(result.read_text())
    VALIDATOR.validate(document)
    found = {m["strategy"]: m for m in document["measurements"]}
    assert {m["bound"] for m in found.values()} <= {"compute", "memory"}
    assert found["im2col"]["bytes_moved"] > found["direct"]["bytes_moved"]
    assert found["direct"]["bytes_moved"] > found["direct"]["bytes_min"]  # the padded copy
    assert {b["level"] for b in document["ceilings"]["bandwidths"]} >= {MEMORY}


def test_a_result_file_gives_the_same_points_without_measuring(capsys, result, monkeypatch):
    monkeypatch.setattr("convprof.measure.session.Session._sample", None)
    status, out, err = run(capsys, "roofline", result)
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "roofline · f32 on 1 thread · r.json"
    assert "im2col" in out


def test_a_file_of_another_machine_is_never_completed_by_measuring_here(
    capsys, result, monkeypatch
):
    document = json.loads(result.read_text())
    document["machine"]["key"] = "0123456789ab"
    document["ceilings"]["bandwidths"] = []
    result.write_text(json.dumps(document))
    monkeypatch.setattr("convprof.machine.bandwidth.measure", None)
    status, out, _ = run(capsys, "roofline", result)
    assert status == 0
    assert "is unknown: a strategy whose data is there has the peak as its roof" in out


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="no matplotlib")
def test_plot_files(capsys, result, tmp_path):
    status, _, err = run(capsys, "roofline", result, "--plot", tmp_path / "x.svg")
    assert status == 0
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")
    assert err == f"drawn: {tmp_path}/x.svg: roofline · f32 on 1 thread · r.json\n"
    status, _, err = run(capsys, "roofline", result, result, "--plot", tmp_path / "y.svg", "-q")
    assert (status, err) == (0, "")
    assert {p.name for p in tmp_path.glob("y*")} == {"y-1-f32-1.svg", "y-2-f32-1.svg"}


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("jinja2", "matplotlib"))),
    reason="jinja2 or matplotlib not installed: pip install 'convprof[report]'",
)
def test_a_report_has_the_charts_without_plot(capsys, result, tmp_path):
    status, _, err = run(capsys, "roofline", result, result, "--report", tmp_path / "x.html", "-q")
    assert (status, err) == (0, "")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert page.count("<svg") > 1
    assert [path.name for path in tmp_path.glob("*.svg")] == []


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="no matplotlib")
def test_a_chart_without_points_leaves_the_others_their_names(capsys, result, tmp_path):
    document = json.loads(result.read_text())
    first, second = document["measurements"]
    first["threads"], document["ceilings"]["peaks"][0]["threads"] = 7, 1
    document["measurements"] = [first, second]
    result.write_text(json.dumps(document))
    status, _, err = run(capsys, "roofline", result, "--plot", tmp_path / "z.svg")
    assert status == 0
    assert "no peak for f32 on 7 threads: left out" in err
    assert {p.name for p in tmp_path.glob("z*")} == {"z-f32-1.svg"}


def test_json_of_roofline_is_a_result(capsys):
    status, out, _ = run(capsys, "roofline", SMALL, *QUICK, "--json", "-")
    document = json.loads(out)
    VALIDATOR.validate(document)
    assert status == 0
    assert len(document["measurements"]) == 2


def test_dry_run_gives_commands(capsys):
    status, out, _ = run(capsys, "roofline", "8x8:8x8", "-t", "1", "--dry-run")
    assert (status, out) == (0, "convprof roofline -t 1 8x8:8x8\n")


BAD = {
    "no such file": (["/no/such.json"], "/no/such.json: cannot be read: No such file"),
    "a file and a problem": (["{result}", "8x8:8x8"], "give one kind of them"),
    "a flag for measuring": (["{result}", "-t", "1"], "--threads: the points come from"),
    "a file for what is not measured": (
        ["{result}", "--json", "x"],
        "--json: the points come from",
    ),
    "a shape": (["{result}", "--gemm", "8x8x8"], "--gemm: the points come from"),
    "an unknown picture": (["8x8:8x8", "--plot", "x.bmp"], "--plot x.bmp"),
    "a folder that is not there": (["8x8:8x8", "--plot", "/no/x.svg"], "--plot /no/x.svg: cannot"),
    "no problem": (["8x8:9x8"], "8x8:9x8"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_before_anything_is_measured(
    capsys, tmp_path, result, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("convprof.studies.ceilings.Measured", None)
    words, expected = BAD[name]
    status, out, err = run(capsys, "roofline", *(w.format(result=result) for w in words))
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


def test_a_file_without_times(capsys, result):
    document = json.loads(result.read_text())
    document["measurements"] = []
    result.write_text(json.dumps(document))
    status, _, err = run(capsys, "roofline", result)
    assert status == 2
    assert "there is no time in it" in err
