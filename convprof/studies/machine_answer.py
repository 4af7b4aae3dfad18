"""The answers of ``ceilings`` and ``sysinfo``: what this machine can do, in two sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.machine.caches import MEMORY
from convprof.machine.ceilings_store import highest
from convprof.machine.noise import SLOWING
from convprof.studies.answer import Answer
from convprof.studies.run_answer import threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.machine.bandwidth import Bandwidth
    from convprof.machine.ceilings_store import Ceilings
    from convprof.machine.peaks import Peak

DIFFERENT = 1.03
"""A burst this many times the rate that is kept up is said: less is noise."""
_ROOFLINE = "convprof roofline"
_CEILINGS = "convprof ceilings"


def ceilings_answer(sets: Sequence[Ceilings], dtype: str, *, slowed: bool = False) -> Answer | None:
    """Return what the ceilings of a type mean; None if no peak of the type was measured.

    ``slowed``: other programs took time away meanwhile, so that the rates are lower limits.
    """
    peaks = [_highest(s.peaks, dtype) for s in sets]
    known = [peak for peak in peaks if peak is not None]
    if not known:
        return None
    parts = [f"{units.si(p.flop_per_s, 'FLOP/s')} on {threads(p.threads)}" for p in known]
    first = known[0]
    vectors = f" with {first.isa} in {first.bits} bits" if first.isa else ""
    sentences = [f"The {dtype} peak is {_at_least(slowed)}{' and '.join(parts)}{vectors}."]
    most = max(known, key=lambda peak: peak.threads)
    bandwidths = [b for s in sets for b in s.bandwidths]
    balance = _balance(most.flop_per_s, bandwidths, most.threads)
    return Answer((*sentences, *_burst(most), *balance), _ROOFLINE)


def _burst(peak: Peak) -> tuple[str, ...]:
    """Return how much faster the best moment is than what is kept up, if that matters."""
    burst = peak.burst_flop_per_s
    if burst is None or burst < DIFFERENT * peak.flop_per_s:
        return ()
    more = units.digits(100 * (burst / peak.flop_per_s - 1), 2)
    return (
        f"For moments it is {more} % higher; shares of the peak are shares of what is kept up.",
    )


def sysinfo_answer(document: dict[str, Any], bandwidths: Sequence[Bandwidth]) -> Answer:
    """Return what this machine is. ``bandwidths`` are those that are stored for it."""
    machine = document["machine"]
    brand = (machine.get("cpu") or {}).get("brand") or "unknown CPU"
    peaks = [p for p in document["ceilings"]["peaks"] if p["dtype"] == "f32" and p["flop_per_s"]]
    parts = [f"{units.si(p['flop_per_s'], 'FLOP/s')} on {threads(p['threads'])}" for p in peaks]
    if not peaks:
        return Answer((f"{brand}: no peak could be measured.",), _CEILINGS)
    slowed = any(each["kind"] in SLOWING for each in document["state"].get("noise", []))
    first = f"{brand} reaches {_at_least(slowed)}{' and '.join(parts)} in f32."
    most = peaks[-1]
    balance = _balance(most["flop_per_s"], bandwidths, most["threads"])
    if balance:
        return Answer((first, *balance), _ROOFLINE)
    return Answer((first, "The bandwidth of its memory is not measured yet."), _CEILINGS)


def _at_least(slowed: bool) -> str:
    return "at least " if slowed else ""


def _highest(peaks: Iterable[Peak], dtype: str) -> Peak | None:
    return max((p for p in peaks if p.dtype == dtype), key=lambda p: p.flop_per_s, default=None)


def _balance(flop_per_s: float, bandwidths: Iterable[Bandwidth], count: int) -> tuple[str, ...]:
    """Return the bandwidth of memory, and the FLOPs per byte from which the peak is the limit."""
    rate = highest(bandwidths, MEMORY, count)
    if rate is None:
        return ()
    return (
        (
            f"Main memory gives {units.si(rate, 'B/s')} on {threads(count)}: below "
            f"{units.digits(flop_per_s / rate, 2)} FLOP per byte from memory, memory is the limit, "
            "not the peak."
        ),
    )
