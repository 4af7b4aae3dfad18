"""Weights of 4 and 8 bits in shape files: ``--dt=f32:u4:f32`` with factors for groups of a column.

    --attr-scales=wei:per_ocic:f16:128x1         a scale for each 128 rows of a column
    --attr-scales=wei:per_oc                     a scale for each column
    --attr-zero-points=wei:per_ocic:u8:128x1     zero points, in the same groups

Scales are f32 here, whatever type the file says; a zero point takes a byte.
"""

from __future__ import annotations

import re

from convprof.dtypes import GROUPED
from convprof.problems.grouped_weights import CHANNEL, GroupedWeights

_BITS = {"s4": 4, "u4": 4, "s8": 8, "u8": 8}
"""By benchdnn's type of the weights, their bits."""
_GROUP = re.compile(r"([1-9]\d{0,8})x1")
_GROUPS, _COLUMN, _ONE = "per_ocic", "per_oc", "common"
EXAMPLE = "wei:per_ocic:f32:128x1"


def activations(dtype: str) -> str:
    """Return the type of the activations next to weights of few bits; empty for other types."""
    source, weights, result = [*dtype.split(":"), "", ""][:3]
    return source if weights in _BITS and source == result and source in GROUPED else ""


def grouped_weights(dtype: str, scales: str, zero_points: str) -> GroupedWeights | str:
    """Return the weights that three options mean, or what is not computed of them."""
    weights = dtype.split(":")[1]
    group = _group(scales)
    if group is None:
        return f"weights of {weights} need scales of the weights alone, such as {EXAMPLE}"
    is_unsigned = weights.startswith("u") or bool(zero_points)
    if zero_points and not zero_points.startswith(f"wei:{_ONE}") and _group(zero_points) != group:
        return f"zero points of weights of {weights} have the groups of the scales"
    return GroupedWeights(f"{'uint' if is_unsigned else 'int'}{_BITS[weights]}", group)


def _group(factors: str) -> int | None:
    """Return the rows of a group; None for factors that no group of the weights has."""
    tensor, _, rest = factors.partition(":")
    policy, *fields = rest.split(":")
    if tensor != "wei" or "+" in factors:
        return None
    if policy == _COLUMN:
        return CHANNEL
    match = _GROUP.fullmatch(fields[-1]) if policy == _GROUPS and fields else None
    return int(match[1]) if match else None
