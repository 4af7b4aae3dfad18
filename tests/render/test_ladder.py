"""What ``ladder`` prints, to the letter."""

from __future__ import annotations

import dataclasses
import functools
import io
import re

import pytest
from rich.console import Console

from convprof.codegen.disassembly import Code
from convprof.machine.peaks import Peak
from convprof.render.charts.chart import Reference
from convprof.render.ladder import halide_report, ladder_report, sizes_report
from convprof.render.ladder_chart import EFFECTIVE, ladder_chart
from convprof.render.ladder_words import loop_counts, sentence
from convprof.render.rung_limit_words import answer, limit_phrase
from convprof.results import Cycles, Flops, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.comparison import Comparison
from convprof.studies.evidence import Core, evidence
from convprof.studies.ladder.rung_limits import RungLimit
from convprof.studies.ladder.study import Pair, Rung, Step

GEMM = {
    "kind": "gemm", "descriptor": "64x64:64x64", "name": None,
    "m": 64, "n": 64, "k": 64, "batch": 1,
}  # fmt: skip
FLOPS = 2 * 64**3
PEAK = Peak("avx512", 512, "f32", 1, 200e9, 3.125e9, 64.0, 2)
BOTH = dataclasses.replace(PEAK, threads=2, flop_per_s=400e9)
LATENCY = {"fma": 4.0, "add": 3.5, "mul": 4.0}
SUM = ["vmovss (%rax), %xmm1", "vfmadd231ss (%rbx), %xmm1, %xmm0"]
TILE = ["vmovups (%r10), %zmm8", "addq $4096, %r10", "vbroadcastss (%r9), %zmm9"]
TILE += [f"vfmadd231ps %zmm8, %zmm9, %zmm{k}" for k in range(4)]
PANEL = [line.replace("$4096", "$64") for line in TILE]
APART = [*TILE[:3]]
for k in range(4):
    APART += [f"vmulps %zmm8, %zmm9, %zmm{10 + k}", f"vaddps %zmm{10 + k}, %zmm{k}, %zmm{k}"]


def held(lines, share=1.0):
    return evidence(Code(tuple(lines)), Core(PEAK, share, LATENCY, 400e9))


def measurement(strategy, seconds, threads=1, samples=25):
    rate = FLOPS / seconds
    enough = samples > 5
    return Measurement(
        problem=GEMM, strategy=strategy, layout=None, dtype="f32", threads=threads,
        cache="hot", status="ok",
        time_s=Time(
            seconds, 0.0, seconds * 0.99 if enough else None, seconds * 1.01 if enough else None,
            seconds, samples, 3,
        ),
        cycles=Cycles(seconds * 3e9, seconds * 3e9 / FLOPS, "calibrated", 3e9),
        flops=Flops(FLOPS, FLOPS), flop_per_s=rate, peak_fraction=rate / 200e9 / threads,
        bytes_min=49152, intensity=1.0, bytes_moved=49152,
        max_rel_error=4.7e-7, prepare_s=0.0, compile_s=0.25,
    )  # fmt: skip


def step(name, seconds, found=None, below=None, ratio=None, **options):
    limit = options.pop("limit", None)
    made = measurement(options.pop("strategy", name), seconds, **options)
    before = Comparison(made, below.measurement, ratio.inverse) if ratio else None
    rung = Rung(name, made.strategy, made.threads)
    share = made.flop_per_s / 400e9
    return Step(rung, f"what {name} does", made, found, before, (), share, limit)


NAIVE = step("naive", 300e-6, held(SUM, 1 / 16), samples=3, limit=RungLimit("chains", 1.0))
VECTOR = step(
    "vectorized", 8e-6, held(APART, 0.5), NAIVE, Ratio(37.5, None, None, 3),
    limit=RungLimit("arithmetic", 0.7),
)  # fmt: skip
FMA = step(
    "fma", 9e-6, held(TILE), VECTOR, Ratio(0.89, 0.88, 0.9, 25),
    limit=RungLimit("cache", 0.6, 0.82),
)  # fmt: skip
PACKED = step(
    "packed", 3e-6, held(PANEL), FMA, Ratio(3.0, 2.9, 3.1, 25), limit=RungLimit("peak", 0.87)
)
LAST = step(
    "parallel", 2e-6, held(PANEL), PACKED, Ratio(1.5, 1.4, 1.6, 25), strategy="packed", threads=2,
    limit=RungLimit("threads", 1.5),
)  # fmt: skip
REFUSED = dataclasses.replace(
    step("unrolled", 1.0),
    measurement=dataclasses.replace(
        measurement("unrolled", 1.0), status="refused", reason="unrolled has no room", time_s=None
    ),
)
STEPS = [NAIVE, VECTOR, FMA, REFUSED, PACKED, LAST]


