"""Comparisons as columns of the CSV."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from convprof.archive import Archive
from convprof.render import export
from convprof.results import Document, Measurement, Measurements, Time

PROBLEM = {"kind": "gemm", "descriptor": "4x6:6x5", "name": None}
FAST = Measurement(
    PROBLEM, "packed", None, "f32", 1, "hot", "ok", time_s=Time(1e-3, 0.0, 1e-3, 1e-3, 1e-3, 9, 1)
)
SLOW = replace(FAST, strategy="naive")


def side(strategy, **more):
    return {"strategy": strategy, "layout": None, "threads": 1, "dtype": "f32", **more}


def comparison(a, b, ratio=0.5, kind="ladder", **more):
    return {
        "kind": kind, "problem": PROBLEM, "a": a, "b": b, "ratio": ratio, "ci95": [0.4, 0.6],
        "rounds": 9, "verdict": "faster", "doubt": None, **more,
    }  # fmt: skip


def rows_of(*comparisons, measurements=(SLOW, FAST)):
    document = Document(
        "1.2.3", {}, {}, {}, {}, Measurements(measurements), Archive(comparisons)
    )  # fmt: skip
    return list(csv.DictReader("".join(export.to_csv(document)).splitlines()))


def test_the_first_side_has_ratio_interval_and_verdict():
    limits = {"a": {"kind": "peak"}, "b": {"kind": "cache"}}
    slow, fast = rows_of(comparison(side("packed"), side("naive"), limits=limits))
    assert {name: value for name, value in fast.items() if name.startswith("compared")} == {
        "compared.kind": "ladder",
        "compared.with": "naive",
        "compared.with_layout": "",
        "compared.with_threads": "1",
        "compared.with_isa": "",
        "compared.with_dtype": "f32",
        "compared.with_environment": "",
        "compared.ratio": "0.5",
        "compared.ci95_low": "0.4",
        "compared.ci95_high": "0.6",
        "compared.rounds": "9",
        "compared.verdict": "faster",
        "compared.doubt": "",
    }
    assert fast["limited_by"] == "peak"
    assert list(fast)[-1] == "limited_by"
    assert (slow["strategy"], slow["compared.ratio"]) == ("naive", "")


def test_a_row_for_each_comparison_of_a_measurement():
    rows = rows_of(
        comparison(side("packed"), side("naive")), comparison(side("packed"), side("halide-tuned"))
    )
    assert [(row["strategy"], row["compared.with"]) for row in rows] == [
        ("naive", ""),
        ("packed", "naive"),
        ("packed", "halide-tuned"),
    ]


def test_blocks_of_several_measurements_have_rows_of_their_own():
    block = side("packed", mixer="attention", seconds=2e-3, peak_fraction=0.4, flop_per_s=1e9)
    other = side("auto", mixer="conv3x3")
    rows = rows_of(comparison(block, other, kind="mixers"), measurements=(FAST,))
    assert [(row["problem.name"], row["compared.with"]) for row in rows] == [
        ("", ""),
        ("attention", "conv3x3"),
    ]
    assert rows[1]["time_s.median"] == "0.002"


@pytest.mark.parametrize(
    "damage",
    [
        {"a": []},
        {"b": {"strategy": 7}},
        {"ratio": "1"},
        {"ci95": [1]},
        {"verdict": "\x1b[31m"},
        {"limits": {"a": 3}},
    ],
)
def test_a_damaged_comparison_is_left_out(damage):
    rows = rows_of({**comparison(side("packed"), side("naive")), **damage})
    assert len(rows) == 2
    assert "compared.ratio" not in rows[0]
