"""Notes of rows: each once, with the strategies that it is about."""

from __future__ import annotations

import io

from rich.console import Console

from convprof.render import notes
from convprof.render.run import run_report
from convprof.results import Measurement, Time

TIME = Time(1e-3, 0.0, 0.9e-3, 1.1e-3, 1e-3, 25, 3)
GEMM = {"kind": "gemm", "descriptor": "8x9:9x10", "name": None, "m": 8, "n": 10, "k": 9, "batch": 1}


def row(strategy, note, threads=1):
    return Measurement(GEMM, strategy, None, "f16", threads, "hot", "ok", time_s=TIME, note=note)


ROWS = [
    row("onnxruntime", "computes f16 in f32"),
    row("packed", None),
    row("openvino", "computes f16 in f32"),
    row("onnxruntime", "computes f16 in f32", 2),
]


def test_a_note_is_printed_once():
    assert notes.lines(ROWS) == ["onnxruntime, openvino: computes f16 in f32"]
    assert notes.lines(ROWS[1:2]) == []


def test_the_notes_are_below_the_table():
    text = io.StringIO()
    run_report(Console(file=text, width=80), ROWS)
    assert text.getvalue().splitlines()[-1] == "onnxruntime, openvino: computes f16 in f32"
