"""`convprof show`: what was saved is shown and written again, field by field."""

from __future__ import annotations

import json
import os
import sys

import pytest

from convprof import cli
from convprof.results import SCHEMA_VERSION
from convprof.studies import journal
from convprof.studies import show as study

PROBLEMS = ["4x4:4x4", "5x5:5x5"]
HOW = ["-t", "1", "--budget", "0.001", "--rounds", "6"]
COMMANDS = {
    "run": ["run", *PROBLEMS, "-s", "naive,packed"],
    "run of convolutions": ["run", "mb1ic4ih6oc6kh3ph1", "-s", "tiled,winograd,direct"],
    "run of an epilogue": ["run", "mb1ic4ih6oc6kh3", "-s", "tiled", "--epilogue", "bias,relu"],
    "run of attention": ["run", "attention:1x2x9x8", "-s", "naive"],
    "run of passes": ["run", "mb1ic4ih6oc6kh3", "-s", "tiled", "--pass", "training"],
    "compare layouts": ["compare", "layouts", "mb1ic3ih6oc4kh3", "mb1ic3ih7oc4kh3", "-s", "tiled"],
    "compare peers": ["compare", "peers", *PROBLEMS, "-s", "naive,blas"],
    "compare one peer": ["compare", "peers", PROBLEMS[0], "-s", "naive,blas"],
    "ladder": ["ladder", "gemm", PROBLEMS[0], "-s", "naive,packed"],
}


def run(capsys, *words):
    status = cli._status([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def header(path, **more):
    made = {
        "schema_version": SCHEMA_VERSION,
        "kind": "run",
        "tool_version": "1",
        "machine": {"key": "0123456789ab"},
        "ceilings": {"peaks": []},
        "command": {"command": "run", "problems": 3},
        "settings": {},
        **more,
    }
    path.write_text(json.dumps(made) + "\n")
    return path


MEASUREMENT = {
    "problem": {"kind": "gemm", "descriptor": "4x4:4x4", "name": None}
    | {"m": 4, "n": 4, "k": 4, "batch": 1},
    "strategy": "naive", "layout": None, "dtype": "f32", "threads": 1, "cache": "hot",
    "status": "ok", "time_s": {"median": 1e-6}, "flops": {"direct": 128, "executed": 128},
    "bytes_min": 192,
}  # fmt: skip


def record(path, index=0, **more):
    made = {"index": index, "problem": "4x4:4x4", "state": {}, "measurements": [MEASUREMENT]}
    with path.open("a") as file:
        file.write(json.dumps(made | more) + "\n")
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_written_is_written_again_without_a_change(name, capsys, tmp_path, monkeypatch):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    how = ["--budget", "0.001", "--rounds", "6"] if name == "ladder" else HOW
    words = [*COMMANDS[name], *how, "--json", str(one)]
    monkeypatch.setattr(sys, "argv", ["convprof", *words])
    _, before, _ = run(capsys, *words)
    status, after, err = run(capsys, "show", one, "--json", two)
    assert (status, err) == (0, "")
    assert json.loads(two.read_text()) == json.loads(one.read_text())
    first, second = ([line for line in text.splitlines() if line] for text in (before, after))
    if name != "run of passes":  # it prints more than its tables
        assert second == first


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["run", "4x4:4x4", "-t", "1", "--isa", "avx2", "--json", "a.json"], " -t 1 --isa avx2"),
        (["run", "4x4:4x4", "--isa", "x; rm y"], " --isa 'x; rm y'"),
        (["run", "--help"], ""),
        (["run", "--no-such-option"], ""),
        (["no-such-command", "-t", "1"], ""),
        ("run -t 1", ""),
        ([3, None], ""),
    ],
)
def test_the_next_command_has_the_options_of_the_saved_command(capsys, tmp_path, argv, expected):
    path = tmp_path / "a.json"
    document = {
        "schema_version": SCHEMA_VERSION,
        "machine": {"key": "0"},
        "ceilings": {"peaks": []},
        "settings": {"argv": argv},
        "measurements": [MEASUREMENT],
    }
    path.write_text(json.dumps(document))
    status, out, _ = run(capsys, "show", path)
    assert status == 0
    assert out.splitlines()[-1] == f"next: convprof compare peers 4x4:4x4{expected}"


def test_refused_failed_and_wrong_rows_keep_their_reasons(capsys, monkeypatch, tmp_path):
    from convprof.strategies.gemm.naive import Naive

    def broken(*_):
        raise ValueError("with\ta tab")

    monkeypatch.setattr(Naive, "prepare", broken)
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    run(capsys, "run", "4x4:4x4", "-s", "naive,packed", *HOW, "--json", one)
    status, out, _ = run(capsys, "show", one, "--json", two)
    assert status == 0
    assert r"failed: naive 1 thread: ValueError: with\ta tab" in out
    reasons = [m["reason"] for m in json.loads(two.read_text())["measurements"]]
    assert reasons == [r"ValueError: with\ta tab", None]


