"""The forms of a document are written in parts: the same bytes, in little memory."""

from __future__ import annotations

import csv
import gc
import io
import json
import tracemalloc
from dataclasses import replace

import pytest

from convprof import archive
from convprof.archive import Archive
from convprof.render import describe, export, tables
from convprof.render.files import write_atomically
from convprof.results import Cycles, Document, Flops, Measurement, Measurements, Time
from convprof.studies import shortlist

LAYER = {
    "kind": "conv2d", "descriptor": "mb1ic8ih6oc4kh3", "name": 'a "µ"|\n \u2028', "n": 1, "c": 8,
    "h": 6, "w": 5, "k": 4, "r": 3, "s": 3, "stride": (1, 1), "pad": [1, 1], "dilation": [1, 1],
    "groups": 1, "epilogue": None,
}  # fmt: skip
PRODUCT = {
    "kind": "gemm", "descriptor": "4x6:6x5", "name": None, "m": 4, "n": 5, "k": 6, "batch": 1,
    "epilogue": None,
}  # fmt: skip
OK = Measurement(
    LAYER, "tiled", "nhwc", "f32", 2, "hot", "ok",
    time_s=Time(1e-3, 1e-5, 0.9e-3, 1.1e-3, 0.8e-3, 25, 4),
    cycles=Cycles(3e6, 0.5, "calibrated", 3e9), flops=Flops(6_000_000, 3_000_000),
    flop_per_s=6e9, peak_fraction=0.04, bytes_min=4096, intensity=1464.8,
    phases={"pad": 1e-4, "multiply": 9e-4}, max_rel_error=1e-7,
)  # fmt: skip
ROWS = [
    OK,
    replace(OK, layout="nchw", phases={"turn, back": 1e-4}, cycles=Cycles(3e6, None, "pmu", 3e9)),
    Measurement(LAYER, "winograd", None, "f32", 1, "hot", "refused", reason="it needs\n3x3 | no"),
    replace(OK, problem=PRODUCT, layout=None, phases=None),
    replace(OK, time_s=Time(1.0, 0.0, None, None, 1.0, 1, 1), cycles=None),
    Measurement(PRODUCT, "blas", None, "f32", 1, "cold", "wrong", max_rel_error=float("nan")),
    replace(OK, strategy="direct"),
]
COMPARISONS = [{"kind": "layouts", "ratio": {"value": 0.8, "low": None}, "a": []}, {"kind": "x"}]
PEAK = {"dtype": "f32", "threads": 1, "flop_per_s": 1e11, "bits": 256, "isa": None}
MACHINE = {"key": "0123456789ab", "brand": None, "caches": [], "of": {}}


def document(rows, comparisons=()):
    return Document(
        "1.2.3", MACHINE, {"core_hz": None}, {"peaks": [PEAK]}, {"argv": ["größe"]},
        Measurements(rows), Archive(comparisons),
    )  # fmt: skip


DOCUMENTS = {
    "empty": document([]),
    "one row": document([OK]),
    "refused only": document([ROWS[2]]),
    "all kinds": document(ROWS, COMPARISONS),
}


@pytest.fixture(params=[2, 64])
def chunks(request, monkeypatch):
    monkeypatch.setattr(archive, "PER_CHUNK", request.param)


@pytest.fixture(params=DOCUMENTS)
def made(request, chunks):  # noqa: ARG001
    known = DOCUMENTS[request.param]
    return replace(
        known,
        measurements=Measurements(known.measurements),  # compressed as the chunks are now
        comparisons=Archive(known.comparisons),
    )


def test_json_is_what_python_writes_of_the_whole(made):
    whole = json.dumps(made.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    assert "".join(export.to_json(made)) == whole


def test_csv_is_what_python_writes_of_the_whole(made):
    rows = [export._flat(row) for row in made.to_json()["measurements"]]
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    assert "".join(export.to_csv(made)) == text.getvalue()


def test_columns_before_the_measurements_in_csv():
    text = "".join(export.to_csv(document(ROWS), lambda m: {"count": m.threads * 3}))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["count"]) for row in rows] == [3 * m.threads for m in ROWS]
    assert text.startswith("count,problem.kind,")


def test_markdown_has_a_table_per_problem(made):
    groups = {}
    for row in made.measurements:
        groups.setdefault(row.problem["descriptor"], []).append(row)
    parts = []
    for group in groups.values():
        rows = shortlist.timed(group)
        parts.append(f"### {describe.problem_line(group[0].problem, group[0].dtype)}\n")
        if rows:
            parts.append(export.markdown_table(tables.run_columns(rows), rows))
        parts += [f"- {describe.exclusion_line(m)}\n" for m in tables.excluded(group)]
    parts += [describe.machine_line(made) + "  ", describe.cycles_line(made.measurements) + "\n"]
    assert "".join(export.to_markdown(made)) == "\n".join(parts)


def test_groups_in_the_order_of_their_first_members():
    names = "abacbbdce"
    rows = [replace(OK, problem={**LAYER, "descriptor": name}, threads=i + 1)
            for i, name in enumerate(names)]  # fmt: skip
    found = list(export.by_problem(Measurements(rows)))
    assert ["".join(m.problem["descriptor"] for m in group) for group in found] == [
        "aa", "bbb", "cc", "d", "e",
    ]  # fmt: skip
    assert [[m.threads for m in group] for group in found] == [[1, 3], [2, 5, 6], [4, 8], [7], [9]]


ROW_BYTES = 600
"""Of memory for one more row. Kept, a row takes 3 kB as Python objects and 1 kB as text of CSV."""


@pytest.mark.parametrize("form", [export.to_json, export.to_csv, export.to_markdown])
def test_memory_does_not_grow_with_the_document(form, monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "PER_CHUNK", 36)  # at hand at once: four problems

    def peak(problems):
        made = document([])
        for number in range(problems):
            problem = {**LAYER, "descriptor": f"mb1ic{number}"}
            made.measurements += [replace(OK, problem=problem, threads=t) for t in range(1, 10)]
        gc.collect()
        tracemalloc.start()
        write_atomically(str(tmp_path / "o"), form(made))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)  # imports and caches
    assert peak(60) - peak(20) < 9 * 40 * ROW_BYTES


def test_json_on_a_lacking_stdout_is_ascii_as_a_whole(monkeypatch):
    from convprof.cli import driver

    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    made = document(ROWS, COMPARISONS)  # latin-1 has the ö, and not the line separator
    driver._print("json", lambda: export.to_json(made))
    whole = json.dumps(made.to_json(), indent=2)
    assert raw.getvalue().decode("latin-1") == whole + "\n"


ROUNDS = (1.25e-3, 1e-3, 0.8e-3)


def test_the_times_of_the_rounds_are_one_line_of_json_and_no_column():
    name = {"name": 'a name with "rounds_s": [1,\n 2]'}
    time = replace(OK.time_s, rounds_s=ROUNDS)
    made = document([replace(OK, time_s=time, problem=OK.problem | name)])
    text = "".join(export.to_json(made))
    assert '"rounds_s": [0.00125, 0.001, 0.0008]\n' in text
    assert json.loads(text) == made.to_json()
    assert "rounds_s" not in "".join(export.to_csv(made)).partition("\n")[0]
