"""Findings about conversions of layouts and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.studies.diagnose.finding import Finding, calls_of, names_of, percent, total_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.diagnose.rows import Row

REORDERS = 0.1
"""A share of the total from which conversions are worth a finding."""
ONE_SORT = 0.03
"""A smaller share of one sort of conversions is not worth another finding."""
_ONE_LAYOUT = "Keep activations in one layout: in PyTorch, channels_last for model and input."
_PACK_ONCE = (
    "Weights that do not change are packed once by a frozen or compiled model: torch.compile with "
    "freezing, ONNX Runtime, OpenVINO."
)
_NCHW, _BLOCKED = "abcd", "aBcd"
"""oneDNN's names of NCHW, and the beginning of the names of blocked layouts that it prefers."""


def conversions(rows: Sequence[Row], total: float) -> list[Finding]:
    """Return the findings about activations and about weights; none if both are cheap."""
    every = [row for row in rows if row.operation.is_conversion]
    if not total or total_of(every) < REORDERS * total:
        return []
    least = ONE_SORT * total
    conversions = []
    others = [row for row in every if not _packs_weights(row)]
    if others and total_of(others) >= least:
        evidence = f"Conversions of layouts and types take {_portion(others, total)}."
        way_out = f"{_ONE_LAYOUT}{_gain(others, total)}"
        conversions.append(Finding("reorders", evidence, way_out, total_of(others)))
    packed = [row for row in every if _packs_weights(row)]
    if packed and total_of(packed) >= least:
        evidence = f"Packing weights takes {_portion(packed, total)}."
        conversions.append(Finding("weights packed again", evidence, _PACK_ONCE, total_of(packed)))
    return conversions


def _gain(rows: Sequence[Row], total: float) -> str:
    """Return what channels_last saves: the conversions of images from NCHW, and back to it.

    oneDNN computes on channels_last directly, and converts NCHW before and after a convolution.
    """
    saved = total_of(row for row in rows if _is_around_nchw(row.operation.layout))
    if not saved:
        return ""
    return (
        f" channels_last saves up to {units.time(saved)} of {units.time(total)} "
        f"({percent(saved, total)})."
    )


def _is_around_nchw(layout: str) -> bool:
    sides = layout.split("->")
    return _NCHW in sides and any(side.startswith(_BLOCKED) for side in sides)


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
