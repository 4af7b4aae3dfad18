"""What ``compare commands --command`` prints, to the letter, and its chart."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from convprof.measure.programs import ProgramRun
from convprof.render.compare.programs import programs_chart, programs_report, to_csv, to_markdown
from convprof.studies.compare.programs import Program, Programs, Settings


@pytest.fixture
def study():
    """Return two programs that have run, and one that has failed."""
    made = [
        Program("A", "python old.py", ("python",)),
        Program("B", "python a/new/program/with/a/long/name.py", ("python",)),
        Program("C", "false", ("false",), reason="exit code 1"),
    ]
    for program, seconds in zip(made[:2], (1.0, 1.5), strict=True):
        program.runs = {number: ProgramRun(seconds, 0.5) for number in range(6)}
    return Programs(made, Settings(), {})


def test_the_table_at_80_columns(study):
    console = Console(width=80, file=io.StringIO(), color_system=None)
    programs_report(console, study)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "Whole programs, 6 runs of each in alternating rounds",
        "    command                        time [s]          ratio to A   verdict",
        "─" * 73,
        "A   python old.py                1.00 ±0.00                   -   -",
        "B   …ogram/with/a/long/name.py   1.50 ±0.00   1.50 [1.50, 1.50]   slower",
        "not shown at 80 columns: fastest [s], processor [s]",
        "failed: C: exit code 1",
    ]


def test_the_files_have_every_program(study):
    heading, *rows = "".join(to_csv(study)).splitlines()
    assert heading.startswith("name,command,status,reason,median_s")
    assert [row.split(",")[0] for row in rows] == ["A", "B", "C"]
    page = "".join(to_markdown(study))
    assert "| B |" in page
    assert page.endswith("- failed: C: exit code 1\n")


def test_the_chart_has_a_bar_for_each_program_that_has_run(study):
    chart = programs_chart(study, dated="today")
    (panel,) = chart.panels
    assert [bar.value for bar in panel.bars] == [1.0, 1.5]
    study.programs = study.programs[2:]
    assert programs_chart(study, dated="today") is None
