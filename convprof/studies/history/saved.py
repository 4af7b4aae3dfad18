"""The lines of saved runs out of the document of ``convprof history``."""

from __future__ import annotations

from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, count, mapping, positive, text, words
from convprof.studies.history.points import read_point
from convprof.studies.history.store import Saved
from convprof.studies.history.study import Change, Line


def read(fields: dict[str, Any]) -> list[Line]:
    """Return the lines; InputError says what is wrong with the document."""
    lines = [_line(mapping(item)) for item in array(fields.get("lines"))]
    if not lines:
        raise InputError("it has no lines")
    return lines


def _line(fields: dict[str, Any]) -> Line:
    runs = [_run(mapping(run), fields) for run in array(fields.get("runs"))]
    if not runs:
        raise InputError("a line has no runs")
    by_number = {run.run: run for run in runs}
    changes = []
    for item in map(mapping, array(fields.get("changes"))):
        run = by_number.get(count(item.get("run")))
        if run is None:
            raise InputError("a change is at no run of its line")
        changes.append(Change(run, positive(item.get("before")), positive(item.get("after"))))
    by_peak = fields.get("unit") == "peak_fraction"
    if by_peak and any(run.point.peak_fraction is None for run in runs):
        raise InputError("a run has no share of the peak")
    return Line(runs, changes, by_peak)


def _run(run: dict[str, Any], line: dict[str, Any]) -> Saved:
    problem, machine = mapping(line.get("problem")), mapping(line.get("machine"))
    brand = machine.get("brand")
    texts = (
        problem.get("kind"), problem.get("descriptor"), problem.get("name"), run.get("strategy"),
        run.get("layout"), line.get("dtype"), line.get("cache"), run.get("isa"),
    )  # fmt: skip
    *labels, cache, isa = (None if value is None else words(value) for value in texts)
    every = (*labels, count(line.get("threads")), cache, isa)
    return Saved(
        run=count(run.get("run")),
        saved_s=positive(run.get("saved_s")),
        name=text(run.get("name")),
        machine=text(machine.get("key")),
        brand=None if brand is None else text(brand),
        point=read_point(every, run.get("seconds"), run.get("peak_fraction")),
    )
