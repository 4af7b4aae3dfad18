"""Filters of two layers, made by hand: each is a picture of the shape that it answers to.

The first layer has 5x5 edges and bars. A filter of the second layer is how one shape (an end, a
line, a corner, a fork) looks in the 32 maps of the first, less the mean over all shapes. Its bias
takes off the answer to that mean: so no other shape of the same place gets a larger answer from it
than its own (the Cauchy-Schwarz inequality).
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.problems.ops import Pool2d
from convprof.studies.explain.digit import SIDE, drawn
from convprof.studies.show_features.filters import EVEN, ODD, gabor

if TYPE_CHECKING:
    from convprof.problems import Conv2d

    Array = np.ndarray[Any, np.dtype[np.float64]]

TAPS = 5
WAVELENGTH, SIGMA = 6.0, 2.0
"""Half a wave is as wide as a stroke."""
COMPASS = (
    "E", "ENE", "NE", "NNE", "N", "NNW", "NW", "WNW", "W", "WSW", "SW", "SSW", "S", "SSE", "SE",
    "ESE",
)  # fmt: skip
"""Sixteen directions, from the right against the clock: N is up."""
TURN = 22.5
"""Degrees between two of them."""
EDGES, BARS = 16, 8
KINDS = (
    ("end", (0,), 2),
    ("line", (0, 8), 1),
    ("sharp corner", (0, 2), 2),
    ("corner", (0, 4), 2),
    ("blunt corner", (0, 6), 2),
    ("T", (0, 4, 8), 2),
    ("Y", (0, 6, 10), 2),
    ("arrow", (0, 2, 14), 2),
)
"""A shape's name, the directions of its arms, and the step between its 8 turned versions."""
VERSIONS = 8
REACH = 9.0
"""Pixels of an arm; a filter of the second layer covers 14 across after the 5 of the first."""
CENTRE = (SIDE + 1) / 2
"""Of a drawn shape, in pixels: the middle of the four that are pooled into row 7, column 7."""
POOLED = slice(SIDE // 4 - TAPS // 2, SIDE // 4 + TAPS // 2 + 1)
"""Rows and columns of the pooled maps that a filter at row 7, column 7 reads."""


_POOL = Pool2d.square("max", 2, stride=2)
"""Of mnist-cnn."""


class Filters(NamedTuple):
    """The filters of a layer."""

    names: tuple[str, ...]
    weights: Array
    """(k, c, 5, 5)."""
    bias: Array
    """(k,)."""


@functools.cache
def first_layer() -> Filters:
    """Return 16 edges, 8 bright bars and 8 dark ones, each of mean 0 and length 1."""
    names, planes = [], []
    for i in range(EDGES):
        names.append(f"edge, bright {COMPASS[-i % 16]}")
        planes.append(gabor(TAPS, TURN * i, WAVELENGTH, SIGMA, ODD))
    for sign, word in ((1, "bright"), (-1, "dark")):
        for i in range(BARS):
            along = -(i + BARS // 2) % 16  # a bar runs across its waves
            names.append(f"{word} bar {COMPASS[along - 8]}-{COMPASS[along]}")
            planes.append(sign * gabor(TAPS, TURN * i, WAVELENGTH, SIGMA, EVEN))
    weights = np.array([plane / np.linalg.norm(plane) for plane in planes], np.float64)
    return Filters(tuple(names), weights[:, None], np.zeros(len(planes)))


def stimulus(index: int) -> Array:
    """Return the 5x5 edge or bar of that filter of the first layer, from 0 to 1."""
    y, x = np.mgrid[:TAPS, :TAPS] - (TAPS - 1) / 2
    turn = math.radians(TURN * index)
    along = x * math.cos(turn) + y * math.sin(turn)
    edge: Array = np.clip(along + 0.5, 0, 1)
    bar: Array = np.clip(2 - np.abs(along), 0, 1)
    if index < EDGES:
        return edge
    return bar if index < EDGES + BARS else 1 - bar


class Shape(NamedTuple):
    """Arms from a common centre."""

    name: str
    arms: tuple[int, ...]
    """Indices into ``COMPASS``."""

    def image(self, right: float = 0, down: float = 0) -> Array:
        """Return the shape drawn on 28x28 pixels, moved by some pixels."""
        x, y = CENTRE + right, CENTRE + down
        angles = [math.radians(TURN * arm) for arm in self.arms]
        return drawn([((x, y), (x + REACH * math.cos(a), y - REACH * math.sin(a))) for a in angles])


@functools.cache
def shapes() -> tuple[Shape, ...]:
    """Return the 64 shapes, 8 versions of each kind."""
    return tuple(
        Shape(f"{kind} {'+'.join(COMPASS[arm] for arm in arms)}", arms)
        for kind, pattern, step in KINDS
        for turn in range(VERSIONS)
        for arms in [tuple((turn * step + arm) % 16 for arm in pattern)]
    )


@functools.cache
def second_layer(conv1: Conv2d) -> Filters:
    """Return a filter per shape, of length 1, from what the first layer shows of it."""
    first = first_layer()
    views = np.stack([pooled(answers(conv1, first, shape.image()[None])) for shape in shapes()])
    views = views[:, :, POOLED, POOLED]
    common = views.mean(axis=0)
    weights = views - common
    weights /= np.linalg.norm(weights.reshape(len(weights), -1), axis=1)[:, None, None, None]
    bias = -np.einsum("kcrs,crs->k", weights, common)
    return Filters(tuple(shape.name for shape in shapes()), weights, bias)


def answers(conv: Conv2d, filters: Filters, x: Array) -> Array:
    """Return the maps (k, p, q) of ``x`` (c, h, w): convolution, bias and ReLU."""
    y = conv.reference((x[None], filters.weights))[0] + filters.bias[:, None, None]
    maps: Array = np.maximum(y, 0)
    return maps


def pooled(maps: Array) -> Array:
    """Return the maximum of each 2x2 square."""
    largest: Array = _POOL.reference(maps[None])[0]
    return largest
