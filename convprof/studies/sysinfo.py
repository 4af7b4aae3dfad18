"""``sysinfo``: what this machine is, what it can do, and how convprof will measure on it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

from convprof.codegen import nodes
from convprof.codegen.probes.peak import flops_at_once
from convprof.errors import ConvprofError
from convprof.machine import facts, peaks
from convprof.machine.clock import CoreClock
from convprof.machine.counters import CycleCounter
from convprof.machine.model import MachineModel
from convprof.machine.noise import NoiseWatch
from convprof.machine.peaks import Peak
from convprof.measure.stopwatch import Stopwatch
from convprof.results import envelope
from convprof.studies.document import state

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.machine import Facts

T = TypeVar("T")

TEAM = "spinning team"
"""Threads of convprof's own that spin between launches; see ``convprof.codegen.threads``."""


def gather() -> dict[str, Any]:
    """Return the document of ``sysinfo`` in JSON types: SI units, null for unknown, never NaN.

    Takes about a second. A measurement that fails becomes null and a line in ``notes``.
    """
    notes: list[str] = []
    known = facts(software=True)
    cores = known.topology.usable_cores
    watch = NoiseWatch(known.topology.logical_cpus or 1)
    counters = _attempt("counting cycles", _counters, notes)
    scalar_hz = _attempt("the clock under scalar code", _scalar_hz, notes)
    if scalar_hz:
        watch.see_clock(scalar_hz)
    counts = sorted({1, cores})
    machine = MachineModel(known)
    pairs = itertools.product(peaks.listed_types(), counts)
    measured = [peak for dtype, count in pairs for peak in _peaks(machine, dtype, count, notes)]
    return envelope(
        "sysinfo",
        machine={**known.to_json(), "key": known.identity_key()},
        state=state(watch),
        clock={"scalar_hz": scalar_hz, "simd_hz": measured[0]["core_hz"]},
        ceilings={"peaks": measured},
        counters=counters,
        threads=_threads(known),
        notes=notes,
    )


def _attempt(what: str, measure: Callable[[], T], notes: list[str]) -> T | None:
    """Return what ``measure`` returns; if it raises, None and a note that says why."""
    try:
        return measure()
    except ConvprofError as error:  # its message says all, and the same for all measurements
        if str(error) not in notes:
            notes.append(str(error))
        return None
    except Exception as error:  # noqa: BLE001  # one unknown number must not hide the others
        reason = (str(error).splitlines() or [""])[0]
        notes.append(f"{what}: failed with {type(error).__name__}: {reason}".removesuffix(": "))
        return None


def _scalar_hz() -> float | None:
    return CoreClock().hz()


def _counters() -> dict[str, Any]:
    """Return how measurements will count cycles, and why not with the hardware's counter."""
    stopwatch = Stopwatch()
    source = stopwatch.source
    stopwatch.close()
    refusal = None if source == "pmu" else CycleCounter.last_refusal
    return {"cycle_source": source, "pmu_refusal": refusal}


def _peaks(
    machine: MachineModel, dtype: str, threads: int, notes: list[str]
) -> list[dict[str, Any]]:
    """Return the measured peak as a record, and the tile ceiling if there is one.

    A record whose numbers are null if the measurement failed.
    """
    what = f"the {dtype} peak on {threads} thread{'s' if threads > 1 else ''}"
    peak = _attempt(what, lambda: machine.measure_peaks(dtype, [threads])[0], notes)
    if peak is not None:
        if peaks.unclear(peak):
            notes.append(f"{what}: the number of ports is not known (the machine was busy)")
        both = filter(None, (peak, machine.tile_ceiling(dtype, threads)))
        return [{**dataclasses.asdict(each), "agreement": agreement(each)} for each in both]
    names = [field.name for field in dataclasses.fields(Peak)]
    return [{**dict.fromkeys([*names, "agreement"]), "dtype": dtype, "threads": threads}]


def agreement(peak: Peak) -> float | None:
    """Return the peak over what ``ports`` instructions a cycle would reach: 1 where it is reached.

    Far from 1 the measurement was disturbed, or the number of ports was guessed wrong.
    """
    if not peak.core_hz or not peak.ports:
        return None
    at_once = flops_at_once(peak.dtype, peak.bits)
    return peak.flop_per_s / (peak.threads * peak.core_hz * at_once * peak.ports)


def _threads(known: Facts) -> dict[str, Any]:
    """Return how work is spread over threads: by convprof itself, and by numba if used."""
    layers = known.software.threading_layers if known.software else ()
    cores = known.topology.usable_cores
    return {
        "team": {"kind": TEAM, "threads": cores, "nodes": nodes.counts(cores)},
        "numba_layers": list(layers),
    }
