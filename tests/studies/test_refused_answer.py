"""Where every strategy refuses, the answer has a way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.measure.report import describe
from convprof.problems import Attention, Gemm, LayoutConversion
from convprof.results import Measurement, Time
from convprof.studies.run_answer import answer


def refused(problem, dtype):
    return Measurement(
        describe(problem), "tiled", None, dtype, 1, "hot", "refused", reason="tiled refuses"
    )


@pytest.mark.parametrize(
    ("problem", "dtype", "sentence", "command"),
    [
        (
            Attention(batch=1, heads=2, tokens=3, dim=4), "u8:s8:u8",
            "No strategy computes attention in u8:s8:u8: use f32, f64, bf16, f16 or int8.", "",
        ),
        (
            Gemm(m=4, n=5, k=6), "u8:u8:u8",
            "No strategy computes gemm in u8:u8:u8: use f32, f64, bf16, f16 or int8.", "",
        ),
        (
            Gemm(m=4, n=5, k=6), "bf16",
            "Each of these strategies refuses the problem; other strategies may take it.",
            "convprof strategies 4x6:6x5 --dtype bf16",
        ),
    ],
)  # fmt: skip
def test_a_way_out(problem, dtype, sentence, command):
    found = answer([refused(problem, dtype)])
    assert (found.sentences, found.command) == ((sentence,), command)


def test_no_way_out_of_anything_else():
    one = refused(Gemm(m=4, n=5, k=6), "bf16")
    assert answer([]) is None
    assert answer([one, replace(one, status="failed")]) is None
    assert answer([refused(LayoutConversion(n=1, c=2, h=3, w=4), "f32")]) is None
    timed = replace(one, status="ok", reason=None, time_s=Time(1.0, 0.0, 1.0, 1.0, 1.0, 5, 1))
    assert "refuses" not in answer([one, timed]).sentences[0]
