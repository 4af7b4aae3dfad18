"""What a log shows, in words: each finding has its evidence and a way out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.diagnose.finding import (
    Finding,
    calls_of,
    name,
    names_of,
    percent,
    total_of,
)
from convprof.studies.diagnose.groups import OTHER_SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.logs.operation import Reading
    from convprof.studies.diagnose.rows import Row

REORDERS = 0.1
"""A share of the total from which conversions of layouts are worth a finding."""
ONE_SORT = 0.03
"""A smaller share of one sort of conversions is not worth another finding."""
FAR = 50
"""A call takes 50 times its least time: too much for slow code, so its threads waited."""
WAITING = 0.2
CREATIONS = 0.05
LARGE_FLOPS = 1e7
"""FLOPs of one call for which an optimised implementation pays."""
BELOW_F32 = 0.5
"""A bf16 rate below this part of the f32 peak: f32 at an ordinary share of its peak is faster."""
ALONE = 0.25
"""A share of a call's time: a smaller difference is explained by warm caches."""
_OVER, _ONCE = "faster than the peak", "creation"
NO_CAUSES = (_OVER, _ONCE)
"""Findings that are no reason to change the program: another log tells more."""
_ONE_LAYOUT = "Keep activations in one layout: in PyTorch, channels_last for model and input."
_PACK_ONCE = (
    "Weights that do not change are packed once by a frozen or compiled model: torch.compile with "
    "freezing, ONNX Runtime, OpenVINO."
)
_REFERENCE = ("ref", "simple", "naive", "_slow", "slow_conv")
_NO_DEPTHWISE = ("gemm", "im2col")


def findings(
    rows: Sequence[Row], reading: Reading, *, cores: int, f32_peak: float | None
) -> list[Finding]:
    """Return the findings, the one about the most time first; ``NO_CAUSES`` come last.

    ``cores``: of this machine; ``f32_peak``: its FLOP/s on as many threads.
    """
    total = math.fsum(row.total_s for row in rows)
    every = [
        *_reorders(rows, total),
        _waiting(rows),
        _reference(rows),
        _depthwise(rows),
        _creations(rows, reading, total),
        _threads(reading, cores, total),
        _slow_bf16(rows, f32_peak),
        _slower_than_alone(rows, total),
        _over(rows),
    ]
    known = [finding for finding in every if finding is not None]
    return sorted(known, key=lambda finding: (finding.kind in NO_CAUSES, -finding.seconds))


def _reorders(rows: Sequence[Row], total: float) -> list[Finding]:
    every = [row for row in rows if row.operation.is_conversion]
    if not total or total_of(every) < REORDERS * total:
        return []
    least = ONE_SORT * total
    conversions = []
    others = [row for row in every if not _packs_weights(row)]
    if others and total_of(others) >= least:
        evidence = f"Conversions of layouts and types take {_portion(others, total)}."
        conversions.append(Finding("reorders", evidence, _ONE_LAYOUT, total_of(others)))
    packed = [row for row in every if _packs_weights(row)]
    if packed and total_of(packed) >= least:
        evidence = f"Packing weights takes {_portion(packed, total)}."
        conversions.append(Finding("weights packed again", evidence, _PACK_ONCE, total_of(packed)))
    return conversions


def _portion(rows: Sequence[Row], total: float) -> str:
    """Return the share, the time and the calls of rows, and the largest of them."""
    seconds = total_of(rows)
    return (
        f"{percent(seconds, total)} of the time ({units.time(seconds)}, {calls_of(rows)}); the "
        f"largest is {names_of(rows)}"
    )


def _packs_weights(row: Row) -> bool:
    """Whether the result is blocked over the output channels, oneDNN's first axis of weights."""
    return row.operation.layout.rpartition(">")[2].startswith(("A", "BA"))


def _waiting(rows: Sequence[Row]) -> Finding | None:
    judged = [row for row in rows if row.least_s and row.median_s and not row.over]
    late = [row for row in judged if (row.median_s or 0.0) > FAR * (row.least_s or math.inf)]
    if not late or total_of(late) < WAITING * total_of(judged):
        return None
    row = max(late, key=lambda row: row.total_s)
    return Finding(
        "threads waited",
        f"{len(late)} of {len(judged)} operations with a ceiling take more than {FAR} times as "
        f"long as the ceiling allows, such as {name(row)}: {units.time(row.median_s or 0.0)} "
        f"instead of {units.time(row.least_s or 0.0)}.",
        "Log again on an idle machine, or with fewer threads: threads that wait for a core cost "
        "more than slow code. If the times stay, rule out denormal numbers "
        "(torch.set_flush_denormal(True)).",
        total_of(late),
    )


