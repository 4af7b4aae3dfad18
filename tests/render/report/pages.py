"""A page with every kind of chart, and with names that are markup."""

from __future__ import annotations

from convprof.render.charts.chart import (
    Bar,
    Bars,
    Chart,
    HeatMap,
    Level,
    Mark,
    Panel,
    Point,
    Reference,
    Series,
)
from convprof.render.recording import RecordedTable, RecordedText
from convprof.render.report.page import Page
from convprof.studies.answer import Answer

EVIL = "<script>alert(1)</script>\"'&"
TABLE = RecordedTable(
    "strategies of one problem",
    ("strategy", "layout", "time [ms]"),
    (False, False, True),
    (
        ("tiled", "nhwc", "1,200 ±3"),
        ("packed", "nchw", "30.5 ±0.1"),
        ("naive", "nchw", "-"),
        (EVIL, "nchw", "4.00 ±?"),
        ("direct", "nchw", "5.00"),
        ("fft", "nchw", "6.00"),
        ("im2col", "nchw", "7.00"),
    ),
    ("", "bold green", "dim", "", "", "", ""),
)
BARS = Bars(
    "packed is the fastest",
    (
        Panel(
            "GFLOP/s",
            (
                Bar("tiled nhwc", 10.0, 9.0, 11.0, note="10 · 5 % of the peak", subject="tiled"),
                Bar(EVIL, 20.0, variant=1),
            ),
            "on 1 thread",
            (Reference("peak", 100.0),),
        ),
        Panel("time of a / time of b", (Bar("packed", 1.2, 1.1, 1.3),), ratios=True),
    ),
    "a subtitle",
    "a caption",
)
LINES = Chart(
    "tiled reaches the peak",
    "size",
    "GFLOP/s",
    (
        Series("tiled nhwc", (Point(1, 2, 1.9, 2.1), Point(2, 3, label=EVIL))),
        Series("roof", (Point(1, 4), Point(2, 4)), ceiling=True),
    ),
    (Level("peak", 4.0),),
    (Mark("L1", 1.5),),
)
MAP = HeatMap(
    "wide is fast", "n", "m", ("1", "2"), (EVIL, "4"), ((1.0, None), (2.0, 3.0)), "GFLOP/s"
)
DOCUMENT = {
    "schema_version": 2,
    "kind": "ladder",
    "machine": {
        "brand": EVIL,
        "caches": [{"level": 1, "size_bytes": 32768}],
        "simd": {"bits": 512},
    },
    "state": {"core_hz": {"median": 3.5e9}, "load": None},
    "settings": {"argv": [EVIL], "budget_s": 0.01},
    "ceilings": {"peaks": [{"dtype": "f32", "threads": 1, "flop_per_s": 1e11}]},
}
PAGE = Page(
    command=f"convprof run '{EVIL}'",
    date="2026-01-02 03:04",
    answer=Answer((f"{EVIL} is the fastest.", "Its limit is the peak."), "convprof ladder conv"),
    blocks=(
        RecordedText(f"{EVIL} · f32", "bold"),
        TABLE,
        RecordedText("a note", "dim"),
        RecordedText("another note"),
        TABLE,
    ),
    charts=(BARS, LINES, MAP),
    remarks=(EVIL,),
    document=DOCUMENT,
)
