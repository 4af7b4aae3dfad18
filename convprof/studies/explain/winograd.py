"""One tile of Winograd's convolution, step by step, and what it saves and costs.

F(m x m, 3 x 3): ``y = A^T [(G g G^T) * (B^T d B)] A`` (Lavin & Gray 2016); of bytes in whole
numbers, divided by the square of a factor. The kernels are generated from these matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.winograd_matrices import quotient
from convprof.codegen.kernels.winograd_tables import ALGORITHMS, WHOLE_ALGORITHMS, algorithms
from convprof.dtypes import F32, types
from convprof.errors import RefusedError
from convprof.problems.tensors import relative_error
from convprof.strategies.base import Setting
from convprof.strategies.conv.winograd import Winograd, spelled_filter
from convprof.strategies.conv.winograd_tiles import transformed
from convprof.strategies.conv.winograd_types import most_channels

if TYPE_CHECKING:
    from convprof.codegen.kernels.winograd_matrices import Algorithm
    from convprof.dtypes import Types
    from convprof.problems import Conv2d

    Array = np.ndarray[Any, Any]

DEFAULT = "mb1ic16ih8oc16kh3ph1"
SIZES = tuple(WHOLE_ALGORITHMS)
"""Outputs across the tiles that a page shows: matrices of F(6x6) are too wide."""
TAPS = 3
ERROR_TILES = 64
"""Tiles on which the rounding error is measured."""
MOST_CHANNELS = 512
"""Channels that the measured sums have at most: 8 MiB of transformed tiles of F(6x6) in float32."""


@dataclass(frozen=True)
class Count:
    """Multiplications of the named problem, and the measured rounding error of one algorithm."""

    label: str
    """``direct`` or ``F(2x2, 3x3)``."""
    multiplications: int
    """Of the whole convolution, with narrower tiles where whole ones would overlap."""
    saving: float
    """Direct multiplications / these."""
    max_rel_error: float
    """In float32, or of bytes, against exact sums, over ``ERROR_TILES`` random tiles."""


@dataclass(frozen=True, eq=False)
class WinogradPage:
    """The page: the first tile of the first image, one channel, one filter."""

    named: Conv2d
    m: int
    factor: int
    """What filters are multiplied by in each dimension, so that they are whole numbers; else 1."""
    most: int | None
    """The most channels whose sums of bytes are exact; None for floats."""
    bt: Array
    """(m + 2, m + 2)."""
    g: Array
    """(m + 2, 3)."""
    at: Array
    """(m, m + 2)."""
    tile: Array
    """(m + 2, m + 2): integers, zeros where the tile is in the padding."""
    border: Array
    """Which elements of the tile are padding or beyond the image."""
    filter: Array
    """(3, 3) integers."""
    spectrum: Array
    """``B^T d B``."""
    filter_spectrum: Array
    """``G g G^T``."""
    products: Array
    """Element by element."""
    output: Array
    """(m, m): ``A^T M A``, divided by ``factor`` twice."""
    direct: Array
    """(m, m): the same by nine products each."""
    kept: Array
    """Which outputs exist: a tile may reach over the image's edge."""
    counts: tuple[Count, ...]
    channels: int
    """Input channels of the sums on which the errors were measured."""


def winograd(named: Conv2d, m: int, seed: int, dtype: str = "f32") -> WinogradPage:
    """Work the example of F(m x m, 3 x 3); RefusedError where the strategy refuses the problem."""
    of = types(dtype)
    reason = _why_not(named, of)
    if reason is not None:
        raise RefusedError(f"explain winograd: {named.descriptor}: {reason}")
    used = algorithms(of.accumulator)[m]
    bt, g, at = matrices(used)
    random = np.random.default_rng(seed)
    size = m + TAPS - 1
    border = _border(named, size)
    tile = np.where(border, 0, random.integers(1, 9, (size, size), endpoint=True))
    weights = random.integers(-2, 2, (TAPS, TAPS), endpoint=True)
    spectrum, filter_spectrum = bt @ tile @ bt.T, g @ weights @ g.T
    products = spectrum * filter_spectrum
    return WinogradPage(
        named=named,
        m=m,
        factor=used.factor,
        most=most_channels(of, TAPS * TAPS),
        bt=bt,
        g=g,
        at=at,
        tile=tile,
        border=border,
        filter=weights,
        spectrum=spectrum,
        filter_spectrum=filter_spectrum,
        products=products,
        output=at @ products @ at.T / used.factor**2,
        direct=direct_tile(tile, weights),
        kept=np.add.outer(np.arange(m) >= named.p, np.arange(m) >= named.q) == 0,
        counts=counts(named, seed, of),
        channels=min(named.c, MOST_CHANNELS),
    )