def test_csv_markdown_and_stdout(capsys, tmp_path):
    one, table, rows = (tmp_path / f"o.{end}" for end in ("json", "md", "csv"))
    run(capsys, *COMMANDS["run"], *HOW, "--json", one)
    status, out, _ = run(capsys, "show", one, "--json", "-", "--csv", rows, "--markdown", table)
    assert status == 0
    assert json.loads(out) == json.loads(one.read_text())
    assert rows.read_text().count("\n") == 5
    assert table.read_text().count("| naive |") == 2


def test_several_files_are_shown_under_their_names(capsys, tmp_path):
    one, two = record(header(tmp_path / "a.journal")), record(header(tmp_path / "b.journal"))
    status, out, err = run(capsys, "show", one, two)
    assert status == 0
    assert [line for line in out.splitlines() if line.endswith(".journal")] == [str(one), str(two)]
    assert err.count("1 of 3 problems were finished") == 2
    status, _, err = run(capsys, "show", one, two, "--csv", "x.csv")
    assert status == 2
    assert "--csv: there are 2 files to show; name one of them" in err


def test_a_journal_becomes_a_document_with_its_problems_in_order(capsys, tmp_path):
    path = header(tmp_path / "o.json.journal")
    for index in (2, 0):
        record(path, index)
    with path.open("a") as file:
        file.write('{"index": 1, "measurem')  # as a kill leaves it
    status, out, err = run(capsys, "show", path, "--json", tmp_path / "o.json")
    assert status == 0
    assert "2 of 3 problems were finished" in err
    assert "gemm (4x4) (4x4)" in out
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["interrupted"] is True
    assert len(document["measurements"]) == 2


