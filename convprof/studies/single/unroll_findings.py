"""What the rates of register tiles say about sums, loads and steps per turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.single.page import APART, Finding, apart, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.studies.single.costs import Costs
    from convprof.studies.single.page import Row

GONE = 0.95
"""Of the best rate: from there on the gain is gone."""
STEPS = 4
"""Per turn, for the comparison of tiles."""
TURN = "steps per turn"
SAME = 0.03
"""What a rate gains by less is not worth a word."""


def findings(rows: Sequence[Row], longer: Sequence[Row], known: Costs) -> Iterator[Finding]:
    """Yield what was expected and measured, as far as there are rates."""
    tiles = [row for row in rows if row.measured and row.variant[TURN] == STEPS]
    if not tiles:
        return
    yield _sums(tiles, known)
    if known.chains is not None:
        yield from _too_few(tiles, [row for row in longer if row.measured], known)
    yield from _loads(tiles, known)
    yield from _turns([row for row in rows if row.measured])


def _sums(tiles: Sequence[Row], known: Costs) -> Finding:
    """Return where the gain of further sums is gone."""
    best = max(tiles, key=rate)
    enough = min(row.counted["sums"] for row in tiles if rate(row) >= GONE * rate(best))
    measured = f"{enough} sums come within {100 * (1 - GONE):.0f} % of the best tile"
    if known.chains is None:
        text = "latency x multiply-adds per cycle sums are needed, one of which is unknown here"
        return Finding(text, measured)
    expected = (
        f"a sum is ready for its next multiply-add after {known.fma_latency:.3g} cycles and "
        f"{known.fmas_per_cycle:.3g} start per cycle, so {known.chains:.3g} independent sums "
        "are needed"
    )
    just = [row for row in tiles if row.counted["sums"] == round(known.chains)]
    why = ""
    if just and enough > known.chains:
        top = max(just, key=rate)
        share = 100 * rate(top) / rate(best)
        why = (
            f"With {known.chains:.3g} sums the best tile ({top.variant['tile']}) has {share:.0f} % "
            "of the best rate: none is in reserve when a load or a tile's end delays one"
        )
    return Finding(expected, measured, ratio(enough, known.chains), why)


def _too_few(tiles: Sequence[Row], longer: Sequence[Row], known: Costs) -> Iterator[Finding]:
    """Yield the finding on a single sum: beside the next tile, and alone."""
    single = next((row for row in tiles if row.counted["sums"] == 1), None)
    if single is None or single.expected is None:
        return
    last = longer[-1] if longer else single
    expected = (
        f"a single sum waits out its latency: 1/{known.chains:.3g} of the peak, "
        f"{units.si(single.expected, 'FLOP/s')}"
    )
    measured = units.si(rate(single), "FLOP/s")
    why = ""
    if last.ratio is not None and single.ratio is not None and single.ratio > last.ratio + APART:
        why = (
            f"The core starts the next tile while a sum still waits: over {last.variant['steps']} "
            f"steps before the next tile it is {units.si(rate(last), 'FLOP/s')} "
            f"({100 * (last.ratio - 1):+.0f} %)"
        )
    yield Finding(expected, measured, single.ratio, why)


def _loads(tiles: Sequence[Row], known: Costs) -> Iterator[Finding]:
    """Yield the finding on two tiles of as many sums, of which one loads more."""
    enough = [row for row in tiles if row.counted["sums"] >= (known.chains or 0)]
    pairs = [
        (a, b)
        for a in enough
        for b in enough
        if a.counted["sums"] == b.counted["sums"]
        and (a.counted["loads"] or 0) > (b.counted["loads"] or a.counted["loads"] or 0)
    ]
    if not pairs or known.loads_per_cycle is None:
        return
    a, b = max(pairs, key=lambda pair: pair[0].counted["loads"] - pair[1].counted["loads"])
    if not a.expected or not b.expected:
        return
    expected = (
        f"{a.variant['tile']} loads {a.counted['loads']:.3g} times per multiply-add, "
        f"{b.variant['tile']} {b.counted['loads']:.3g} times: at {known.loads_per_cycle:.3g} loads "
        f"per cycle {a.variant['tile']} runs at {a.expected / b.expected:.2f} of the other's rate"
    )
    found = rate(a) / rate(b)
    measured = f"at {found:.2f} of it"
    off = ratio(found, a.expected / b.expected)
    why = ""
    if apart(off) and apart(b.ratio):
        why = f"{b.variant['tile']} itself has {100 * (b.ratio or 0):.0f} % of what is expected"
    yield Finding(expected, measured, off, why)


def _turns(rows: Sequence[Row]) -> Iterator[Finding]:
    """Yield what more steps per turn gain over one, where most."""
    alone = {row.variant["tile"]: row for row in rows if row.variant[TURN] == 1}
    gains = [
        (rate(row) / rate(alone[row.variant["tile"]]), row)
        for row in rows
        if row.variant["tile"] in alone and row.variant[TURN] > 1
    ]
    if not gains:
        return
    gain, row = max(gains, key=lambda pair: pair[0])
    few = alone[row.variant["tile"]].counted["others"]
    count = "" if few is None else f" ({few:.3g} per multiply-add at one step)"
    expected = (
        "counter and addresses"
        f"{count} use neither the multiply-adds' ports nor a sum's time: more steps per turn gain "
        "nothing while the core can take in the further instructions"
    )
    measured = (
        f"the most is {100 * (gain - 1):+.0f} %, {row.variant['tile']} at {row.variant[TURN]} "
        "steps per turn"
    )
    largest = max(rows, key=lambda r: r.counted["sums"]).variant["tile"]
    gained = [100 * (g - 1) for g, r in gains if r.variant["tile"] == largest]
    why = f"The largest tile, {largest}, gains {max(gained):+.0f} %" if gained else ""
    yield Finding(expected, measured, gain, why)


def rate(row: Row) -> float:
    """Return the measured rate."""
    return row.measured.value if row.measured else 0.0
