"""What a log shows, in words: each finding has its evidence and a way out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.logs.operation import Reading
    from convprof.studies.diagnose.rows import Row

REORDERS = 0.1
"""A share of the total from which conversions of layouts are worth a finding."""
CREATIONS = 0.05
LARGE_FLOPS = 1e7
"""FLOPs of one call for which an optimised implementation pays."""
BELOW_F32 = 0.5
"""A bf16 rate below this part of the f32 peak: f32 at an ordinary share of its peak is faster."""
_REFERENCE = ("ref", "simple", "naive", "_slow", "slow_conv")
_NO_DEPTHWISE = ("gemm", "im2col")
_MOST_NAMES = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that costs time."""

    kind: str
    evidence: str
    way_out: str
    seconds: float
    """The time of the rows that it is about."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {
            "kind": self.kind,
            "evidence": self.evidence,
            "way_out": self.way_out,
            "seconds": self.seconds,
        }


def findings(
    rows: Sequence[Row], reading: Reading, *, cores: int, f32_peak: float | None
) -> list[Finding]:
    """Return the findings, the one about the most time first.

    ``cores``: those of this machine; ``f32_peak``: its FLOP/s on as many threads.
    """
    total = math.fsum(row.total_s for row in rows)
    every = [
        _reorders(rows, total),
        _reference(rows),
        _depthwise(rows),
        _creations(rows, reading, total),
        _threads(reading, cores, total),
        _slow_bf16(rows, f32_peak),
        _over(rows),
    ]
    return sorted((f for f in every if f is not None), key=lambda finding: -finding.seconds)


def name(row: Row) -> str:
    """Return the problem, or the operation and its shape."""
    if row.measurement is not None:
        problem = row.measurement.problem
        which = str(problem["kind"]).partition("-")[2]
        return f"{which} {problem['descriptor']}".strip()
    operation = row.operation
    words = (operation.kind, operation.text, operation.layout if operation.is_reorder else "")
    return " ".join(filter(None, words))


def _reorders(rows: Sequence[Row], total: float) -> Finding | None:
    found = [row for row in rows if row.operation.is_reorder]
    seconds = _sum(found)
    if not total or seconds < REORDERS * total:
        return None
    return Finding(
        "reorders",
        f"Conversions of layouts and types take {_share(seconds, total)} of the time "
        f"({units.time(seconds)}, {_calls(found)}); the largest is {_names(found)}.",
        "Keep activations in one layout: channels_last in PyTorch (model and input), and pack "
        "weights once, by compiling or freezing the model.",
        seconds,
    )


def _reference(rows: Sequence[Row]) -> Finding | None:
    found = [row for row in _large(rows) if row.operation.implementation.startswith(_REFERENCE)]
    if not found:
        return None
    return Finding(
        "reference implementation",
        f"A reference implementation computes {_names(found)}: {units.time(_sum(found))} "
        f"in {_calls(found)}.",
        "Look for what the optimised ones refuse: ONEDNN_VERBOSE=dispatch says why. Often a type, "
        "a dilation, or a number of channels that is no multiple of the vector width.",
        _sum(found),
    )


def _depthwise(rows: Sequence[Row]) -> Finding | None:
    found = [
        row
        for row in rows
        if (problem := row.operation.problem) is not None
        and problem.forward.layer_kind == "depthwise conv"
        and row.operation.implementation.startswith(_NO_DEPTHWISE)
    ]
    if not found:
        return None
    return Finding(
        "depthwise on a slow path",
        f"Products compute depthwise convolutions, one channel at a time: {_names(found)} take "
        f"{units.time(_sum(found))}.",
        "Use channels_last, or a version of the library with a depthwise kernel for this type.",
        _sum(found),
    )


def _creations(rows: Sequence[Row], reading: Reading, total: float) -> Finding | None:
    created = [row for row in rows if row.created]
    seconds = math.fsum(row.creation_s for row in rows)
    again = [r for r in created if r.created > reading.processes_of(r.operation.library)]
    repeated = math.fsum(row.creation_s for row in again)
    if not total or max(seconds, repeated) < CREATIONS * total:
        return None
    count = sum(row.created for row in created)
    text = (
        f"Creating primitives and sessions takes {_share(seconds, total)} of the time "
        f"({units.time(seconds)}): {count:,} creations of {len(created):,} different operations."
    )
    if not again:
        return Finding(
            "creation",
            text,
            "Each one was created once: warm up before you measure, and keep the process alive. "
            "If the shapes change, pad them to a few sizes.",
            seconds,
        )
    return Finding(
        "creation repeated",
        f"{text} {_names(again)} was created {again[0].created:,} times.",
        "Raise ONEDNN_PRIMITIVE_CACHE_CAPACITY (default 1024), or pad changing shapes to a few "
        "sizes.",
        seconds,
    )


def _threads(reading: Reading, cores: int, total: float) -> Finding | None:
    threads = reading.threads
    if threads is None or threads <= cores:
        return None
    return Finding(
        "more threads than cores",
        f"The program ran on {threads} threads; this machine has {cores} "
        f"core{'s' if cores > 1 else ''}.",
        f"If the log is from this machine, set OMP_NUM_THREADS={cores}.",
        total,
    )


def _slow_bf16(rows: Sequence[Row], f32_peak: float | None) -> Finding | None:
    found = [
        row
        for row in _large(rows)
        if row.operation.types.startswith("bf16")
        and f32_peak
        and (row.flop_per_s or math.inf) < BELOW_F32 * f32_peak
    ]
    if not found or not f32_peak:
        return None
    rate = found[0].flop_per_s or 0.0
    return Finding(
        "bf16 slower than f32",
        f"bf16 reaches {units.si(rate, 'FLOP/s')} in {_names(found)}, less than half of this "
        f"machine's f32 peak of {units.si(f32_peak, 'FLOP/s')}.",
        "Try f32 for these layers: bf16 pays with AVX512-BF16 or AMX, and for large products.",
        _sum(found),
    )


def _over(rows: Sequence[Row]) -> Finding | None:
    found = [row for row in rows if row.over]
    if not found:
        return None
    return Finding(
        "faster than the peak",
        f"{_names(found)} is faster than this machine's peak allows. Nothing is concluded from "
        f"such rows.",
        "Diagnose the log on the machine that wrote it, with as many threads as the program had. "
        "Another reason is an algorithm with fewer FLOPs, such as Winograd.",
        _sum(found),
    )


def _large(rows: Iterable[Row]) -> list[Row]:
    return [
        row
        for row in rows
        if row.operation.problem is not None and row.operation.problem.flops >= LARGE_FLOPS
    ]


def _sum(rows: Iterable[Row]) -> float:
    return math.fsum(row.total_s for row in rows)


def _share(seconds: float, total: float) -> str:
    return f"{100 * seconds / total:.0f} %"


def _calls(rows: Sequence[Row]) -> str:
    count = sum(row.calls for row in rows)
    return f"{count:,} call{'s' if count != 1 else ''}"


def _names(rows: Sequence[Row]) -> str:
    """Return the name of the row with the most time, and how many others there are."""
    first = max(rows, key=lambda row: row.total_s)
    rest = len(rows) - 1
    return f"{name(first)}{f' (and {rest} more)' if rest else ''}"
