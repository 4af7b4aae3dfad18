"""``convprof compare results`` as a command: files, exit codes, forms."""

from __future__ import annotations

import json

import pytest
from saved_runs import document, timed

from convprof import cli

SLOWER = (
    "The only measurement of both sides is slower: packed on 1 thread, 64x64:64x64, takes 1.10 "
    "times the time."
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "base.json": document(timed(1e-3, 1)),
        "same.json": document(timed(1e-3, 2)),
        "slow.json": document(timed(1.1e-3, 3)),
        "other.json": document(timed(1e-3, strategy="blas")),
    }
    for name, made in files.items():
        (tmp_path / name).write_text(json.dumps(made))
    return tmp_path


def run(capsys, *words):
    status = cli._status(["compare", "results", *words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.usefixtures("folder")
def test_the_gate_exits_with_4(capsys):
    assert run(capsys, "base.json", "slow.json")[0] == 0
    assert run(capsys, "base.json", "slow.json", "--fail-on", "slower:20%")[0] == 0
    assert run(capsys, "base.json", "same.json", "--fail-on", "slower:0%")[0] in {0, 4}
    status, out, err = run(capsys, "base.json", "slow.json", "--fail-on", "slower:5%")
    assert (status, err) == (4, "")
    assert out.splitlines()[-3:] == [
        SLOWER,
        "1 interval is wholly beyond 5 % slower: the limit is exceeded.",
        "next: convprof run 64x64:64x64 -s packed -t 1 --json again.json",
    ]


@pytest.mark.usefixtures("folder")
def test_nothing_matches_is_an_error_and_never_passes_the_gate(capsys):
    status, out, _ = run(capsys, "base.json", "other.json", "--fail-on", "slower:5%")
    assert status == 2
    assert "Nothing matches: no strategy is on both sides." in out
    assert run(capsys, "base.json", "same.json", "other.json")[0] == 2


@pytest.mark.parametrize("limit", ["5%", "slower:5", "slower:-5%", "slower:nan%", "faster:5%", ""])
@pytest.mark.usefixtures("folder")
def test_another_limit_is_refused(limit, capsys):
    status, out, err = run(capsys, "base.json", "same.json", "--fail-on", limit)
    assert (status, out) == (2, "")
    assert "is not of the form slower:5%" in err


def test_folders_and_patterns(folder, capsys):
    (folder / "notes.txt").write_text("not read")
    (folder / "else.json").write_text("{}")
    status, out, err = run(capsys, "base.json", str(folder), "--json", "-")
    assert status == 0
    made = json.loads(out)
    assert len(made["comparisons"][0]["files"]) == 4
    assert made["comparisons"][0]["rows"][0]["new"]["measurements"] == 3
    assert err.count("note: left out: ") == 1
    assert "else.json: not a result of convprof" in err
    _, out, err = run(capsys, "base.json", "s*.json", "--json", "-")
    assert (len(json.loads(out)["comparisons"][0]["files"]), err) == (2, "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("base.json", "none.json"), "none.json: cannot be read"),
        (("base.json", "n*.json"), "n*.json: no file there ends with .json, .jsonl, .journal"),
        (("empty", "base.json"), "empty: no file there ends with .json, .jsonl, .journal"),
        (("base.json", "bad.json"), "bad.json: not a result of convprof: it is not JSON"),
        (("base.json", "bad*.json"), "bad.json: not a result of convprof: it is not JSON"),
    ],
)
def test_what_is_no_result_is_one_line(words, reason, folder, capsys):
    (folder / "empty").mkdir()
    (folder / "bad.json").write_text("no")
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith(f"convprof: {reason}")
    assert err.count("\n") == 1


def test_the_files_are_written(folder, capsys, invalid):
    forms = ["--json", "c.json", "--csv", "c.csv", "--markdown", "c.md"]
    assert run(capsys, "base.json", "slow.json", "same.json", *forms)[0] == 0
    assert invalid(json.loads((folder / "c.json").read_text())) == []
    assert (folder / "c.csv").read_text().count("\n") == 3
    assert (folder / "c.md").read_text().count("###") == 2


@pytest.mark.usefixtures("folder")
def test_seconds_can_be_asked_for(capsys, tmp_path):
    (tmp_path / "clock.json").write_text(json.dumps(document(timed(1e-3, 2, clock=2.4e9))))
    _, out, _ = run(capsys, "base.json", "clock.json")
    assert "compared by core cycles, not by seconds: the core clocks differ" in out
    assert "The only measurement of both sides is the same within 2 %." in out
    _, out, _ = run(capsys, "base.json", "clock.json", "--by", "time")
    assert "compared by" not in out
    assert "takes 1.25 times the time." in out
    _, out, _ = run(capsys, "base.json", "slow.json", "--by", "cycles")
    assert "Compared by core cycles, not by seconds: as you chose." in out


def test_a_run_can_be_compared_with_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["run", "4x4:4x4", "-s", "naive", "-t", "1", "--budget", "0.001", "--rounds", "6"]
    assert cli._status([*words, "--json", "r.json", "-q"]) == 0
    made = json.loads((tmp_path / "r.json").read_text())
    assert len(made["measurements"][0]["time_s"]["rounds_s"]) == 6
    assert made["settings"]["versions"]["numba"]
    capsys.readouterr()
    status, out, _ = run(capsys, "r.json", "r.json", "--all", "--fail-on", "slower:0%")
    assert status == 0
    assert "1.00 [" in out
