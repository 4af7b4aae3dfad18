"""--save and ``convprof history`` as a user gives them."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

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
