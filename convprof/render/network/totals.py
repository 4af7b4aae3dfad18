"""The parts of the chain's time: the sum of its layers, additions and savings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import COMMON
from convprof.render import tables
from convprof.render.columns import Column
from convprof.studies.network.reconcile import farthest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.stats import Ratio
    from convprof.studies.network.reconcile import Reconciliation
    from convprof.studies.network.study import NetworkResult

HOT = "each layer by itself, caches hot"
BETWEEN = "each between its neighbours instead"
JOINED = "all in one go, no clock in between"
CHAIN = "the chain"
COLD = "each layer by itself, caches cold"

BETWEEN_LINE = (
    "between its neighbours the input of a layer is where the layer before has left "
    "it, and its weights are where all other layers have left them"
)


MOST_NAMED = 6
"""Layers that a line names."""
NOISE = 0.02
"""A share of the chain's time: smaller differences are noise."""
WITHIN_NOISE = "within the noise"


@dataclass(frozen=True, slots=True)
class Part:
    """A total, or a difference from the total above."""

    name: str
    seconds: float
    difference: bool = False
    noise: bool = False
    """Whether the difference is within the noise."""


def noise(result: NetworkResult) -> float:
    """Return the seconds below which a difference is noise: half the chain's interval, or 2 %.

    The larger of both counts; 0 without a chain.
    """
    time = result.chain.time_s if result.chain else None
    return max(time.half_interval or 0.0, NOISE * time.median) if time else 0.0


def conversions_title(result: NetworkResult) -> str:
    """Return what is converted between the layers; empty if nothing is."""
    if not result.conversions:
        return ""
    return f"conversions between {result.converted}"


def parts(sums: Reconciliation, noise_s: float, *, converted: str) -> list[Part]:
    """Return the rows from the sum of the hot layers to the chain, and the sum of cold ones.

    Differences of up to ``noise_s`` seconds are marked. ``converted``: the title of the
    conversions, if there are any.
    """

    def between(name: str, seconds: float) -> Part:
        return Part(name, seconds, difference=True, noise=abs(seconds) <= noise_s)

    conversions = [Part(converted, sums.conversions_s, difference=True)] if converted else []
    return [
        Part(HOT, sums.hot_s),
        between(BETWEEN, sums.distance_s),
        *conversions,
        between(JOINED, sums.joined_s),
        Part(CHAIN, sums.chain_s),
        Part(COLD, sums.cold_s),
    ]


def part_columns(rows: Sequence[Part]) -> list[Column[Part]]:
    """Return the columns of the parts, all in one unit and with as many decimals."""
    hot = rows[0].seconds
    unit = units.table_unit([abs(row.seconds) for row in rows])
    least = min((row.seconds for row in rows if not row.difference and row.seconds), default=0.0)
    decimals = len(units.digits(unit.scale(least)).partition(".")[2])
    noisy: list[Column[Part]] = [
        Column("", lambda row: WITHIN_NOISE if row.noise else "", 3, "left")
    ]
    return [
        Column("from the layers to the chain", lambda row: row.name, 1, "left"),
        Column(f"time [{unit.name}]", lambda row: _cell(row, unit.scale(row.seconds), decimals), 1),
        Column("% of hot", lambda row: _cell(row, 100 * row.seconds / hot, 1), 2),
        *(noisy if any(row.noise for row in rows) else []),
    ]


def chain_line(chain: Measurement) -> str:
    """Return time, rate and error of the chain."""
    if chain.time_s is None:
        return ""
    seconds = chain.time_s.median
    unit = units.time_unit([seconds])
    share = f", {100 * chain.peak_fraction:.0f} % of peak" if chain.peak_fraction else ""
    return (
        f"the chain: {tables.time_cell(chain, unit)} {unit.name}, "
        f"{units.digits(1 / seconds)} per second, {tables.gflops_cell(chain)} GFLOP/s{share}, "
        f"max_rel_error {tables.error_cell(chain)}"
    )