BAD = {
    "nothing": "",
    "no JSON": "{",
    "a number": "3",
    "deep": "[" * 100_000,
    "another version": json.dumps({"schema_version": 3, "machine": {}, "measurements": []}),
    "a sweep": json.dumps({"schema_version": 1, "kind": "sweep"}) + "\n",
    "another kind": json.dumps({"schema_version": 1, "kind": ["run"]}) + "\n",
    "no machine": json.dumps({"schema_version": 1, "kind": "run"}) + "\n",
}
RECORDS = {
    "no measurements": {"measurements": None},
    "of no index": {"index": "0"},
    "a negative index": {"index": -1},
    "an index too large": {"index": 3},
    "a size that is none": {
        "measurements": [MEASUREMENT | {"problem": {**MEASUREMENT["problem"], "m": "4"}}]
    },
    "a convolution without sizes": {
        "measurements": [MEASUREMENT | {"problem": {**MEASUREMENT["problem"], "kind": "conv2d"}}]
    },
    "a strategy that commands a terminal": {
        "measurements": [MEASUREMENT | {"strategy": "\x1b[2J"}]
    },
    "a clock in words": {"state": {"core_hz": {"median": "fast"}}},
    "an infinite phase": {"measurements": [MEASUREMENT | {"phases": {"pad": 1e300}}]},
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_result_is_one_line(name, capsys, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(BAD[name])
    status, out, err = run(capsys, "show", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"convprof: {path}: not a result of convprof: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_journal_is_one_line(name, capsys, tmp_path):
    path = record(header(tmp_path / "o.journal"), **RECORDS[name])
    status, out, err = run(capsys, "show", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"convprof: {path}: not a result of convprof: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION])
@pytest.mark.parametrize(
    "comparison",
    [
        {"kind": "peers", "a": {"strategy": "x", "threads": 1}, "b": {}},
        {"kind": "layouts", "problem": MEASUREMENT["problem"], "a": None},
    ],
    ids=str,
)
def test_a_comparison_of_nothing_does_not_cost_the_measurements(
    comparison, version, capsys, tmp_path
):
    path = record(header(tmp_path / "o.journal", schema_version=version), comparisons=[comparison])
    status, out, _ = run(capsys, "show", path)
    assert status == 0
    assert "naive" in out


def test_files_that_cannot_be_read_and_too_large_ones(capsys, tmp_path, monkeypatch):
    assert run(capsys, "show", tmp_path / "no")[0] == 2
    assert run(capsys, "show", tmp_path)[0] == 2
    assert run(capsys, "show")[0] == 2
    monkeypatch.setattr(study, "MOST_BYTES", 10)
    path = tmp_path / "r.json"
    path.write_text('{"measurements": []}')
    assert "larger than 10 bytes" in run(capsys, "show", path)[2]
    monkeypatch.setattr(journal, "MOST_LINE_BYTES", 1000)
    path = header(tmp_path / "o.journal")
    with path.open("a") as file:
        file.write("x" * 2000)
    assert "a line over" in run(capsys, "show", path)[2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_texts_of_strangers_cannot_command_a_terminal(capsys, tmp_path):
    evil = "\x1b]0;x\x07\x9b2J"
    more = MEASUREMENT | {"status": "failed", "reason": evil, "time_s": None}
    path = record(header(tmp_path / "o.journal"), measurements=[more])
    fields = json.loads(path.read_text().splitlines()[0])
    fields["settings"] = {"argv": [evil], evil: evil}
    rest = path.read_text().splitlines()[1]
    path.write_text(json.dumps(fields) + "\n" + rest + "\n")
    status, out, _ = run(capsys, "show", path, "--json", "-")
    assert status == 0
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert json.loads(out)["settings"]["argv"] == [r"\x1b]0;x\x07\x9b2J"]


def test_a_part_is_shown_with_the_flags_of_the_measurement(capsys, tmp_path):
    base = {"schema_version": SCHEMA_VERSION, "kind": "result", "tool_version": "1"}
    base |= {"machine": {"key": "0123456789ab", "brand": "A CPU"}, "ceilings": {}}
    rows = [
        MEASUREMENT
        | {"problem": MEASUREMENT["problem"] | {"name": name}, "strategy": strategy}
        | {"time_s": {"median": seconds}, "flop_per_s": 128 / seconds}
        for name, strategy, seconds in (
            ("net:a", "naive", 3e-6), ("net:a", "packed", 1e-6), ("net:b", "naive", 2e-6),
        )
    ]  # fmt: skip
    rows[2]["problem"] |= {"descriptor": "4x5:5x4"}
    path, two = tmp_path / "one.json", tmp_path / "two.json"
    comparison = {"kind": "peer", "problem": rows[0]["problem"]}
    path.write_text(json.dumps(base | {"measurements": rows, "comparisons": [comparison]}))

    def left(*flags):
        status, _, err = run(capsys, "show", path, *flags, "--json", two)
        assert (status, err) == (0, "")
        made = json.loads(two.read_text())
        return [m["strategy"] for m in made["measurements"]], len(made["comparisons"])

    assert left("--match", "net:b") == (["naive"], 0)
    assert left("--match", "4x4:4x4") == (["naive", "packed"], 1)
    assert left("--top", "1") == (["packed", "naive"], 1)
    plot = tmp_path / "a.svg"
    pytest.importorskip("matplotlib")
    assert run(capsys, "show", path, "--match", "a", "--plot", plot)[0] == 0
    assert "A CPU" in plot.read_text()
    for words, message in (
        (("--match", "zzz"), "one.json: --match zzz: matches no problem in the document"),
        (("--match", "["), "not a regular expression"),
        ((path, "--plot", plot), "--plot: there are 2 files to show; name one of them"),
    ):
        status, _, err = run(capsys, "show", path, *words)
        assert status == 2
        assert message in err


def test_the_top_of_a_shape_in_two_types_is_one_of_each(capsys, tmp_path):
    base = {"schema_version": SCHEMA_VERSION, "kind": "result", "tool_version": "1"}
    base |= {"machine": {"key": "0123456789ab"}, "ceilings": {}}
    rows = [
        MEASUREMENT | {"dtype": dtype, "time_s": {"median": seconds}, "flop_per_s": 128 / seconds}
        for dtype, seconds in (("f32", 1e-6), ("f32", 2e-6), ("f64", 3e-6))
    ]
    path, two = tmp_path / "one.json", tmp_path / "two.json"
    path.write_text(json.dumps(base | {"measurements": rows}))
    assert run(capsys, "show", path, "--top", "1", "--json", two)[0] == 0
    assert [m["dtype"] for m in json.loads(two.read_text())["measurements"]] == ["f32", "f64"]


def test_a_result_is_exported_for_other_tools(capsys, tmp_path):
    base = {"schema_version": SCHEMA_VERSION, "kind": "result", "tool_version": "1"}
    base |= {"machine": {"key": "0123456789ab"}, "ceilings": {}, "measurements": [MEASUREMENT]}
    path = tmp_path / "one.json"
    path.write_text(json.dumps(base))
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    exports = ["--export", "pyperf", files[0], "--export", "hyperfine", files[1]]
    assert run(capsys, "show", path, *exports)[0] == 0
    assert json.loads(files[0].read_text())["version"] == "1.0"
    assert len(json.loads(files[1].read_text())["results"]) == 1
    for words, message in (
        (["--export", "bencher", tmp_path / "no" / "a"], "--export bencher"),
        (["--export", "other", files[0]], "'other' is not one of"),
        ([path, "--export", "bencher", files[0]], "there are 2 files"),
        (["--json", files[0], "--export", "bencher", files[0]], "another file"),
    ):
        status, _, err = run(capsys, "show", path, *words)
        assert status == 2
        assert message in err
    status, _, err = run(capsys, "show", path, "--export", "github-action-benchmark", files[0])
    assert (status, "no time has a share of the peak to export" in err) == (1, True)
