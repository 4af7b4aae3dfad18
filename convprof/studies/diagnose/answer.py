"""The answer of ``diagnose``: how much time is lost, where most, and what to do first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.logs import openvino
from convprof.studies.answer import Answer
from convprof.studies.diagnose.finding import calls_of, name, way_of
from convprof.studies.diagnose.findings import NO_CAUSES
from convprof.studies.next_command import after_diagnosis, after_faster, with_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.diagnose.finding import Finding
    from convprof.studies.diagnose.rows import Row

_LITTLE = 0.05
"""A share of the total that is not worth a search."""
_NOTHING = 0.005
_PART = 0.1
_MOSTLY = 0.5
"""The share of a loss by uneven calls from which the median call does not explain it."""
SHAPES = (
    "OpenVINO's counters have no shapes, which ceilings and faster ways need: --model names the "
    "ONNX file of the model that ran."
)


def answer(
    rows: Sequence[Row], findings: Sequence[Finding], files: Sequence[str] = ()
) -> Answer | None:
    """Return the answer; None without rows. ``files``: the logs that were read."""
    total = math.fsum(row.total_s for row in rows)
    if not rows or not total:
        return None
    if _lacks_model(rows):
        return Answer((_lost([], total), SHAPES), with_model(files))
    judged = [row for row in rows if row.lost_s is not None]
    worst = max(judged, key=lambda row: row.lost_s or 0.0, default=None)
    sentences = [_lost(judged, total)]
    gain = _gain([row for row in rows if row.saved_s is not None], total)
    if gain:
        sentences.append(gain)
    elif worst is not None and (worst.lost_s or 0.0) > _LITTLE * total:
        sentences.append(_worst(worst))
    first = next((finding for finding in findings if finding.kind not in NO_CAUSES), None)
    if first is not None:
        sentences.append(f"Act first on: {first.kind}, {units.time(first.seconds)}.")
    return Answer(tuple(sentences), _command(rows, worst))


def _lacks_model(rows: Sequence[Row]) -> bool:
    """Whether the rows are counters of OpenVINO, read without the model that has their shapes."""
    return all(
        row.operation.library == openvino.LIBRARY and row.measurement is None for row in rows
    )


def _command(rows: Sequence[Row], worst: Row | None) -> str:
    best = max(rows, key=lambda row: row.saved_s or 0.0)
    if best.faster is not None and best.saved_s:
        return after_faster(best.faster.best, best.faster.alone)
    return after_diagnosis(worst.measurement) if worst and worst.measurement else ""


def _gain(measured: Sequence[Row], total: float) -> str:
    """Return what the fastest ways save in the whole program; empty if nothing was measured."""
    if not measured:
        return ""
    count = f"{len(measured)} measured operation{'s' if len(measured) > 1 else ''}"
    saved = math.fsum(row.saved_s or 0.0 for row in measured)
    if saved < _NOTHING * total:
        return f"No strategy and no installed library is faster for the {count}."
    half = math.hypot(*(row.saved_half_s for row in measured))
    most = max(measured, key=lambda row: row.saved_s or 0.0)
    by = way_of(most.faster.best, most) if most.faster else ""
    return (
        f"The {count} could take {units.time(saved)} ±{units.time(half)} less "
        f"({_percent(saved / total)} of the program), most of it by {by} for {name(most)}: "
        f"{units.time(most.median_s or 0.0)} -> {units.time(most.could_s or 0.0)} a call"
        f"{_around(measured, saved)}."
    )


def _around(measured: Sequence[Row], saved: float) -> str:
    """Return the part of the gain that the program's own library has too, when it runs alone."""
    part = math.fsum(min(row.calls * row.around_s, row.saved_s or 0.0) for row in measured)
    if part < _PART * saved:
        return ""
    return f"; {units.time(part)} of it the same library saves too, measured alone"


def _lost(judged: Sequence[Row], total: float) -> str:
    if not judged:
        return (
            f"The log has {units.time(total)} of operations, and none of them has a ceiling here."
        )
    lost = math.fsum(row.lost_s or 0.0 for row in judged)
    covered = math.fsum(row.total_s for row in judged)
    return (
        f"{units.time(lost)} of {units.time(total)} ({_percent(lost / total)}) are lost against "
        f"this machine's ceilings, which apply to {_percent(covered / total)} of the time."
    )


def _worst(row: Row) -> str:
    by = row.operation.implementation
    lost_s = row.lost_s or 0.0
    start = f"Most of it in {name(row)}{f' by {by}' if by else ''}: {units.time(lost_s)} in "
    share = "" if row.peak_fraction is None else f"{_percent(row.peak_fraction)} of the peak"
    if row.uneven_s <= _MOSTLY * lost_s:
        return f"{start}{calls_of([row])}{f', at {share}' if share else ''}."
    usual = f", which reaches {share}" if share else ""
    return (
        f"{start}{calls_of([row])}, {units.time(row.uneven_s)} of it because some calls take "
        f"longer than the median{usual}: first calls, or other programs."
    )


def _percent(share: float) -> str:
    return f"{units.digits(100 * share, 2)} %"
