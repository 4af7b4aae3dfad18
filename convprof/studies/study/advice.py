"""What to do, from the rows of a study: the answer at the end of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.next_command import (
    AFTER_STUDY,
    after_cores,
    after_threads,
    after_tiles,
    study_again,
)
from convprof.studies.study.page import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.study.page import Page, Row
    from convprof.studies.study.predicted import Layer

NEAR = 0.95
"""Of the best rate: what reaches as much is as good."""
WORTH = 1.05
"""A smaller gain is not worth larger code or wider vectors."""


def answer(page: Page) -> Answer | None:
    """Return the advice of a page; where there is no advice, whether times in doubt are why."""
    rows = (row for section in page.sections for row in section.rows)
    doubt = next((row.doubt for row in rows if row.doubt), None)
    if page.answer is not None or doubt is None:
        return page.answer
    sentence = f"No advice, the times are in doubt: {doubt}."
    return Answer((sentence,), study_again(page.study), repeats=True)


def unroll(rows: Sequence[Row]) -> Advice | None:
    """Return the smallest tile that is near the best, and how many steps per turn are worth it."""
    timed = [row for row in rows if row.sure]
    if not timed:
        return None
    best = max(timed, key=_value)
    near = [row for row in timed if _value(row) >= NEAR * _value(best)]
    least = min(near, key=lambda row: (row.counted["sums"], row.variant["steps per turn"]))
    sums, steps = least.counted["sums"], least.variant["steps per turn"]
    sentence = (
        f"Keep {sums} independent sums, a tile of {least.variant['tile']}: it reaches "
        f"{units.si(_value(least), 'FLOP/s')}, within 5 % of the best tile."
    )
    further = (
        "One step per turn is enough: a longer loop body brings no more."
        if steps == 1
        else f"Unroll by {steps}: fewer steps per turn are slower with so few sums."
    )
    headline = f"{sums} independent sums are enough: {units.si(_value(least), 'FLOP/s')}"
    return Advice((sentence, further), AFTER_STUDY["unroll"], headline=headline)


def simd(rows: Sequence[Row]) -> Advice | None:
    """Return which width to use; None without a scalar and a vector."""
    timed = [row for row in rows if row.sure]
    if len(timed) < 2 or timed[0].counted["lanes"] != 1:  # noqa: PLR2004  # a scalar, a vector
        return None
    best = max(timed, key=_value)
    enough = next(row for row in timed if _value(row) * WORTH >= _value(best))
    times = _value(enough) / _value(timed[0])
    width = enough.variant["width"]
    sentence, headline = (
        (
            f"Use vectors of {width}: they are {times:.3g} times as fast as scalars.",
            f"vectors of {width} are {times:.3g} times as fast as scalars",
        )
        if enough is not timed[0]
        else ("Vectors bring nothing here: scalars are as fast.", "scalars are as fast as vectors")
    )
    wider = [row for row in timed if row.counted["lanes"] > enough.counted["lanes"]]
    sentences = [sentence]
    if wider:
        gain = _value(wider[-1]) / _value(enough)
        sentences.append(f"{wider[-1].variant['width']} are {gain:.2f} times as fast as these.")
    return Advice(tuple(sentences), AFTER_STUDY["simd"], headline=headline)


def fma(rows: Sequence[Row]) -> Advice | None:
    """Return what fusing gains in the widest vectors that were timed both ways."""
    rate = {(r.variant["width"], r.variant["arithmetic"]): _value(r) for r in rows if r.sure}
    widths = [width for width, kind in rate if kind == "fused" and (width, "apart") in rate]
    if not widths:
        return None
    width = widths[-1]
    gain = rate[width, "fused"] / rate[width, "apart"]
    sentence = f"Fused multiply-adds are {gain:.2f} times as fast as separate ones in {width}."
    advice = (
        "Let the compiler fuse (-ffp-contract=fast, or fma() in the source)."
        if gain > WORTH
        else "Fusing brings no speed here, only one rounding less."
    )
    headline = f"fused is {gain:.2f} times as fast as separate, in {width}"
    return Advice((sentence, advice), AFTER_STUDY["fma"], headline=headline)


def tile(rows: Sequence[Row], size: int) -> Advice | None:
    """Return the best tile, and how much a bad one costs."""
    timed = [row for row in rows if row.sure]
    if not timed:
        return None
    best, worst = max(timed, key=_value), min(timed, key=_value)
    near = sum(_value(row) >= NEAR * _value(best) for row in timed)
    kc, nc = best.variant["kc"], best.variant["nc"]
    least = f"kc {worst.variant['kc']} and nc {worst.variant['nc']}"
    times = _value(best) / _value(worst)
    spread = f"{near} of {len(timed)} tiles are within 5 % of it; the worst, {least}, is "
    slow = f"{units.digits(times, 2)} times as slow."
    rate = units.si(_value(best), "FLOP/s")
    sentences = (f"Use kc {kc} and nc {nc}: {rate}.", f"{spread}{slow}")
    headline = f"kc {kc} and nc {nc} are the fastest: {rate}"
    return Advice(sentences, after_tiles(size), headline=headline)


def threads(rows: Sequence[Row]) -> Advice | None:
    """Return from which size on how many threads pay, and what they bring for the largest."""
    timed = [row for row in rows if row.sure]
    if not timed:
        return None
    size = max(row.variant["size"] for row in timed)
    largest = max((row for row in timed if row.variant["size"] == size), key=_value)
    count = largest.variant["threads"]
    column = [row for row in timed if row.variant["threads"] == count]
    slower = [row.variant["size"] for row in column if row.counted["verdict"] != "faster"]
    pays = [row.variant["size"] for row in column if row.variant["size"] > max(slower, default=0)]
    sentence, headline = (
        (
            f"Use {count} threads for products from m = n = k = {min(pays)} on, one thread below.",
            f"{count} threads pay from m = n = k = {min(pays)} on",
        )
        if pays
        else (
            f"Use one thread: up to m = n = k = {size} more threads are not surely faster.",
            f"{count} threads are not surely faster than one",
        )
    )
    gain = f"At {size}, {count} threads are {_value(largest):.2f} times as fast as one."
    return Advice((sentence, gain), after_threads(size, count), headline=headline)


def cores(rows: Sequence[Row], layers: Sequence[Layer], name: str) -> Advice | None:
    """Return the predicted speed-up on most cores, what limits it, and which layers lose most."""
    if not rows:
        return None
    last = rows[-1]
    threads, gain = last.variant["threads"], last.expected or 0.0
    counted = last.counted
    sentence = (
        f"Predicted: {threads} threads are {gain:.1f} times as fast as one "
        f"({100 * gain / threads:.0f} % of {threads}); balance {counted['balance %']:.0f} %, work "
        f"{counted['work %']:.0f} %, barriers {counted['barriers %']:.0f} % of the time."
    )
    headline = f"predicted: {threads} threads are {gain:.1f} times as fast as one"
    if last.doubt is not None:
        reason = f"In doubt: {last.doubt}."
        headline = f"{headline}, in doubt"
        return Advice((reason, sentence), after_cores(name), repeats=True, headline=headline)
    sentences = [sentence, _LIMITS[counted["limit"]]]
    sure = [row for row in rows if row.doubt is None]
    best = max(sure, key=lambda row: row.expected or 0.0)
    if best is not last and (best.expected or 0.0) > WORTH * gain:
        sentences.append(f"Use fewer: {best.variant['threads']} threads are predicted the fastest.")
    if len(layers) < MORE_THAN_ONE:
        return Advice(tuple(sentences), after_cores(name), headline=headline)
    worst = sorted(layers, key=lambda each: -each.times * each.prediction.lost_s)[:MOST_NAMED]
    lost = sum(each.times * each.prediction.lost_s for each in layers)
    own = sum(each.times * each.prediction.lost_s for each in worst)
    names = ", ".join(each.name for each in worst)
    if lost:
        sentences.append(f"{names} lose most: {100 * own / lost:.0f} % of all lost time.")
    slowest = worst[0].problem
    command = after_cores(slowest.name or slowest.descriptor, threads)
    return Advice(tuple(sentences[:MOST_SENTENCES]), command, headline=headline)


_LIMITS = {
    "balance": "Unequal shares cost most.",
    "work": "The shares together take longer than the whole on one thread: this costs most.",
    "barriers": "Barriers between the stages cost most.",
    "bandwidth": "The bandwidth of memory is the limit: more threads bring nothing.",
    "nothing": "Nothing of it costs more than 2 %.",
}
MORE_THAN_ONE = 2
MOST_NAMED = 3
"""Layers in the answer."""


def layout(rows: Sequence[Row], reads: Sequence[Row]) -> Advice | None:
    """Return which layout is the faster one per layer, and what a large stride costs."""
    sentences, headline = [], ""
    for layer in dict.fromkeys(row.variant["layer"] for row in rows):
        ratios = [row for row in rows if row.variant["layer"] == layer and row.sure]
        if ratios:
            sentences.append(f"{layer}: {_faster(ratios)}.")
    timed = [row for row in reads if row.sure]
    if timed:
        level = timed[-1].variant["from"]
        of_level = [row for row in timed if row.variant["from"] == level]
        times = _value(of_level[-1]) / _value(of_level[0])
        stride = f"a stride of {of_level[-1].counted['bytes']:,} bytes"
        reason = f"from {level} {stride} takes {units.digits(times, 2)} times as long per element"
        sentences.append(f"Read along memory: {reason}.")
        headline = f"{stride} takes {units.digits(times, 2)} times as long from {level}"
    if not sentences:
        return None
    return Advice(tuple(sentences), AFTER_STUDY["layout"], headline=headline)


def _faster(ratios: Sequence[Row]) -> str:
    """Return ``use NHWC (time in NHWC over NCHW: 0.60 with tiled, 0.71 with reordered)``."""
    below = [row.sure is not None and (row.sure.high or 9.0) < 1 for row in ratios]
    above = [row.sure is not None and (row.sure.low or 0.0) > 1 for row in ratios]
    figures = ", ".join(f"{_value(row):.2f} with {row.variant['strategy']}" for row in ratios)
    if any(below) and any(above):
        word = "it depends on the kernel"
    elif any(below) or any(above):
        word = "use NHWC" if any(below) else "use NCHW"
        word += "" if all(below) or all(above) else ", which is faster where the two differ"
    else:
        word = "undecided"
    return f"{word} (time in NHWC over NCHW: {figures})"


def _value(row: Row) -> float:
    return row.sure.value if row.sure else 0.0
