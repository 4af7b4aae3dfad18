"""What the studies advise, from rows that are told."""

from __future__ import annotations

from dataclasses import replace

from convprof.render.charts.sizes import TITLE_COLUMNS
from convprof.studies.study import advice
from convprof.studies.study.page import Figure, Page, Row, Section, Unit


def row(variant, value, spread=0.0, **counted):
    measured = None if value is None else Figure(value, value * (1 - spread), value * (1 + spread))
    return Row(variant, counted, measured=measured)


def unrolled(tile, turn, sums, value):
    return row({"tile": tile, "steps per turn": turn}, value, sums=sums)


def test_the_smallest_tile_near_the_best_rate():
    rows = [
        unrolled("1x1", 1, 1, 10e9),
        unrolled("4x1", 1, 4, 80e9),
        unrolled("4x1", 4, 4, 98e9),
        unrolled("8x2", 4, 16, 100e9),
        unrolled("8x4", 4, 32, None),
    ]
    assert advice.unroll(rows).sentences == (
        (
            "Keep 4 independent sums, a tile of 4x1: it reaches 98.0 GFLOP/s, within 5 % of the "
            "best tile."
        ),
        "Unroll by 4: fewer steps per turn are slower with so few sums.",
    )
    enough = advice.unroll([unrolled("4x1", 1, 4, 97e9), *rows])
    assert enough.sentences[1].startswith("One step per turn is enough")
    assert advice.unroll(rows[-1:]) is None


def test_no_advice_from_times_in_doubt():
    rows = [unrolled("1x1", 1, 1, 10e9), unrolled("4x1", 1, 4, 80e9)]
    doubtful = [replace(each, doubt="disturbed") for each in rows]
    assert advice.unroll([rows[0], doubtful[1]]).sentences[0].startswith("Keep 1 independent sums")
    assert advice.unroll(doubtful) is None
    page = Page("unroll", "title", {}, (Section("rates", Unit("s", 1.0), tuple(doubtful)),), ())
    given = advice.answer(page)
    assert given.sentences == ("No advice, the times are in doubt: disturbed.",)
    assert given.command == "convprof study unroll --wait-idle"
    assert given.repeats
    assert advice.answer(replace(page, sections=())) is None


def widths(*values):
    lanes = (1, 4, 8, 16)
    return [
        row({"width": "scalar" if n == 1 else f"{32 * n} bits"}, value, lanes=n)
        for n, value in zip(lanes, values, strict=False)
    ]


def test_the_narrowest_width_that_is_as_fast():
    assert advice.simd(widths(2.0, 8.0, 16.0, 16.4)).sentences == (
        "Use vectors of 256 bits: they are 8 times as fast as scalars.",
        "512 bits are 1.02 times as fast as these.",
    )
    assert advice.simd(widths(2.0, 8.0)).sentences == (
        "Use vectors of 128 bits: they are 4 times as fast as scalars.",
    )
    assert advice.simd(widths(2.0, 2.0)).sentences[0].startswith("Vectors bring nothing here")
    assert advice.simd(widths(2.0)) is None
    assert advice.simd(widths(None, 8.0, 16.0)) is None


def kinds(width, fused, apart):
    pairs = (("fused", fused), ("apart", apart))
    return [row({"width": width, "arithmetic": kind}, value) for kind, value in pairs]


def test_fusing_in_the_widest_vectors_timed_both_ways():
    rows = [*kinds("scalar", 2.0, 2.0), *kinds("256 bits", 3.8, 2.0), *kinds("512 bits", 9.0, None)]
    first, second = advice.fma(rows).sentences
    assert first == "Fused multiply-adds are 1.90 times as fast as separate ones in 256 bits."
    assert second.startswith("Let the compiler fuse")
    assert advice.fma(rows[:2]).sentences[1].startswith("Fusing brings no speed here")
    assert advice.fma(rows[-2:]) is None


def test_the_best_tile_and_what_a_bad_one_costs():
    rows = [row({"kc": kc, "nc": 64}, value) for kc, value in ((16, 10e9), (64, 39e9), (128, 40e9))]
    found = advice.tile(rows, 512)
    assert found.sentences == (
        "Use kc 128 and nc 64: 40.0 GFLOP/s.",
        "2 of 3 tiles are within 5 % of it; the worst, kc 16 and nc 64, is 4.0 times as slow.",
    )
    assert found.command == "convprof run 512x512:512x512 -s packed,auto --explain"
    assert advice.tile([row({"kc": 16, "nc": 64}, None)], 512) is None


def sized(*verdicts, last=1.8):
    sizes = (8, 64, 512)
    return [
        row({"size": size, "threads": 2}, last if size == sizes[-1] else 0.5, verdict=verdict)
        for size, verdict in zip(sizes, verdicts, strict=True)
    ]


def test_from_which_size_threads_pay():
    assert advice.threads(sized("slower", "faster", "faster")).sentences == (
        "Use 2 threads for products from m = n = k = 64 on, one thread below.",
        "At 512, 2 threads are 1.80 times as fast as one.",
    )
    assert (
        advice.threads(sized("faster", "undecided", "faster"))
        .sentences[0]
        .startswith("Use 2 threads for products from m = n = k = 512 on")
    )
    assert advice.threads(sized("slower", "slower", "slower")).sentences[0] == (
        "Use one thread: up to m = n = k = 512 more threads are not surely faster."
    )
    assert advice.threads([]) is None


def layer(strategy, value, spread=0.01):
    return row({"layer": "8x9x9", "strategy": strategy}, value, spread)


def test_layouts():
    def word(*rows):
        return advice.layout(rows, ()).sentences[0].partition(" (")[0]

    assert word(layer("tiled", 0.6), layer("reordered", 0.7)) == "8x9x9: use NHWC"
    assert word(layer("tiled", 1.6), layer("reordered", 1.7)) == "8x9x9: use NCHW"
    assert word(layer("tiled", 0.6), layer("reordered", 1.7)) == "8x9x9: it depends on the kernel"
    assert word(layer("tiled", 0.6), layer("reordered", 1.0)) == (
        "8x9x9: use NHWC, which is faster where the two differ"
    )
    assert word(layer("tiled", 1.0)) == "8x9x9: undecided"
    assert advice.layout([], []) is None


def test_strides():
    reads = [
        row({"stride": k, "from": level}, 1e-9 * k, bytes=4 * k)
        for k in (1, 16)
        for level in ("L1", "L2")
    ]
    assert advice.layout([], reads).sentences == (
        "Read along memory: from L2 a stride of 64 bytes takes 16 times as long per element.",
    )


def test_headlines_are_short_findings():
    fused = [*kinds("256 bits", 3.8, 2.0)]
    tiles = [row({"kc": kc, "nc": 64}, value) for kc, value in ((16, 10e9), (128, 40e9))]
    reads = [row({"stride": k, "from": "memory"}, 1e-9 * k, bytes=4 * k) for k in (1, 128)]
    headlines = {
        "unroll": advice.unroll([unrolled("4x1", 1, 4, 97e9)]).headline,
        "simd": advice.simd(widths(2.0, 8.0, 16.0)).headline,
        "fma": advice.fma(fused).headline,
        "tile": advice.tile(tiles, 512).headline,
        "threads": advice.threads(sized("slower", "faster", "faster")).headline,
        "layout": advice.layout([], reads).headline,
    }
    assert headlines == {
        "unroll": "4 independent sums are enough: 97.0 GFLOP/s",
        "simd": "vectors of 256 bits are 8 times as fast as scalars",
        "fma": "fused is 1.90 times as fast as separate, in 256 bits",
        "tile": "kc 128 and nc 64 are the fastest: 40.0 GFLOP/s",
        "threads": "2 threads pay from m = n = k = 64 on",
        "layout": "a stride of 512 bytes takes 128 times as long from memory",
    }
    assert all(len(f"{study}: {text}") <= TITLE_COLUMNS for study, text in headlines.items())