def printed(report, *arguments, width=120):
    text = io.StringIO()
    report(Console(file=text, width=width), *arguments)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


NARROW = """\
ladder · gemm (64x64) (64x64) · f32
rung          time [µs]   GFLOP/s   % peak               speed-up   and is
─────────────────────────────────────────────────────────────────────────────
naive            300 ±?      1.75      0.9                      -   -
vectorized   8.00 ±0.08      65.5     32.8               37.5 [?]   undecided
fma          9.00 ±0.09      58.3     29.1   0.890 [0.880, 0.900]   slower
packed       3.00 ±0.03       175     87.4      3.00 [2.90, 3.10]   faster
parallel     2.00 ±0.02       262     65.5      1.50 [1.40, 1.60]   faster
not shown at 80 columns: n, cycles/FLOP, % all cores, error
% peak: of the peak on the rung's own number of threads (1 or 2) · speed-up: over the rung before, by rounds · samples, too few for an interval: naive 3 (--patience gives more)

what limits each rung
rung         limited by
───────────────────────────────────────────────────────────────────────
naive        1 chain of dependent sums, 4.0 cycles per sum, needs 8
vectorized   16 elements per instruction, multiply and add not fused
fma          cache misses (reads 64 of 4,096 B): 82 % of peak within L2
packed       close to the peak
parallel     2 threads are 1.5 times as fast as one
not shown at 80 columns: idea
refused: unrolled 1 thread: has no room
"""  # noqa: E501
WHY = """\
one iteration of the inner loop
rung         instructions                   chains   L1 B/FLOP   at most
────────────────────────────────────────────────────────────────────────
naive        1 FMA, 2 loads, scalar         1 of 8         4.0    0.78 %
vectorized   4 mul, 4 add, 1+1 loads, zmm   4 of 4        0.53      50 %
fma          4 FMA, 1+1 loads, zmm          4 of 8        0.53      50 %
packed       4 FMA, 1+1 loads, zmm          4 of 8        0.53      50 %
parallel     4 FMA, 1+1 loads, zmm          4 of 8        0.53      50 %
not shown at 80 columns: moved B/FLOP

naive: what naive does; left: 1 chain of dependent sums, 4.0 cycles per sum, needs 8 (at most 0.78 % of a core's peak); reached: 0.87 %, more than its chains allow, because the core starts the next tile early.
vectorized: what vectorized does; removes the limit of naive: 1 chain of dependent sums, 4.0 cycles per sum, needs 8 (at most 0.78 % of a core's peak); 0.53 B per FLOP from and to L1 instead of 4.0; left: 16 elements per instruction, multiply and add not fused (at most 50 % of a core's peak); reached: 33 %.
fma: what fma does; removes the limit of vectorized: 16 elements per instruction, multiply and add not fused (at most 50 % of a core's peak); but it takes 1.12 times as long as the rung before; left: 4 chains of dependent sums, 4.0 cycles per sum, needs 8 (at most 50 % of a core's peak); cache misses (reads 64 of 4,096 B): 82 % of peak within L2; reached: 29 %.
packed: what packed does; of the bytes that its pointer to b passes it reads 100 % (64 of 64 per iteration), 1.6 % before; left: 4 chains of dependent sums, 4.0 cycles per sum, needs 8 (at most 50 % of a core's peak); reached: 87 %, more than its chains allow, because the core starts the next tile early.
parallel: packed on 2 threads; the inner loop of packed does the same; removes the limit of 1 core: the peak is 2.00 times as high on 2 threads; left: 4 chains of dependent sums, 4.0 cycles per sum, needs 8 (at most 50 % of a core's peak); 2 threads are 1.5 times as fast as one; reached: 66 %, more than its chains allow, because the core starts the next tile early.
refused: unrolled 1 thread: has no room
"""  # noqa: E501


