"""A self-attention map over the patches of a picture, without anything trained.

A patch is a token: hand-made features of its colour, its contrast and the directions of its edges.
Queries and keys are the tokens themselves, where a network has learned projections.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.problems import Gemm
from convprof.studies.show_features.step import Step

if TYPE_CHECKING:
    from convprof.studies.show_features.picture import Picture

    Array = np.ndarray[Any, np.dtype[np.float32]]

PATCH = 16
"""Pixels on a side, as in ViT-B/16 (Dosovitskiy et al. 2021)."""
MOST_TOKENS = 4096
"""Their scores are 64 MiB."""
FEWEST_ACROSS = 4
"""Patches along the shorter side, for which small pictures get smaller patches."""
ANGLES = 8
"""Bins of the edges' directions over 180 degrees."""
OPPONENTS = ((1.0, -1.0, 0.0), (-0.5, -0.5, 1.0))
"""Red against green, and blue against yellow."""


@dataclass(frozen=True)
class Grid:
    """Whole patches of a picture, from its upper left corner."""

    patch: int
    rows: int
    columns: int

    @property
    def tokens(self) -> int:
        """Number of patches."""
        return self.rows * self.columns

    def cut(self, plane: Array) -> Array:
        """Return a plane's patches, (tokens, patch * patch)."""
        p, rows, columns = self.patch, self.rows, self.columns
        whole = plane[: rows * p, : columns * p]
        split = whole.reshape(rows, p, columns, p).swapaxes(1, 2)
        return split.reshape(self.tokens, p * p)


@dataclass(frozen=True)
class Query:
    """A patch whose attention is shown."""

    name: str
    token: int


def grid(h: int, w: int, patch: int | None) -> Grid:
    """Return the patches of a picture; InputError if they do not fit or are too many.

    Without ``patch``: ``PATCH`` pixels, fewer where the picture is small, more where it is large.
    """
    side = min(h, w)
    if patch is None:
        patch = max(1, min(PATCH, side // FEWEST_ACROSS))
        while (h // patch) * (w // patch) > MOST_TOKENS:
            patch += 1
    if patch > side:
        raise InputError(
            f"the picture is {w}x{h} here; use at most {side}", field="patch", value=patch
        )
    patches = Grid(patch, h // patch, w // patch)
    if patches.tokens > MOST_TOKENS:
        raise InputError(
            f"makes {patches.tokens} patches of {w}x{h} pixels, and at most {MOST_TOKENS} are "
            "compared; use larger patches or a smaller size",
            field="patch",
            value=patch,
        )
    return patches


def tokens(picture: Picture, slopes: Array, grid: Grid) -> Array:
    """Return (tokens, features): each feature less its mean, each token of length sqrt(features).

    ``slopes`` (2, h, w): Sobel's to the right and downwards. A feature that is the same everywhere
    is 0. The last step is what layer normalisation does before a transformer's attention.
    """
    grey = grid.cut(picture.grey)
    colours = [
        grid.cut(np.tensordot(np.array(o, np.float32), picture.rgb, axes=1)) for o in OPPONENTS
    ]
    means = [grey.mean(1), *(plane.mean(1) for plane in colours), grey.std(1)]
    features = np.stack([*means, *_directions(slopes, grid)], axis=1).astype(np.float64)
    features -= features.mean(0)
    spread = features.std(0)
    features /= np.where(spread > _ROUNDING, spread, np.inf)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    features *= math.sqrt(features.shape[1]) / np.where(length > _ROUNDING, length, np.inf)
    return features.astype(np.float32)


_ROUNDING = 1e-6


def _directions(slopes: Array, grid: Grid) -> list[Array]:
    """Return the mean slope of each patch in each bin of directions.

    Bins are centred on 0, 22.5, 45 ... degrees: an upright edge is in the middle of one, where no
    rounding can move it to the next.
    """
    across, down = slopes
    steepness = grid.cut(np.hypot(across, down))
    turn = grid.cut(np.arctan2(down, across)) % math.pi
    bins = np.rint(turn * (ANGLES / math.pi)).astype(int) % ANGLES
    return [np.where(bins == k, steepness, 0).mean(1) for k in range(ANGLES)]


def queries(slopes: Array, grid: Grid) -> list[Query]:
    """Return up to three patches: in the centre, with the most edges, with the fewest."""
    steepness = grid.cut(np.hypot(*slopes)).mean(1)
    busy = [int(token) for token in np.argsort(-steepness, kind="stable")]
    centre = grid.rows // 2 * grid.columns + grid.columns // 2
    chosen: list[Query] = []
    orders = {"the centre": [centre], "the most edges": busy, "the fewest edges": busy[::-1]}
    for name, order in orders.items():
        taken = [query.token for query in chosen]
        left = [token for token in order if token not in taken]
        chosen += [Query(name, token) for token in left[:1]]
    return chosen


def scores_step(tokens: Array) -> Step:
    """Return the product q kᵀ of all tokens with all tokens."""
    count, features = tokens.shape
    problem = Gemm(m=count, n=count, k=features)
    return Step("attention scores", problem, tokens, np.ascontiguousarray(tokens.T))


def weights(scores: Array, features: int) -> Array:
    """Return softmax(scores / sqrt(features)), rows that sum to 1 (Vaswani et al. 2017)."""
    scaled = scores / math.sqrt(features)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares
