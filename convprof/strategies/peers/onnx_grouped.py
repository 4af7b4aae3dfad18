"""Weights of 8 and 4 bits as ONNX Runtime's operator MatMulNBits takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.machine import software
from convprof.strategies.peers.unsigned_weights import BYTE, Unsigned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems.grouped_weights import GroupedWeights

    Array = np.ndarray[Any, Any]

OPERATOR = "MatMulNBits"
LEAST_GROUP = 16
FIRST_BYTES = (1, 23)
"""The first version of ONNX Runtime with weights of 8 bits (1.22.1 raises at the first run)."""


def why_not(of: GroupedWeights) -> str | None:
    """Return what the operator takes instead of the weights; None if it takes them."""
    if of.group < LEAST_GROUP or of.group & (of.group - 1) != 0:
        return f"groups of a power of two from {LEAST_GROUP}, not of {of.group}"
    if of.bits == BYTE and software.numbers("onnxruntime", FIRST_BYTES) < FIRST_BYTES:
        return f"weights of 4 bits, and of 8 bits from version {FIRST_BYTES[0]}.{FIRST_BYTES[1]} on"
    return None


def constants(of: GroupedWeights, stored: Sequence[Array], k: int) -> dict[str, Array]:
    """Return the constant operands, by name: weights column by column, in whole groups.

    ``stored``: the problem's operands after the activations, for columns of ``k``.
    """
    weights = Unsigned.of(of, stored, k)
    groups, columns = weights.scales.shape
    whole = np.zeros((columns, groups * of.group), np.uint8)
    whole[:, :k] = weights.whole.T
    of_columns = {
        "w": weights.packed(whole).reshape(columns, groups, -1),
        "scales": np.ascontiguousarray(weights.scales.T),
    }
    if of.has_zero_points:
        of_columns["zeros"] = weights.packed(np.ascontiguousarray(weights.zeros.T))
    return of_columns
