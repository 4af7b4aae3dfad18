from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from convprof.machine.bandwidth import Bandwidth
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.core_latency import CoreLatency
from convprof.machine.node_bandwidth import NodeBandwidth
from convprof.machine.peaks import Peak
from convprof.render import ceilings
from convprof.render.ceilings_chart import ceilings_chart

PEAKS = (
    Peak("sse", 128, "f32", 1, 3.37e10, 3.0e9, 11.2, 1, fused=False),
    Peak("avx512", 512, "f32", 1, 1.9e11, None, None, None),
    Peak("avx512", 512, "f64", 1, 9.5e10, 2.98e9, 32.0, 2, burst_flop_per_s=1.02e11),
)
BANDWIDTHS = (
    Bandwidth("L1", "load", 1, 3.49e11, 24576),
    Bandwidth("L1", "store", 1, 2e11, 24576),
    Bandwidth("memory", "load", 1, None, None, "needs 520 MiB"),
)
ONE = Ceilings(1, 1_760_000_000.0, PEAKS, BANDWIDTHS)
TWO = Ceilings(2, 1_760_000_000.0, (), ())
NOW = ONE.measured_at + 3 * 86400 + 5


def shown(width, sets=(ONE,), dtypes=("f32",)):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    ceilings.ceilings_report(console, sets, dtypes, now=NOW, machine="0123456789ab")
    return console.file.getvalue()


def test_both_tables_at_80_columns():
    lines = [line.rstrip() for line in shown(80).splitlines()]
    assert lines == [
        "peak arithmetic",
        "dtype   threads   ISA      bits   arithmetic      GFLOP/s   FLOP/cycle       GHz",
        "────────────────────────────────────────────────────────────────────────────────",
        "f32           1   sse       128   multiply, add      33.7         11.2      3.00",
        "f32           1   avx512    512   FMA                 190      unknown   unknown",
        "not shown at 80 columns: burst",
        *ceilings.CYCLES,
        "",
        "bandwidth",
        "level    threads   load [GB/s]   store [GB/s]   copy [GB/s]   triad [GB/s]",
        "──────────────────────────────────────────────────────────────────────────",
        "L1             1           349            200       unknown        unknown",
        "memory         1       unknown        unknown       unknown        unknown",
        "not shown at 80 columns: bytes per thread",
        ceilings.COUNTED,
        "memory on 1 thread: needs 520 MiB",
        "measured 3 days ago (2025-10-09 08:53 UTC), kept for machine 0123456789ab",
    ]


@pytest.mark.parametrize(
    ("load", "said"), [(None, ""), (0.3, ""), (1.84, ", while other programs used 1.8 CPUs")]
)
def test_ceilings_of_a_busy_machine_say_so(load, said):
    (line,) = ceilings.age_lines([dataclasses.replace(ONE, load=load)], NOW)
    assert line == f"measured 3 days ago (2025-10-09 08:53 UTC){said}"


def test_the_working_set_has_room_at_120_columns():
    assert "24 KiB" in shown(120)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-86400, "in the future, by this clock"),
        (-1, "just now"),
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (7200, "2 hours ago"),
        (86400, "1 day ago"),
        (86400 * 400, "400 days ago"),
    ],
)
def test_age(seconds, expected):
    assert ceilings.age(seconds) == expected


def test_different_ages_have_lines_of_their_own():
    older = dataclasses.replace(TWO, measured_at=ONE.measured_at - 86400)
    assert ceilings.age_lines([ONE, older], NOW) == [
        "on 1 thread: measured 3 days ago (2025-10-09 08:53 UTC)",
        "on 2 threads: measured 4 days ago (2025-10-08 08:53 UTC)",
    ]
    assert len(ceilings.age_lines([ONE, TWO], NOW)) == 1


