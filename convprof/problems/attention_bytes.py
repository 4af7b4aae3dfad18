"""Attention of bytes: what q, k and v in s8 mean, and how weights and results are rounded.

    u = q_scale * k_scale / sqrt(dim)                        what a unit of a score means
    s[i, j] = sum over t of q[i, t] k[j, t] + m[i, j]        whole numbers
    p[i, j] = round(255 exp(u (s[i, j] - max over j)))       u8
    y[i, :] = v_scale * (sum over j of p[i, j] v[j, :]) / (sum over j of p[i, j])

All operands are symmetric: the byte 0 means 0. ``m`` is the mask in units of scores, rounded
towards zero and limited to ``FAR``; a causal mask is -``FAR``. Scores that are ``FAR / 2`` below
the largest one do not count. A result in f32 is ``y``; in bytes it is ``round(y / y_scale) +
y_zero``, saturated.

Implementations may take keys block by block, and round the weights of a block relative to the
largest score so far. In both ways a weight is wrong by half of 1/255 of the largest one at most.
The reference does not round weights; ``known_error`` is what their rounding adds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof.dtypes import find
from convprof.errors import ProblemError
from convprof.problems.requantisation import ZERO_LIMITS, limits
from convprof.problems.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.tensors import Array

SCALES, RESULT_SCALE, RESULT_ZERO = "scales", "result_scale", "result_zero"
"""The operands after the mask: f32 of q, k and v; of results in bytes one f32 and one s32."""
FAR = 2**28
"""The limit of a mask in units of scores."""
LEAST_UNIT = 2.0**-20
"""Of a unit of scores that a calibration chooses: a mask of up to 128 is then below ``FAR / 2``."""
MOST_DIM = 4096
"""Elements of a head, at most: differences of scores are then below ``FAR / 2``."""
MOST_WEIGHT = 255
"""The weight of the largest score."""
MOST_ERROR = 2.0**-3
"""Measured with drawn operands: 0.02 for 197 keys, 0.04 for 577, 0.07 for 8,000."""
FEW_COLUMNS = 16
UNIT = 2.0**-6
"""A unit of drawn results in bytes: the largest one has 64 of them, by ``USUAL_STEPS``."""
USUAL_SCALES = (0.01, 0.015)
"""Drawn scales: the scores of drawn bytes then have a standard deviation of 0.5 to 1.2."""
USUAL_STEPS = (0.012, 0.025)
"""Drawn scales of results in bytes, for up to ``FEW`` keys."""
FEW = 16
"""Keys from which means of drawn values are as much smaller as the root of their number is larger.
"""


def operands(keys: int, types: Types) -> tuple[TensorSpec, ...]:
    """Return the operands that bytes need; none for other types.

    Scales are drawn so that most results in bytes are no limits of their type.
    """
    if not types.requantises:
        return ()
    scale = find("f32")
    own = (TensorSpec(SCALES, (3,), None, scale, constant=True, limits=USUAL_SCALES),)
    if not types.result.is_exact:
        return own
    smaller = math.sqrt(min(1.0, FEW / keys))
    around = USUAL_STEPS[0] * smaller, USUAL_STEPS[1] * smaller
    return (
        *own,
        TensorSpec(RESULT_SCALE, (1,), None, scale, constant=True, limits=around),
        TensorSpec(RESULT_ZERO, (1,), None, find("s32"), constant=True, limits=ZERO_LIMITS),
    )


def known_error(keys: int, columns: int, types: Types) -> float:
    """Return the error of rounded weights, relative to the largest result.

    The errors of ``keys`` weights are independent, and up to half of 1/255 of the largest weight.
    The largest result has that weight at least; of many keys, more of such weights. A result in
    bytes that is near a half may be one more or less. ``columns`` of values of all heads have means
    that are independent: the largest of a few may be small by chance.
    """
    if not types.requantises:
        return 0.0
    error = min(MOST_ERROR, math.sqrt(keys) / MOST_WEIGHT)
    return (error + UNIT * types.result.is_exact) * (1 + FEW_COLUMNS / columns)


def unit(scales: Array, scale: float) -> float:
    """Return what a unit of a score means; ProblemError for scales that mean nothing.

    ``scale``: the factor of the products of queries and keys, ``1 / sqrt(dim)``.
    """
    _check(scales)
    return float(scales[0]) * float(scales[1]) * scale


def meaning(scale: Array, zero: Array) -> tuple[float, int]:
    """Return scale and zero point of results in bytes; ProblemError as ``unit``."""
    _check(scale)
    return float(scale[0]), int(zero[0])


def _check(scales: Array) -> None:
    import numpy as np  # late: `convprof --help` must not load it

    if not (np.isfinite(scales) & (scales > 0)).all():
        raise ProblemError("the scales of attention in bytes must be finite and above 0")


def in_units(mask: Array, of: float) -> Array:
    """Return a mask in units of scores, in float64."""
    import numpy as np  # late: `convprof --help` must not load it

    with np.errstate(over="ignore"):
        units: Array = np.trunc(np.clip(mask.astype(np.float64) / of, -FAR, FAR))
    return units


def weights(scores: Array, of: float) -> Array:
    """Return the unrounded weights of rows of scores in whole numbers, the largest one 1."""
    import numpy as np  # late: `convprof --help` must not load it

    below = scores - scores.max(axis=-1, keepdims=True)
    weighed: Array = np.where(below <= -FAR / 2, 0.0, np.exp(of * below))
    return weighed


def results(means: Array, more: Sequence[Array], types: Types) -> Array:
    """Return the results from weighted means of bytes; ``more``: the scales, and of bytes more."""
    import numpy as np  # late: `convprof --help` must not load it

    scales, *ends = more
    y: Array = means * float(scales[2])
    if not types.result.is_exact:
        return y
    scale, zero = meaning(*ends)
    low, high = limits(types.result)
    whole: Array = np.clip(np.rint(y / scale) + zero, low, high)
    return whole
