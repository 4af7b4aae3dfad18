"""Findings about implementations that are slow for a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.stats import median
from convprof.studies.diagnose.finding import (
    Finding,
    calls_of,
    is_beyond_a_call,
    names_of,
    total_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.studies.diagnose.rows import Row

LARGE_FLOPS = 1e7
"""FLOPs of one call for which an optimised implementation pays."""
_REFERENCE = ("ref", "simple", "naive", "_slow", "slow_conv")
_NO_DEPTHWISE = ("gemm", "im2col", "thnn_conv2d")
GROUPED = 10
"""A grouped convolution takes this many times its least time..."""
THAN_DENSE = 3
"""... and this many times as many times as the dense problems of the same log."""
_WORTH = 0.05
"""A share of the time of all operations with a ceiling."""


def reference(rows: Sequence[Row]) -> Finding | None:
    """Return the finding about reference implementations of large problems."""
    reference = [row for row in large(rows) if row.operation.implementation.startswith(_REFERENCE)]
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


def depthwise(rows: Sequence[Row]) -> Finding | None:
    """Return the finding about depthwise convolutions that products compute."""
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


def grouped(rows: Sequence[Row]) -> Finding | None:
    """Return the finding about grouped convolutions that are much slower than dense ones.

    Depthwise convolutions by products have a finding of their own.
    """
    judged = [row for row in rows if row.times_least is not None]
    dense = [row.times_least or 0.0 for row in judged if _groups(row) == 1]
    usual = median(dense) if dense else 1.0
    slow = [
        row
        for row in judged
        if _groups(row) > 1
        and (row.times_least or 0.0) > max(GROUPED, THAN_DENSE * usual)
        and is_beyond_a_call(row)
        and not row.operation.implementation.startswith(_NO_DEPTHWISE)
    ]
    if not slow or total_of(slow) < _WORTH * total_of(judged):
        return None
    worst = max(slow, key=lambda row: row.total_s)
    others = f"; dense problems in this log take {units.digits(usual, 2)} times" if dense else ""
    return Finding(
        "grouped convolution on a slow path",
        f"{names_of(slow)} takes {units.digits(worst.times_least or 0.0, 2)} times as long as the "
        f"ceiling allows{others}: {units.time(total_of(slow))} in {calls_of(slow)}.",
        "Use channels_last, or a number of channels per group that is a multiple of the vector "
        "width; convprof compare peers shows a library with a better kernel.",
        total_of(slow),
    )


def _groups(row: Row) -> int:
    return 1 if row.measurement is None else int(row.measurement.problem.get("groups", 1))


def large(rows: Iterable[Row]) -> list[Row]:
    """Return the rows for which an optimised implementation pays."""
    return [
        row
        for row in rows
        if row.operation.problem is not None and row.operation.problem.flops >= LARGE_FLOPS
    ]
