from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from convprof.machine import facts
from convprof.machine.model import MachineModel
from convprof.render import diagnose as view
from convprof.render.recording import RecordedTable, RecordingConsole
from convprof.results import Measurement, Time
from convprof.studies.diagnose.faster import Faster
from convprof.studies.diagnose.study import Diagnosis

DATA = Path(__file__).parents[1] / "data" / "logs"
BEST = Measurement(
    {"kind": "gemm", "descriptor": "4x4:4x4", "name": None}, "auto", "nhwc", "f32", 1, "hot", "ok",
    time_s=Time(1e-6, 0.0, 9e-7, 1.1e-6, 1e-6, 9, 1),
)  # fmt: skip
FASTER = Faster(BEST)


@pytest.fixture(scope="module")
def study():
    made = Diagnosis([str(DATA / "onednn-3.12.log")], MachineModel(facts()), 1)
    for step in made.reading():
        assert step
    return made.result()


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
    lines = view.lines(study.rows, top)
    assert math.isclose(math.fsum(line.total_s for line in lines), study.total_s)
    assert math.isclose(math.fsum(line.share for line in lines), 1)
    assert sum(line.calls for line in lines) == sum(row.calls for row in study.rows)
    assert len(lines) == min(top + 1, len(study.rows))


def test_findings_have_evidence_and_a_way_out(study):
    text = printed(study, 400)
    assert "reorders: Conversions of layouts and types take 52 % of the time" in text
    assert "-> Keep activations in one layout" in text


def test_what_is_not_in_the_table_is_counted():
    made = Diagnosis([str(DATA / "versions.log")], MachineModel(facts()), 1)
    for step in made.reading():
        assert step
    (line,) = view.unread(made.result().log)
    assert line.endswith(
        "1 of the program itself, 2 inside of other operations, 2 that could not be read"
    )


def test_csv_has_every_row_and_no_nested_column(study):
    rows = list(csv.DictReader(io.StringIO("".join(view.to_csv(study)))))
    assert len(rows) == len(study.rows)
    assert math.isclose(math.fsum(float(row["total_s"]) for row in rows), study.total_s)
    assert {row["problem"] for row in rows} > {"", "64x512:512x100"}


def test_markdown_has_every_row(study):
    text = view.to_markdown(study)
    assert text.count("\n| ") == len(study.rows) + 1
    assert "**reorders**" in text


def test_what_a_call_takes_is_next_to_what_it_could_take(study):
    rows = [replace(row, faster=FASTER) if row.measurement else row for row in study.rows]
    measured = replace(study, rows=rows)
    text = printed(measured, 80)
    (heading,) = (line for line in text.splitlines() if line.startswith("operation"))
    assert "median [" in heading
    assert "could take [" in heading
    shown = view.lines(rows, 20)
    with_times = [line.row is not None and line.row.faster is not None for line in shown]
    assert with_times == sorted(with_times, reverse=True)  # what was not measured comes last
    assert "-: no ceiling and no faster way is known" in " ".join(text.split())


def test_a_report_has_whole_names(study):
    name = "reorder " + "x" * 50
    row = study.rows[0]
    long = replace(row, operation=replace(row.operation, implementation=name))
    console = RecordingConsole(file=io.StringIO(), width=80)
    view.diagnosis_report(console, replace(study, rows=[long]), top=20)
    (table,) = (block for block in console.blocks if isinstance(block, RecordedTable))
    assert name in table.rows[0]
