"""The table of several problems, to the letter."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from convprof.render.recording import RecordingConsole
from convprof.render.run_many import problems_report
from convprof.results import Flops, Measurement, Time


def measurement(name, strategy, time_s, **changes):
    made = Measurement(
        problem={"kind": "conv2d", "descriptor": name, "name": name},
        strategy=strategy, layout="nhwc", dtype="f32", threads=2, cache="hot", status="ok",
        time_s=Time(time_s, 0.0, time_s * 0.99, time_s * 1.01, time_s, 25, 3),
        flops=Flops(10**8, 10**8), flop_per_s=10**8 / time_s, peak_fraction=0.5, bound="compute",
        max_rel_error=3e-7,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


ROWS = [
    measurement("net:conv1", "microkernel", 0.00123),
    measurement("net:layer1.0.conv2", "winograd", 0.0151, threads=1, bound="memory"),
    measurement("net:fc", "microkernel", 0.00002, layout=None),
]
FAILED = dataclasses.replace(
    measurement("net:x", "fft", 1.0), status="failed", reason="MemoryError", time_s=None
)

GOLDEN_80 = """\
the fastest strategy of each problem · f32
problem              fastest       threads        time [ms]   GFLOP/s   % peak
──────────────────────────────────────────────────────────────────────────────
net:conv1            microkernel         2       1.23 ±0.01      81.3     50.0
net:layer1.0.conv2   winograd            1        15.1 ±0.2      6.62     50.0
net:fc               microkernel         2   0.0200 ±0.0002     5,000     50.0
total of 3 of 4                                        16.3      18.3
not shown at 80 columns: layout, bound, error
failed: fft nhwc 2 threads: MemoryError
"""


def printed(rows, width, problems=4, failures=(FAILED,)):
    text = io.StringIO()
    problems_report(Console(file=text, width=width), rows, failures, problems)
    return text.getvalue()


def test_a_row_per_problem_one_unit_and_the_total():
    assert printed(ROWS, 80) == GOLDEN_80


def test_one_strategy_is_in_the_title_and_in_no_column():
    text = printed(ROWS[::2], 140, 2, ())
    assert text.startswith("microkernel · f32\nproblem      layout   threads ")
    assert "total of 2 " in text


def test_the_layout_does_not_distinguish_products():
    assert "layout" not in printed(ROWS[2:], 140)


def test_nothing_measured_is_no_table():
    assert printed([], 80) == "failed: fft nhwc 2 threads: MemoryError\n"


def test_a_long_name_is_shortened_in_a_terminal_and_whole_in_a_report():
    name = f"net:{'x' * 50}.conv1"
    console = RecordingConsole(file=io.StringIO(), width=80)
    problems_report(console, [measurement(name, "fft", 1.0), ROWS[0]], (), 2)
    assert name not in console.file.getvalue()
    assert [row[0] for row in console.blocks[0].rows] == [name, "net:conv1", "total of 2"]
