"""--save and ``convprof history`` as a user gives them."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

sys.path.append(str(Path(__file__).parents[1] / "studies" / "compare"))
from saved_runs import document, timed

from convprof.cli import cli
from convprof.errors import InputError
from convprof.render.history import history_chart
from convprof.render.tables import NOTHING
from convprof.studies.history import store, study
from convprof.studies.history.save import save

RUN = ["run", "16x16:16x16", "-s", "naive", "-t", "1", "--budget", "0.001", "-q"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def invoke(*words, code=0):
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert done.return_value == code, done.output
    return done


def test_runs_are_saved_listed_compared_and_shown(tmp_path):
    for _ in range(2):
        invoke(*RUN, "--save", "main")
    text = invoke("history").output
    assert "saved runs of 16x16:16x16" in text
    (row,) = (line.split() for line in text.splitlines() if line.startswith("16x16:16x16"))
    assert row[-1] == NOTHING  # no number of changes
    assert "2 saved runs: too few to find a change; it needs 8 of one problem." in text
    rows = list(csv.DictReader(io.StringIO(invoke("history", "16*", "--csv", "-").output)))
    assert [(row["run"], row["strategy"]) for row in rows] == [("1", "naive"), ("2", "naive")]
    assert json.loads(invoke("history", "--json", "-").output)["kind"] == "history"
    assert "last against last~1" in invoke("compare", "results", "last~1", "last").output
    assert "naive" in invoke("show", "main~1").output
    path = tmp_path / "again.json"
    invoke("show", "main", "--json", str(path), "--save", "copy")
    assert store.document("copy") == store.document("main") == path.read_bytes()


def test_a_run_that_cannot_be_saved_is_still_shown(tmp_path):
    (tmp_path / "convprof").write_text("")
    done = invoke(*RUN, "--save", "main", code=1)
    assert "convprof: the run was not saved in" in done.output
    assert "naive" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["history"],
        [*RUN, "--save", "last"],
        ["network", "--list", "--save", "a"],
        ["history", "-s", "a,b"],
    ],
)
def test_what_is_refused(words):
    with pytest.raises(InputError):
        invoke(*words)


def test_the_chart_of_a_problem_has_a_mark_for_each_run_of_a_change():
    for number in range(24):
        slow = 1.1 if number >= 12 else 1.0
        rows = (timed(slow * 1e-3, number, threads=threads) for threads in (1, 2))
        save("main", json.dumps(document(*rows)).encode())
    chart = history_chart(study.lines(None, None))
    assert [mark.label for mark in chart.marks] == ["run 13"]
    assert [len(series.points) for series in chart.series] == [24, 24]
    text = invoke("history").output
    assert "changed: 64x64:64x64 f32 2 threads: " in text
    assert "2 of 2 lines became slower at their last change." in text


def saved(*names, step_s=86_400.0):
    """Save a run a day under each name, the last one now."""
    now = time.time()
    for number, name in enumerate(names):
        at = now - step_s * (len(names) - 1 - number)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.time, "time", lambda at=at: at)
            save(name, json.dumps(document(timed(1e-3, number))).encode())


def names_left():
    return [run["name"] for line in study.lines(None, None) for run in line.to_json()["runs"]]


def test_a_run_is_removed_by_its_name():
    saved("main", "other", "main", "main")
    out = invoke("history", "--forget", "main~1").output
    assert "removed: run 3, main, of " in out
    assert "1 run removed, 3 left" in out
    assert names_left() == ["main", "other", "main"]
    invoke("history", "--forget", "last")
    assert names_left() == ["main", "other"]
    assert "last against last~1" in invoke("compare", "results", "last~1", "last").output


def test_old_runs_are_removed_of_all_names_or_of_one():
    saved("main", "other", "main", "other", "main")
    out = invoke("history", "--older", "72h", "--forget", "main").output
    assert "1 run removed, 4 left" in out
    assert names_left() == ["other", "main", "other", "main"]
    assert "2 runs removed, 2 left" in invoke("history", "--older", "36h").output
    assert names_left() == ["other", "main"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--forget", "nobody"], "no such run is saved; convprof history lists them"),
        (["--forget", "a b"], "write NAME or NAME~1"),
        (["--forget", "main~1", "--older", "1d"], "with an age name all runs: NAME"),
        (["--older", "9y"], "no such run is saved"),
        (["--older", "1d", "--json", "-"], "use them without other options"),
    ],
)
def test_what_cannot_be_removed_is_one_line(words, message):
    saved("main")
    with pytest.raises(InputError, match=re.escape(message)):
        invoke("history", *words)
    assert names_left() == ["main"]


def test_an_age_of_another_form_is_refused():
    with pytest.raises(click.BadParameter, match="not of the form 90d"):
        invoke("history", "--older", "90")


def test_without_a_store_nothing_is_removed():
    with pytest.raises(InputError, match="no run is saved yet"):
        invoke("history", "--forget", "main")