def test_csv_has_a_row_for_each_ceiling():
    document = {
        "ceilings": {
            "peaks": [dataclasses.asdict(p) for p in PEAKS],
            "bandwidths": [dataclasses.asdict(b) for b in BANDWIDTHS],
            "core_latencies": [dataclasses.asdict(CoreLatency((0, 3), 5e-8, 4e-8))],
            "node_bandwidths": [dataclasses.asdict(NodeBandwidth(1, 2, 3e10))],
        }
    }
    rows = list(csv.DictReader(io.StringIO("".join(ceilings.to_csv(document)))))
    assert [row["kind"] for row in rows] == [
        *["peak"] * 3, *["bandwidth"] * 3, "core latency", "node bandwidth",
    ]  # fmt: skip
    assert (rows[6]["cpus"], rows[6]["seconds"], rows[7]["node"]) == ("0-3", "5e-08", "1")
    assert float(rows[0]["flop_per_s"]) == 3.37e10
    assert rows[5]["reason"] == "needs 520 MiB"


def test_latencies_and_nodes_have_lines():
    pairs = tuple(CoreLatency((0, cpu), cpu * 1e-8, 1e-8) for cpu in (3, 1, 2))
    nodes = (NodeBandwidth(0, 2, 3e10), NodeBandwidth(1, 0, None, "none of its CPUs"))
    several = dataclasses.replace(TWO, latencies=pairs, nodes=nodes)
    text = shown(120, (ONE, several))
    assert (
        "core-to-core latency of 3 pairs: 10.0 ns (CPUs 0 and 1) at least, "
        "30.0 ns (CPUs 0 and 3) at most, 20.0 ns in the median"
    ) in text
    assert "NUMA node 0, 2 threads: 30.0 GB/s" in text
    assert "NUMA node 1, 0 threads: unknown, none of its CPUs" in text
    assert ceilings.latency_lines(pairs[:1]) == ["core-to-core latency: 30.0 ns (CPUs 0 and 3)"]
    lost = CoreLatency((0, 1), None, reason="CPU 1 does not answer")
    assert ceilings.latency_lines([lost]) == [
        "core-to-core latency: unknown, CPU 1 does not answer"
    ]
    assert ceilings.latency_lines([]) == []


def test_markdown_has_every_column():
    text = ceilings.to_markdown([ONE], ("f32", "f64"), now=NOW, machine="0123456789ab")
    assert text.count("| f32 |") == 2
    assert "| L1 | 1 | 24 KiB | 349 | 200 | unknown | unknown |" in text
    assert "3 days ago" in text


def test_nothing_is_called_kept_where_the_folder_cannot_be_written():
    console = Console(file=io.StringIO(), width=140, color_system=None)
    how = {"now": NOW, "machine": "0123456789ab", "unkept_in": Path("/full")}
    ceilings.ceilings_report(console, [ONE], ["f32"], **how)
    for text in (console.file.getvalue(), ceilings.to_markdown([ONE], ["f32"], **how)):
        assert "kept for machine" not in text
        assert f"not kept, because {how['unkept_in']} cannot be written" in text


def test_the_chart_has_the_highest_peaks_and_the_levels_nearest_first():
    slower = dataclasses.replace(PEAKS[0], bits=64, flop_per_s=1e10)
    memory = Bandwidth("memory", "load", 1, 1e10, 1 << 29)
    known = dataclasses.replace(ONE, peaks=(slower, *PEAKS), bandwidths=(*BANDWIDTHS[:2], memory))
    chart = ceilings_chart([known], ("f32",), dated="CPU · today")
    peaks, bandwidths = chart.panels
    assert [(bar.label, bar.value) for bar in peaks.bars] == [
        ("f32 · sse 128 bits · 1 thread", 33.7), ("f32 · avx512 512 bits · 1 thread", 190),
    ]  # fmt: skip
    assert peaks.bars[0].note == "33.7 · 11.2 FLOP/cycle · multiply and add apart"
    assert [bar.label for bar in bandwidths.bars] == ["L1 · 1 thread", "memory · 1 thread"]
    assert bandwidths.bars[0].note == "load 349 · store 200"
    assert chart.title == "1 thread: 190 GFLOP/s in f32, 10.0 GB/s from memory"
    assert chart.subtitle == "memory is the limit below 19 FLOP/byte · CPU · today"


def test_without_bandwidths_the_chart_has_the_peaks_and_without_both_no_chart_is_drawn():
    bare = dataclasses.replace(ONE, bandwidths=())
    (panel,) = ceilings_chart([bare], ("f64",), dated="").panels
    assert [bar.value for bar in panel.bars] == [95]
    assert ceilings_chart([TWO], ("f32",), dated="") is None