def _reference(rows: Sequence[Row]) -> Finding | None:
    reference = [row for row in _large(rows) if row.operation.implementation.startswith(_REFERENCE)]
    if not reference:
        return None
    return Finding(
        "reference implementation",
        f"A reference implementation computes {names_of(reference)}: "
        f"{units.time(total_of(reference))} in {calls_of(reference)}.",
        "Look for what the optimised ones refuse: ONEDNN_VERBOSE=dispatch says why. Often a type, "
        "a dilation, or a number of channels that is no multiple of the vector width.",
        total_of(reference),
    )


def _depthwise(rows: Sequence[Row]) -> Finding | None:
    products = [
        row
        for row in rows
        if (problem := row.operation.problem) is not None
        and problem.forward.layer_kind == "depthwise conv"
        and row.operation.implementation.startswith(_NO_DEPTHWISE)
    ]
    if not products:
        return None
    return Finding(
        "depthwise on a slow path",
        f"Products compute depthwise convolutions, one channel at a time: {names_of(products)} "
        f"take {units.time(total_of(products))}.",
        "Use channels_last, or a version of the library with a depthwise kernel for this type.",
        total_of(products),
    )


def _creations(rows: Sequence[Row], reading: Reading, total: float) -> Finding | None:
    created = [row for row in rows if row.created]
    seconds = math.fsum(row.creation_s for row in rows)
    again = [
        row
        for row in created
        if row.created > reading.processes_of(row.operation.library)
        and row.operation.text != OTHER_SHAPES
    ]
    repeated = math.fsum(row.creation_s for row in again)
    if not total or max(seconds, repeated) < CREATIONS * total:
        return None
    count = sum(row.created for row in created)
    more = " or more" if any(row.operation.text == OTHER_SHAPES for row in created) else ""
    text = (
        f"Creating primitives and sessions takes {percent(seconds, total)} of the time "
        f"({units.time(seconds)}): {count:,} creations of {len(created):,}{more} different "
        f"operations."
    )
    if not again:
        return Finding(
            _ONCE,
            text,
            "No operation was created twice: warm up before you measure, and keep the process "
            "alive. If the shapes change, pad them to a few sizes.",
            seconds,
        )
    return Finding(
        "creation repeated",
        f"{text} {names_of(again)} was created {again[0].created:,} times.",
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
    if not f32_peak:
        return None
    least = BELOW_F32 * f32_peak
    slow = [row for row in large_bf16(rows) if (row.flop_per_s or math.inf) < least]
    if not slow:
        return None
    rate = slow[0].flop_per_s or 0.0
    return Finding(
        "bf16 slower than f32",
        f"bf16 reaches {units.si(rate, 'FLOP/s')} in {names_of(slow)}, less than half of this "
        f"machine's f32 peak of {units.si(f32_peak, 'FLOP/s')}.",
        "Try f32 for these layers: bf16 pays with AVX512-BF16 or AMX, and for large products.",
        total_of(slow),
    )


def large_bf16(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose bf16 is worth a comparison with f32."""
    return [row for row in _large(rows) if row.operation.types.startswith("bf16")]


def _slower_than_alone(rows: Sequence[Row], total: float) -> Finding | None:
    """Look for libraries that take longer in the program than in a measurement with ``--measure``.

    Rows in doubt count nowhere: their ``around_s`` is 0.
    """
    slow = [row for row in rows if row.around_s > ALONE * (row.median_s or 0.0)]
    seconds = math.fsum(row.calls * row.around_s for row in slow)
    if not total or seconds < REORDERS * total:
        return None
    row = max(slow, key=lambda row: row.calls * row.around_s)
    alone_s = (row.median_s or 0.0) - row.around_s
    return Finding(
        "slower in the program than alone",
        f"{row.operation.library} takes {units.time(row.median_s or 0.0)} for {name(row)} in the "
        f"program, and {units.time(alone_s)} when it is measured alone here"
        f"{f' ({len(slow) - 1:,} more like that)' if len(slow) > 1 else ''}.",
        "No other strategy gains this part. Look for cold caches, memory that is allocated anew, "
        "other threads at work, and another layout or number of threads.",
        seconds,
    )


def _over(rows: Sequence[Row]) -> Finding | None:
    over = [row for row in rows if row.over]
    if not over:
        return None
    return Finding(
        _OVER,
        f"{names_of(over)} is faster than this machine's peak allows. Nothing is concluded from "
        f"such rows.",
        "Diagnose the log on the machine that wrote it, with as many threads as the program had. "
        "Another reason is an algorithm with fewer FLOPs, such as Winograd.",
        total_of(over),
    )


def _large(rows: Iterable[Row]) -> list[Row]:
    return [
        row
        for row in rows
        if row.operation.problem is not None and row.operation.problem.flops >= LARGE_FLOPS
    ]