def _why_not(p: Conv2d, of: Types) -> str | None:
    """Return why there is no page: the strategy refuses, or its tiles have several phases."""
    if (p.r, p.s, *p.stride) != (TAPS, TAPS, 1, 1):
        return f"the page needs a 3x3 stride-1 filter; got {spelled_filter(p)}"
    return Winograd().why_not(p, Setting(dtype=of.name))


def matrices(algorithm: Algorithm) -> tuple[Array, Array, Array]:
    """Return B^T, G and A^T as float64 arrays."""
    bt, g, at = (np.array(m, np.float64) for m in (algorithm.bt, algorithm.g, algorithm.at))
    return bt, g, at


def _border(p: Conv2d, size: int) -> Array:
    """Return which elements of the first tile are outside the image."""
    top, left, _, _ = p.pads
    i, j = np.arange(size) - top, np.arange(size) - left
    return np.logical_or.outer((i < 0) | (i >= p.h), (j < 0) | (j >= p.w))


def direct_tile(tiles: Array, weights: Array) -> Array:
    """Return the correlation of tiles ``(..., size, size)`` with 3x3 filters: ``(..., m, m)``."""
    m = tiles.shape[-1] - TAPS + 1
    terms = [
        tiles[..., r : r + m, s : s + m] * weights[..., r, s, None, None]
        for r in range(TAPS)
        for s in range(TAPS)
    ]
    total: Array = sum(terms[1:], start=terms[0])
    return total


def counts(p: Conv2d, seed: int, of: Types = F32) -> tuple[Count, ...]:
    """Count the multiplications of the whole problem, and measure each way's rounding error."""
    channels = min(p.c, MOST_CHANNELS)
    error_of = whole_error if of.accumulator.is_exact else rounding_error
    rows = [Count("direct", p.macs, 1.0, error_of(None, channels, seed))]
    for m, each in algorithms(of.accumulator).items():
        products = transformed(p, (each, each)) * p.c * p.k
        label = f"F({m}x{m}, 3x3)"
        error = error_of(m, channels, seed)
        rows.append(Count(label, products, p.macs / products, error))
    return tuple(rows)


def rounding_error(m: int | None, channels: int, seed: int) -> float:
    """Return ``max|y - y64| / max|y64|`` in float32, summed over the channels; None: direct.

    Tiles and weights are uniform in [-1, 1), everything but the reference is computed in float32.
    """
    random = np.random.default_rng(seed)
    size = (m or SIZES[-1]) + TAPS - 1
    d = random.random((ERROR_TILES, channels, size, size), dtype=np.float32) * 2 - 1
    w = random.random((channels, TAPS, TAPS), dtype=np.float32) * 2 - 1
    exact = direct_tile(d.astype(np.float64), w.astype(np.float64)).sum(axis=1)
    if m is None:
        outputs = direct_tile(d, w).sum(axis=1, dtype=np.float32)
    else:
        bt, g, at = (matrix.astype(np.float32) for matrix in matrices(ALGORITHMS[m]))
        products = ((bt @ d @ bt.T) * (g @ w @ g.T)).sum(axis=1, dtype=np.float32)
        outputs = at @ products @ at.T
    return relative_error(outputs, exact)


def whole_error(m: int | None, channels: int, seed: int) -> float:
    """Return the error of sums of random bytes: tiles in 16 bits, all sums modulo 2^32."""
    random = np.random.default_rng(seed)
    size = (m or SIZES[-1]) + TAPS - 1
    d = random.integers(0, 255, (ERROR_TILES, channels, size, size), endpoint=True)
    w = random.integers(-128, 127, (channels, TAPS, TAPS), endpoint=True)
    exact = direct_tile(d, w).sum(axis=1)
    if m is None:
        return relative_error(exact.astype(np.int32), exact)
    whole = WHOLE_ALGORITHMS[m]
    bt, g, at = (matrix.astype(np.int64) for matrix in matrices(whole))
    factors = ((bt @ d @ bt.T).astype(np.int16), (g @ w @ g.T).astype(np.int16))
    products = np.multiply(*factors, dtype=np.int32).sum(axis=1, dtype=np.int32)
    inverse, shift = quotient(whole.factor**2)
    outputs = ((at @ products @ at.T) * inverse).astype(np.int32) >> shift
    return relative_error(outputs, exact)
