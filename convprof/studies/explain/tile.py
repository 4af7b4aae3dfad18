"""What one register tile and one cache tile of a product touch, and what tiling saves.

A convolution is the product of pixels by taps (read in place) with taps by output channels. The tiles
are those that ``packed`` and ``microkernel`` choose for this machine. All counts are of one image and
one group, or of one product of a batch, in elements of f32.
"""  # noqa: E501

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.problems import Conv2d, Gemm
from convprof.studies.explain import convolution_tile, product_tile

if TYPE_CHECKING:
    import numpy as np

    from convprof.problems import Problem
    from convprof.studies.explain.here import Here
    from convprof.studies.explain.tiling import Tiling

    Integers = np.ndarray[Any, np.dtype[np.int64]]

DEFAULT = "336x1024:1024x1024"
ITEM_BYTES = 4
"""Bytes of an f32."""
FALLBACK_CACHE_BYTES = 1 << 20
"""A second-level cache for the model where none is known; the page says that it is assumed."""


@dataclass(frozen=True)
class Way:
    """One way of computing the product, and what it reads."""

    label: str
    loads: int
    """Elements of A, B and C that go from cache to registers."""
    flops_per_load: float
    fetched: int
    """Elements that come from beyond the modelled cache."""
    flops_per_fetch: float


@dataclass(frozen=True)
class WorkingSet:
    """What is used again and again, and the smallest cache that holds it."""

    label: str
    shape: str
    size_bytes: int
    home: str
    """``registers``, ``L1``, ... ``memory``; ``unknown`` where the caches are."""


@dataclass(frozen=True, eq=False)
class TilePage:
    """The page."""

    named: Problem
    here: Here
    tiling: Tiling
    cache_bytes: int
    """What the model takes for the cache that the blocks are kept in."""
    cache_assumed: bool
    flops: int
    """Executed: taps that read only padding are left out."""
    ways: tuple[Way, ...]
    sets: tuple[WorkingSet, ...]


@functools.singledispatch
def tiling_of(named: Problem) -> Tiling:
    """Return the tiles of a problem; InputError for a kind that has none."""
    what = "is no single product" if named.macs else "multiplies nothing"
    raise InputError(
        f"explain tile: {named.descriptor} ({named.kind}) {what}; "
        "name a product (512x512:512x512) or a convolution"
    )


tiling_of.register(Gemm, product_tile.tiling)
tiling_of.register(Conv2d, convolution_tile.tiling)


def tile(named: Problem, here: Here) -> TilePage:
    """Work the example with the tiles that our own strategies choose here."""
    tiling = tiling_of(named)
    known = dict(here.caches)
    cache_bytes = known.get("L2", FALLBACK_CACHE_BYTES)
    return TilePage(
        named=named,
        here=here,
        tiling=tiling,
        cache_bytes=cache_bytes,
        cache_assumed="L2" not in known,
        flops=2 * tiling.macs,
        ways=ways(tiling, cache_bytes),
        sets=working_sets(tiling, here),
    )


def ways(t: Tiling, cache_bytes: int) -> tuple[Way, ...]:
    """Count what each way reads.

    Into registers: without a register tile every multiply-add loads an element of A and one of B.
    From beyond the cache: an operand that does not fit is read anew each time it is gone through.
    """
    a, b, c = t.a_elements, t.k * t.n, t.m * t.n
    all_fit = (a + b + c) * ITEM_BYTES <= cache_bytes
    b_fits = b * ITEM_BYTES <= cache_bytes
    again = (t.k_blocks - 1) * c
    untiled_fetch = a + b * (1 if b_fits else t.m)
    tiled_fetch = a + b if all_fit else t.fetched(b_fits=b_fits) + again
    flops = 2 * t.macs
    counted = [
        ("untiled", 2 * t.macs, untiled_fetch),
        ("cache tiles", 2 * t.macs + again, tiled_fetch),
        ("+ register tiles", t.register_loads + again, tiled_fetch),
    ]
    return tuple(
        Way(label, loads, flops / max(1, loads), fetched, flops / max(1, fetched))
        for label, loads, fetched in counted
    )


def working_sets(t: Tiling, here: Here) -> tuple[WorkingSet, ...]:
    """Return what each tile keeps, from the registers outward."""
    sums = WorkingSet(
        "C of a register tile", _size(t.mr, t.nr), t.mr * t.nr * ITEM_BYTES, "registers"
    )
    others = (
        ("A of a register tile", t.a_tile),
        ("B of a register tile", (t.kc, t.nr)),
        ("A of a cache tile", t.a_block),
        ("B of a cache tile", (t.kc, t.nc)),
        ("C of a cache tile", (t.mc, t.nc)),
    )
    sets = [
        WorkingSet(label, _size(*shape), size, _home(size, here))
        for label, shape in others
        for size in (math.prod(shape) * ITEM_BYTES,)
    ]
    return sums, *sets


def _size(rows: int, columns: int) -> str:
    return f"{rows:,} x {columns:,}"


def _home(size: int, here: Here) -> str:
    if not here.caches:
        return "unknown"
    return next((name for name, room in here.caches if size <= room), "memory")