def test_narrow():
    assert printed(ladder_report, STEPS, width=80) == NARROW


def test_why():
    text = printed(functools.partial(ladder_report, why=True), STEPS, width=80)
    assert text.partition("\n\none iteration")[0] + "\n" == NARROW.partition("refused")[0]
    assert text.partition("\n\n")[2].partition("\n\n")[2] == WHY


WIDE = """\
ladder · gemm (64x64) (64x64) · f32
rung          time [µs]    n   GFLOP/s   cycles/FLOP   % peak   % all cores               speed-up   and is      error
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
naive            300 ±?    3      1.75          1.72      0.9           0.4                      -   -           5e-07
vectorized   8.00 ±0.08   25      65.5        0.0458     32.8          16.4               37.5 [?]   undecided   5e-07
fma          9.00 ±0.09   25      58.3        0.0515     29.1          14.6   0.890 [0.880, 0.900]   slower      5e-07
packed       3.00 ±0.03   25       175        0.0172     87.4          43.7      3.00 [2.90, 3.10]   faster      5e-07
parallel     2.00 ±0.02   25       262        0.0114     65.5          65.5      1.50 [1.40, 1.60]   faster      5e-07
% peak: of the peak on the rung's own number of threads (1 or 2) · % all cores: of the peak on all threads of the ladder · speed-up: over the rung before, by rounds · samples, too few for an interval: naive 3 (--patience gives more)

what limits each rung
rung         limited by                                                   idea
──────────────────────────────────────────────────────────────────────────────────────────────
naive        1 chain of dependent sums, 4.0 cycles per sum, needs 8       what naive does
vectorized   16 elements per instruction, multiply and add not fused      what vectorized does
fma          cache misses (reads 64 of 4,096 B): 82 % of peak within L2   what fma does
packed       close to the peak                                            what packed does
parallel     2 threads are 1.5 times as fast as one                       packed on 2 threads
refused: unrolled 1 thread: has no room
"""  # noqa: E501


def test_wide():
    assert printed(ladder_report, STEPS, width=140) == WIDE