def precision_lines(result: NetworkResult) -> list[str]:
    """Return the layers that do not compute in the short floats of the chain."""
    dtype, names = result.options.dtype, result.widened
    if dtype in COMMON:
        return []
    layers = len(result.measured)
    count = len(result.conversions_of_type)
    if not names and result.in_bytes:
        return [f"All {layers} layers compute in bytes, with {count} conversions from and to f32."]
    if not names:
        return [f"All {layers} layers compute in {dtype}, with sums in f32."]
    compute = "computes" if len(names) == 1 else "compute"
    between = f"{compute} in f32, between conversions from and to {dtype}"
    if result.in_bytes:
        between = f"{compute} in f32, the others in bytes, with {count} conversions between them"
    lines = [f"{len(names)} of {layers} layers {between}: {_named(names)}."]
    return [*lines, *_reason_lines(result)]


def _reason_lines(result: NetworkResult) -> list[str]:
    """Return why layers that could compute in bytes do not: a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name in result.widened:
        reason = result.reasons.get(name)
        if reason:
            by_reason.setdefault(reason, []).append(name)
    return [f"In f32 because {reason}: {_named(names)}." for reason, names in by_reason.items()]


def _named(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def residual_lines(result: NetworkResult) -> list[str]:
    """Return in words the difference of the chain and its layers, and the layers that lose most."""
    totals = result.reconciliation()
    if totals is None:
        return []
    if result.doubt is not None:
        return [f"Nothing is concluded from chain and layers, in doubt: {result.doubt}."]
    noise_s, chain_s = noise(result), totals.chain_s
    hot, cold = (_compared(chain_s, of, noise_s) for of in (totals.hot_s, totals.cold_s))
    lines = [
        f"The chain takes {hot} its layers by themselves with hot caches, {cold} with cold ones."
    ]
    losing = [(layer, (layer.chain_s or 0.0) - layer.hot_s) for layer in farthest(result.layers)]
    losing = [(layer, lost) for layer, lost in losing if lost >= NOISE * chain_s]
    # A single layer has no neighbours.
    if losing and len(result.measured) > 1:
        unit = units.table_unit([lost for _, lost in losing])
        named = ", ".join(
            f"{layer.step.name} +{units.digits(unit.scale(lost), 2)} {unit.name}"
            for layer, lost in losing
        )
        one = "its neighbours this one loses"
        these = one if len(losing) == 1 else "their neighbours these lose"
        lines.append(f"Between {these} most: {named}.")
    return lines


def library_lines(result: NetworkResult) -> list[str]:
    """Return the time of each library, compared with the chain."""
    return [
        verdict(each.a, "convprof's chain", each.ratio)
        if each.doubt is None
        else f"{each.a.strategy}: no conclusion, in doubt: {each.doubt}."
        for each in result.libraries
    ]


def verdict(library: Measurement, ours: str, ratio: Ratio) -> str:
    """Return ``torch takes 62.0 ms, 1.41 [1.38, 1.44] times as long as …``."""
    time = f"{units.time(library.time_s.median)}, " if library.time_s else ""
    short = library.dtype not in COMMON
    error = f", max_rel_error {tables.error_cell(library)}" if short else ""
    ratios = tables.ratio_text(ratio)
    return f"{library.strategy} takes {time}{ratios} times as long as {ours}{error}."


def _compared(seconds: float, other: float, noise_s: float) -> str:
    """Return ``24 % less than``, ``3 % more than`` or ``within the noise as long as``."""
    if abs(seconds - other) <= noise_s:
        return f"{WITHIN_NOISE} as long as"
    percent = round(100 * (seconds / other - 1)) if other else 0
    return f"{abs(percent)} % {'more' if percent > 0 else 'less'} than"


def _cell(row: Part, value: float, decimals: int) -> str:
    text = f"{value:+,.{decimals}f}" if row.difference else f"{value:,.{decimals}f}"
    return "0" if not text.strip("+-0.") else text
