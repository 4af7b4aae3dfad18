"""Functions of one element in float64, by their definitions: the reference of activations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

_erf = np.vectorize(math.erf, otypes=[np.float64])


GELU_SLOPE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715
"""Of the approximation of GELU by tanh: of x, and of its third power."""


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(GELU_SLOPE * (x + GELU_CUBE * x**3)))


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # exp(-x) would overflow


def _hardsigmoid(x: Array) -> Array:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda x: x * _hardsigmoid(x),
}
"""By name, each function of ``epilogue.STEPS`` of an array in float64."""
