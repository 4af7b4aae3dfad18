"""Classic filters as NumPy arrays (r, s), each in the units of what it measures.

A convolution in networks does not rotate the filter, and these are not rotated: a response is the
sum of filter times picture as both are printed, x to the right and y downwards.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

DIRECTIONS = {"vertical": 0.0, "rising": 45.0, "horizontal": 90.0, "falling": 135.0}
"""Stripes, and the angle in degrees at which their waves run (0: to the right, 90: down)."""
EVEN, ODD = 0.0, -math.pi / 2
"""Phases: of a bar, bright in the middle, and of an edge, bright after dark."""
ROUNDNESS = 0.5
"""Width of a Gabor filter's bell across its waves over that along them, squared."""


def box(side: int) -> Array:
    """Return the mean of a square."""
    return np.full((side, side), 1 / side**2, np.float32)


def gaussian(side: int, sigma: float) -> Array:
    """Return a bell of ``sigma`` pixels, cut to a square, whose sum is 1."""
    x, y = _plane(side)
    bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    weights: Array = (bell / bell.sum()).astype(np.float32)
    return weights


def sobel_x() -> Array:
    """Return the slope to the right, per pixel (Sobel & Feldman 1968, divided by its weight 8)."""
    return np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / np.float32(8)


def sobel_y() -> Array:
    """Return the slope downwards, per pixel."""
    return np.ascontiguousarray(sobel_x().T)


def laplacian() -> Array:
    """Return the sum of both second differences: 0 on every plane, whatever its slope."""
    return np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)


def gabor(side: int, angle: float, wavelength: float, sigma: float, phase: float = EVEN) -> Array:
    """Return waves under a bell (Daugman 1985): ``angle`` in degrees, the lengths in pixels.

    No constant passes (the sum is 0), and the absolute values sum to 1.
    """
    x, y = _plane(side)
    turn = math.radians(angle)
    along = x * math.cos(turn) + y * math.sin(turn)
    across = y * math.cos(turn) - x * math.sin(turn)
    bell = np.exp(-(along**2 + ROUNDNESS * across**2) / (2 * sigma**2))
    waves = bell * np.cos(2 * math.pi * along / wavelength + phase)
    waves -= bell * (waves.sum() / bell.sum())
    weights: Array = (waves / np.abs(waves).sum()).astype(np.float32)
    return weights


def _plane(side: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return x and y of a square's pixels, (0, 0) in its middle."""
    line = np.arange(side) - (side - 1) / 2
    return np.meshgrid(line, line)
