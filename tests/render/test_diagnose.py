from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from convprof.machine import facts
from convprof.machine.model import MachineModel
from convprof.render import diagnose as view
from convprof.studies.diagnose.study import Diagnosis

DATA = Path(__file__).parents[1] / "data" / "logs"


@pytest.fixture(scope="module")
def study():
    made = Diagnosis([str(DATA / "onednn-3.12.log")], MachineModel(facts()), 1)
    for step in made.reading():
        assert step
    return made


def printed(study, width, top=20):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    view.diagnosis_report(console, study, top=top)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits(study, width):
    text = printed(study, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "operation" in text
    assert "lost [ms]" in text


@pytest.mark.parametrize("top", [1, 5, 20, 1000])
def test_printed_rows_add_up(study, top):
    lines = view.lines(study.rows(), top)
    assert math.isclose(math.fsum(line.total_s for line in lines), study.total_s)
    assert math.isclose(math.fsum(line.share for line in lines), 1)
    assert sum(line.calls for line in lines) == sum(row.calls for row in study.rows())
    assert len(lines) == min(top + 1, len(study.rows()))


def test_findings_have_evidence_and_a_way_out(study):
    text = printed(study, 400)
    assert "reorders: Conversions of layouts and types take 52 % of the time" in text
    assert "-> Keep activations in one layout" in text


def test_what_is_not_in_the_table_is_counted():
    made = Diagnosis([str(DATA / "versions.log")], MachineModel(facts()), 1)
    for step in made.reading():
        assert step
    (line,) = view.unread(made.log)
    assert line.endswith(
        "1 of the program itself, 2 inside of other operations, 2 that could not be read"
    )


def test_csv_has_every_row_and_no_nested_column(study):
    rows = list(csv.DictReader(io.StringIO("".join(view.to_csv(study)))))
    assert len(rows) == len(study.rows())
    assert math.isclose(math.fsum(float(row["total_s"]) for row in rows), study.total_s)
    assert {row["problem"] for row in rows} > {"", "64x512:512x100"}


def test_markdown_has_every_row(study):
    text = view.to_markdown(study)
    assert text.count("\n| ") == len(study.rows()) + 1
    assert "**reorders**" in text
