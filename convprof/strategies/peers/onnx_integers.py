"""ONNX operators of bytes: sums in s32, or bytes again by scales and zero points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types

    Array = np.ndarray[Any, Any]

ZERO_POINT = 128
"""What is added to a signed byte to store it as an unsigned one."""


def operator(name: str, of: Types) -> str:
    """Return the operator for types: ``Conv``, ``ConvInteger`` or ``QLinearConv``."""
    if not of.accumulator.is_exact:
        return name
    return f"QLinear{name}" if of.requantises else f"{name}Integer"


def constants(weights: Array, of: Types, more: Sequence[Array]) -> dict[str, Array]:
    """Return the constant operands of the operator, by name, in its order.

    ``more``: the scale of each channel and the zero points of source, residual and result, where
    sums become bytes. The operator has three scales, whose product counts: two of them are 1.
    """
    if not of.requantises:
        return {"w": weights}
    scale, zeros = more
    one = np.array(1, np.float32)
    return {
        "x_scale": one,
        "x_zero": np.array(zeros[0], of.source.array_type),
        "w": weights,
        "w_scale": scale,
        "w_zero": np.zeros(scale.shape, weights.dtype),
        "y_scale": one,
        "y_zero": np.array(zeros[2], of.result.array_type),
    }


def unsigned(signed: dict[str, Array], of: Types) -> dict[str, Array]:
    """Return the same with weights stored as u8 with a zero point: the sums are the same."""
    shifted = (signed["w"].astype(np.int16) + ZERO_POINT).astype(np.uint8)
    zeros = np.full(signed["w_zero"].shape if of.requantises else (), ZERO_POINT, np.uint8)
    points = {} if of.requantises else {"x_zero": np.array(0, of.source.array_type)}
    return {**signed, "w": shifted, **points, "w_zero": zeros}