def test_wide_has_every_column():
    heading = printed(ladder_report, STEPS, width=140).splitlines()[1]
    assert heading.split() == [
        *("rung", "time", "[µs]", "n", "GFLOP/s", "cycles/FLOP", "%", "peak"),
        *("%", "all", "cores", "speed-up", "and", "is", "error"),
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit(width):
    text = printed(ladder_report, STEPS, width=width)
    tables = [line for line in text.splitlines() if "─" in line or line.startswith("packed  ")]
    assert len(tables) == 4
    assert max(map(len, tables)) <= width


def test_few_samples_are_named():
    text = printed(ladder_report, STEPS)
    assert "samples, too few for an interval: naive 3 (--patience gives more)" in text
    assert "37.5 [?]" in text


def test_a_limit_of_another_kind_is_what_the_numbers_say():
    loads = Code(("vmovups (%rax), %zmm1", "vfmadd213ps (%rbx), %zmm2, %zmm1"))
    found = evidence(loads, Core(PEAK, 1.0, LATENCY, 400e9))
    text = sentence(dataclasses.replace(FMA, evidence=found), None, "")
    end = "left: 4.0 B per FLOP from and to L1, at 400 GB/s (at most 50 % of a core's peak)"
    assert end in text


def test_a_limit_outside_the_loop_is_in_the_sentence():
    full = [*TILE, *(f"vfmadd231ps %zmm8, %zmm9, %zmm{k}" for k in range(4, 8))]
    spilling = held([*full, "vmovups 64(%rsp), %zmm3", "vmovups %zmm4, 128(%rsp)"])
    spilled = dataclasses.replace(FMA, evidence=spilling, limit=RungLimit("spills"))
    assert "2 spills" in loop_counts(spilling)
    assert limit_phrase(spilled) == "2 spills per iteration (registers full)"
    assert "left: 2 spills per iteration (registers full);" in sentence(
        spilled, None, limit_phrase(spilled)
    )
    assert "; cache misses (reads" in sentence(FMA, None, limit_phrase(FMA))


@pytest.mark.parametrize(
    ("limit", "phrase"),
    [
        (None, "-"),
        (RungLimit("peak", 0.9), "close to the peak"),
        (RungLimit("peak", 0.75), "the peak, of which it reaches 75 %"),
        (RungLimit("launch", 0.4, seconds=2.1e-6), "launch: 2.1 µs, 40 % of the time"),
        (
            RungLimit("cache", 0.4, 0.9),
            "cache misses (reads 64 of 4,096 B): 90 % of peak within L2",
        ),
        (RungLimit("bandwidth", 0.8, names=("L3",)), "bandwidth of L3: 80 % of the time"),
        (
            RungLimit("phases", 0.3, names=("transform in", "transform out")),
            "transform in and transform out: 30 % of the time",
        ),
        (RungLimit("noise", 2.0), "noise: the fastest sample took 1/2.0 of the median time"),
        (
            RungLimit("code", reached=0.2),
            "latencies and overhead in its loops; 20 % of peak within L2 too",
        ),
    ],
)
def test_limits_fit_next_to_a_name_at_80_columns(limit, phrase):
    assert limit_phrase(dataclasses.replace(FMA, limit=limit)) == phrase
    assert len(phrase) <= 66


def test_answer():
    text = answer([("64", STEPS)])
    assert text.sentences == (
        "parallel is the fastest rung: 262 GFLOP/s, 66 % of the peak of 2 cores.",
        "The largest gain that is certain is packed: 3.00 times as fast as fma (what packed does).",
        "What limits parallel: 2 threads are 1.5 times as fast as one.",
    )
    assert text.command == "convprof study threads"
    certain = answer([("64", [NAIVE, PACKED])]).sentences[1]
    assert certain == "The largest gain is packed: 3.00 times as fast as fma (what packed does)."
    (first, *_) = answer([("64", STEPS), ("128", [NAIVE, PACKED]), ("256", [REFUSED])]).sentences
    assert first.startswith("128: packed is the fastest rung")
    assert answer([("64", [REFUSED])]) is None
    doubtful = [
        dataclasses.replace(step, measurement=dataclasses.replace(step.measurement, doubt="odd"))
        for step in (NAIVE, LAST)
    ]
    (first, *_) = answer([("64", [*STEPS[:-1], doubtful[1]])]).sentences
    assert first.startswith("packed reaches 175 GFLOP/s")
    assert first.endswith("; parallel may be faster, but its time is in doubt.")
    (first, *_) = answer([("64", [doubtful[0], *STEPS[1:]])]).sentences
    assert first.startswith("parallel is the fastest rung")
    again = answer([("64", doubtful)])
    assert again.sentences == ("Every time is in doubt: measure again on an idle machine.",)
    assert again.command == "convprof ladder gemm 64x64:64x64 --wait-idle"
    unknown = [dataclasses.replace(step, limit=None) for step in doubtful]
    assert limit_phrase(unknown[0]) == "unknown, since its time is in doubt"
    assert "naive ?" in printed(ladder_report, doubtful)
    assert "? in doubt, left out of conclusions: 2 rows: odd" in printed(ladder_report, doubtful)


def test_sizes():
    expected = """\

GFLOP/s over the sizes
rung             64      128
────────────────────────────
naive          1.75     1.75
vectorized     65.5        -
fma          ↓ 58.3   ↓ 58.3
↓ slower than the rung before it
"""
    ladders = [("64", [NAIVE, VECTOR, FMA]), ("128", [NAIVE, FMA])]
    assert printed(sizes_report, ladders) == expected


def faster(ours, theirs):
    return Comparison(ours, theirs, Ratio(2.0, 1.9, 2.1, 25).inverse)


def test_halide_and_our_rungs():
    theirs = measurement("halide-tuned", 6e-6)
    lone = measurement("halide-parallel", 5e-6, threads=2)
    pairs = [
        Pair("packed", PACKED.measurement, theirs, faster(PACKED.measurement, theirs)),
        Pair(None, None, lone, None),
    ]
    rows = [line.split() for line in printed(halide_report, pairs).splitlines()[4:6]]
    assert rows[0] == [
        *("packed", "175", "tuned", "1", "87.4", "43.7", "2.00", "[1.90,", "2.10]", "faster"),
        *("0.250", "5e-07"),
    ]
    assert rows[1] == ["-", "-", "parallel", "2", "105", "26.2", "-", "-", "0.250", "5e-07"]


def in_doubt(step):
    return dataclasses.replace(
        step, limit=None, measurement=dataclasses.replace(step.measurement, doubt="disturbed")
    )


def test_every_table_marks_times_in_doubt():
    sizes = printed(sizes_report, [("64", [NAIVE, in_doubt(VECTOR)]), ("128", [NAIVE, VECTOR])])
    (row,) = [line.split() for line in sizes.splitlines() if line.startswith(VECTOR.rung.name)]
    assert [cell == "?" for cell in row[1:]] == [True, False, False]
    theirs = dataclasses.replace(measurement("halide-tuned", 6e-6), doubt="stolen")
    text = printed(halide_report, [Pair(None, None, theirs, None)])
    assert " tuned ? " in text
    assert text.endswith("? in doubt, left out of conclusions: halide-tuned 1 thread: stolen\n")


def test_a_sentence_does_not_say_what_a_time_in_doubt_reached():
    for step in STEPS:
        words = sentence(in_doubt(step), None, "unknown, since its time is in doubt")
        assert words.endswith("; its time is in doubt.")
        assert "reached" not in words
        assert "unknown" not in words


def chart(*ladders, **options):
    return ladder_chart("ladder gemm", ladders, [PEAK, BOTH], dated="CPU · 2026-01-02", **options)


def test_the_chart_has_a_bar_per_timed_rung_with_gain_and_removed_limit():
    made = chart(("64", STEPS))
    (panel,) = made.panels
    assert [bar.label for bar in panel.bars] == ["naive", "vectorized", "fma", "packed", "parallel"]
    naive, vectorized, fma, packed, parallel = panel.bars
    assert vectorized.value == pytest.approx(FLOPS / 8e-6 / 1e9)
    assert (naive.low, naive.high) == (None, None)
    assert vectorized.low == pytest.approx(vectorized.value / 1.01)
    assert vectorized.high == pytest.approx(vectorized.value / 0.99)
    assert naive.note == "1.75"
    assert vectorized.note == "65.5 · 38x · 1 chain of dependent sums"
    assert fma.note == "58.3 · 0.89x · 16 elements per instruction, multiply and add not fused"
    assert packed.note == "175 · 3.0x"
    assert parallel.note == "262 · 1.5x · the peak of one core"
    assert (parallel.label, parallel.subject) == ("parallel", "packed")
    assert panel.references[1] == Reference("peak, 2 threads: 400 GFLOP/s", 400.0)


def test_the_chart_says_the_finding_and_where_it_comes_from():
    made = chart(("64", STEPS))
    assert made.title == "parallel is 150 times as fast as naive: 66 % of the peak on 2 threads"
    assert made.subtitle == "ladder gemm · gemm (64x64) (64x64) · f32 · CPU · 2026-01-02"


def test_several_ladders_are_panels_and_too_many_are_said():
    made = chart(*((str(k), STEPS) for k in range(6)), varied="size")
    assert [panel.title for panel in made.panels] == ["size 2", "size 3", "size 4", "size 5"]
    assert "the last 4 of 6 sizes" in made.subtitle
    assert "at size 5" in made.title


def test_an_effective_rate_is_no_share_of_the_peak():
    less = dataclasses.replace(LAST.measurement, flops=Flops(FLOPS, FLOPS // 2), peak_fraction=1.6)
    made = chart(("64", [NAIVE, dataclasses.replace(LAST, measurement=less)]))
    assert made.title == "parallel is 150 times as fast as naive on 2 threads"
    assert EFFECTIVE in made.caption
    assert EFFECTIVE not in chart(("64", STEPS)).caption


def test_without_a_time_there_is_no_chart():
    assert chart(("64", [REFUSED])) is None


def test_colour_adds_escapes_and_nothing_else():
    text = io.StringIO()
    console = Console(file=text, width=120, force_terminal=True, color_system="standard")
    ladder_report(console, STEPS)
    plain = printed(ladder_report, STEPS).splitlines()
    coloured = text.getvalue().splitlines()
    assert [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in coloured[:8]] == plain[:8]
    (best,) = [line for line in coloured[:8] if "\x1b[1;32mparallel" in line]
    assert "faster" in best
    assert any("\x1b[31mslower" in line for line in coloured)
