"""Functions of one element that networks apply between their products."""

from __future__ import annotations

from typing import Literal, TypeAlias

Function: TypeAlias = Literal[
    "relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "hardsigmoid", "hardswish"
]

STEPS: dict[str, int] = {
    "relu": 1,  # max(x, 0)
    "relu6": 2,  # min(max(x, 0), 6)
    "sigmoid": 3,  # 1 / (1 + exp(-x))
    "tanh": 1,
    "silu": 4,  # x sigmoid(x)
    "gelu": 5,  # x / 2 (1 + erf(x / sqrt 2)), the exact form of Hendrycks & Gimpel 2016
    "hardsigmoid": 4,  # min(max(x + 3, 0), 6) / 6
    "hardswish": 5,  # x hardsigmoid(x)
}
"""By name, how many floating-point operations a function counts as."""
