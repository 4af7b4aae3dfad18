"""The sections about what was measured: clocks, peaks, and what went wrong on the way."""

from __future__ import annotations

from convprof import units
from convprof.render.sysinfo.words import Lookup, Section, hertz

_CYCLES = {"pmu": "the hardware's counter", "calibrated": "elapsed time x measured clock"}
_SAME_CLOCK = 0.01
"""Clocks this close are called the same: two readings of one clock differ that much."""


def clock_and_ceilings(get: Lookup) -> Section:
    """Return the measured clocks and FLOP/s ceilings, and how cycles will be counted."""
    header: list[str | None] = [
        "dtype", "threads", "GFLOP/s", "GHz", "FLOP/cycle", "ports", "of ideal",
    ]  # fmt: skip
    peaks = [_peak(Lookup(peak)) for peak in get("ceilings.peaks") or []]
    rows = [
        ("scalar clock", get.text("clock.scalar_hz", hertz)),
        ("vector clock", get.text("clock.simd_hz", lambda hz: f"{hertz(hz)}{_beside(get)}")),
        ("cycles from", get.text("counters.cycle_source", lambda name: _CYCLES.get(name, name))),
    ]
    refusal = get.text("counters.pmu_refusal")
    if refusal:
        rows.append(("hardware counter", f"refused: {refusal}"))
    if not peaks:
        return Section("Clock & ceilings", [*rows, ("peak", None)])
    legend = ["cycles per core; ideal = threads x clock x lanes x 2 x ports"]
    return Section("Clock & ceilings", rows, [header, *peaks], legend)


def _beside(get: Lookup) -> str:
    """Compare the clock under wide vectors with the one under scalar code."""
    scalar = get("clock.scalar_hz")
    if not scalar:
        return ""
    change = get("clock.simd_hz") / scalar - 1
    if abs(change) < _SAME_CLOCK:
        return ", the same"
    return f", {100 * abs(change):.0f} % {'higher' if change > 0 else 'lower'}"


def _peak(get: Lookup) -> list[str | None]:
    giga = units.Unit("G", 1e9)

    def in_giga(value: float) -> str:
        return units.digits(giga.scale(value))

    return [
        get.text("dtype"),
        get.text("threads"),
        get.text("flop_per_s", in_giga),
        get.text("core_hz", in_giga),
        get.text("flop_per_cycle", units.digits),
        get.text("ports"),
        get.text("agreement", lambda share: f"{100 * share:.0f} %"),
    ]


def notes(get: Lookup) -> Section | None:
    """Return what failed or disturbs; None if nothing did."""
    noise = [f"{noise['message']}; {noise['hint']}" for noise in get("state.noise") or []]
    found = [*(get("notes") or []), *noise]
    return Section("Notes", notes=found) if found else None
