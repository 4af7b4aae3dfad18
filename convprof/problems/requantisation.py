"""From sums of whole numbers back to bytes, or to f32: scales, zero points, rounding, saturation.

    y = saturate(round((sum of (x - x_zero) * w + bias) * scale) + y_zero)
    y = (sum of (x - x_zero) * w + bias) * scale                             in f32

``scale`` is one f32 per output channel, the scale of x times the scale of w over the scale of y.
This is QLinearConv of ONNX (operator set 10) with symmetric weights: their zero point is 0, and
padding counts as x_zero. ``round`` is to nearest, ties to even. A residual of bytes, which ONNX
adds by an operator of its own, is added before rounding: ``(residual - residual_zero) *
residual_scale``. ReLU replaces what is negative before rounding by 0. Every step after the sum is
rounded to f32, so a result is exact: no byte may differ. A result in f32 is neither rounded nor
limited; its residual is f32, without scale and zero point, and any function may follow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.dtypes import find
from convprof.problems.shapes import channel_axis
from convprof.problems.tensors import TensorSpec, picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import DType, Types
    from convprof.problems.epilogue import Epilogue
    from convprof.problems.tensors import Array, Points

SCALE, ZERO_POINTS, RESIDUAL_SCALE = "scale", "zero_points", "residual_scale"
"""The operands: f32 per output channel; s32 of source, residual and result; one f32."""
OUTPUT_AXES = {"conv2d": 0, "gemm": 1}
"""By kind of problem, the axis of the weights with an element per output channel."""
ZERO_LIMITS = (0.0, 100.0)
"""Zero points that every type of bytes can represent."""
SPREAD = 32.0
"""The usual distance of a drawn result from its zero point."""
PRODUCT = 7000.0
"""The usual size of a product of a drawn activation and a drawn weight."""


def operands(channels: int, terms: int, epilogue: Epilogue, types: Types) -> tuple[TensorSpec, ...]:
    """Return the operands of requantisation, after the operands of the epilogue; none without it.

    Scales are drawn so that most results are no limits of their type.
    """
    if not types.requantises:
        return ()
    usual = SPREAD / (PRODUCT * math.sqrt(terms))
    scale, zero = find("f32"), find("s32")
    specs = (
        TensorSpec(SCALE, (channels,), None, scale, constant=True, limits=(usual / 2, usual * 2)),
        TensorSpec(ZERO_POINTS, (3,), None, zero, constant=True, limits=ZERO_LIMITS),
    )
    if not epilogue.add or not types.result.is_exact:
        return specs
    return (
        *specs,
        TensorSpec(RESIDUAL_SCALE, (1,), None, scale, constant=True, limits=(0.25, 1.0)),
    )


@dataclass(frozen=True)
class Factors:
    """What follows a sum, in the order of the operands after the weights."""

    bias: Array | None
    residual: Array | None
    scale: Array
    zeros: Array
    """Of source, residual and result."""
    residual_scale: Array | None

    @classmethod
    def of(cls, epilogue: Epilogue, operands: Sequence[Array]) -> Factors:
        """Take the operands after the weights."""
        more = list(operands)
        bias = more.pop(0) if epilogue.bias else None
        residual = more.pop(0) if epilogue.add else None
        scale, zeros, *residual_scale = more
        return cls(bias, residual, scale, zeros, residual_scale[0] if residual_scale else None)

    def results(
        self, total: Array, epilogue: Epilogue, result: TensorSpec, points: Points | None
    ) -> Array:
        """Return the results that the formula gives for exact sums, as float64.

        ``result``: in its logical shape, of which the sums are all values, or those at flat
        indices.
        """
        import numpy as np  # late: `convprof --help` must not load it

        shape, f32 = result.shape, np.float32
        residual_zero, y_zero = self.zeros[1:]

        def of_channels(values: Array) -> Array:
            axis = channel_axis(shape)
            wide = values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            return picked(np.broadcast_to(wide, shape), points)

        if self.bias is not None:
            total = total + of_channels(self.bias)
        if not result.dtype.is_exact:
            floats = total * of_channels(self.scale.astype(np.float64))
            return self._floats(floats, epilogue, points)
        y: Array = total.astype(f32) * of_channels(self.scale)
        if self.residual is not None and self.residual_scale is not None:
            distance = picked(self.residual, points).astype(f32) - f32(residual_zero)
            y = y + distance * f32(self.residual_scale[0])
        if epilogue.function is not None:
            y = np.maximum(y, f32(0))
        low, high = limits(result.dtype)
        whole: Array = np.clip(np.rint(y.astype(np.float64)) + y_zero, low, high)
        return whole

    def _floats(self, y: Array, epilogue: Epilogue, points: Points | None) -> Array:
        """Return what follows sums times scales in float64."""
        from convprof.problems.functions import FUNCTIONS

        if self.residual is not None:
            y = y + picked(self.residual.astype("f8"), points)
        return FUNCTIONS[epilogue.function](y) if epilogue.function else y


def limits(dtype: DType) -> tuple[int, int]:
    """Return the least and the largest number of a type of whole numbers."""
    import numpy as np  # late: `convprof --help` must not load it

    of: Any = np.iinfo(dtype.array_type)
    return int(of.min), int(of.max)
