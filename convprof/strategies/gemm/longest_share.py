"""Which register tiles and parts of the sums keep the busiest of many threads least busy.

A product with few register tiles for its threads is cut into smaller tiles. If that is not enough,
the sums are cut as well: parts are products of a batch, and a last stage adds their results.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.cycles import tile_cycles
from convprof.integers import ceil_div, even_block, round_up
from convprof.problems import Gemm
from convprof.strategies import launch, multiplying
from convprof.strategies.balance import FEW_THREADS
from convprof.strategies.gemm.blocked import (
    IN_PLACE,
    GemmBlocking,
    PartedBlocking,
    row_parts,
)
from convprof.strategies.sum_parts import EVEN, LEAST_STEPS, MOST_PARTS, WORTH, adding_cycles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.multiply import Multiply
    from convprof.strategies.base import Setting

MOST_STEPS = 512
"""Elements of a sum between loading and storing it."""
MOST_VECTORS = 4


def part(g: Gemm, parts: int) -> Gemm:
    """Return the batch of products that are the parts of the sums."""
    return Gemm(m=g.m, n=g.n, k=g.k // parts, batch=parts)


def quicker(g: Gemm, setting: Setting, first: GemmBlocking) -> GemmBlocking | None:
    """Return a better blocking than ``first`` for many threads; None if there is no better one."""
    if setting.threads <= FEW_THREADS or g.batch > 1 or setting.types.requantises:
        return None
    return _quicker(g, setting, first, launch.transfer_cycles())


@functools.lru_cache(maxsize=256)
def _quicker(
    g: Gemm, setting: Setting, first: GemmBlocking, transfer: float
) -> GemmBlocking | None:
    isa = isas.find(setting.isa)
    how = multiplying.of_gemm(g, setting.types, isa)
    cost = _Cost(setting, how, isa.lanes(setting.types.accumulator.bytes))
    usual = cost.shares(g, first)
    longest = float(usual.max())
    # interleaved rows of `b` are packed: tiles cannot read them in place
    if how.rows > 1 or g.k % how.k_group or usual.mean() >= EVEN * longest:
        return None
    best, cycles = None, WORTH * longest
    for blocking in _candidates(g, setting, isa, how):
        one, added = g, 0.0
        if blocking.parts > 1:
            one = part(g, blocking.parts)
            sums = ceil_div(g.m, setting.threads) * g.n * blocking.parts
            added = adding_cycles(sums, setting, transfer)
        needed = added + float(cost.shares(one, blocking).max())
        if needed < cycles:
            best, cycles = blocking, needed
    return best


def _candidates(g: Gemm, setting: Setting, isa: Isa, how: Multiply) -> Iterator[GemmBlocking]:
    """Yield tiles of all sizes, which read ``b`` in place, for whole sums and for parts."""
    types = setting.types
    lanes, whole = isa.lanes(types.accumulator.bytes), types.result == types.accumulator
    shapes = [
        (rows, vectors)
        for vectors in range(1, min(ceil_div(g.n, lanes), MOST_VECTORS) + 1)
        for rows in _heights(g.m, how.tile_rows(vectors, isa))
    ]
    for parts in _part_counts(g, setting, how.k_group):
        steps = g.k // parts
        kc = even_block(steps, MOST_STEPS) if whole or parts > 1 else steps
        for rows, vectors in shapes:
            size = (rows, vectors, rows, kc, vectors * lanes, IN_PLACE)
            yield PartedBlocking(*size, parts=parts) if parts > 1 else GemmBlocking(*size)


def _heights(m: int, tallest: int) -> Iterable[int]:
    """Return heights of tiles of about equal height, the tallest first."""
    return dict.fromkeys(even_block(m, most) for most in range(min(m, tallest), 0, -1))


def _part_counts(g: Gemm, setting: Setting, k_group: int) -> list[int]:
    """Return the numbers of parts to try, 1 first. Sums in parts are rounded once, at the end."""
    types = setting.types
    if g.epilogue and types.result != types.accumulator:
        return [1]
    most = min(MOST_PARTS, g.k // LEAST_STEPS, setting.threads)
    divisors = (count for count in range(2, most + 1) if g.k % (count * k_group) == 0)
    return [1, *divisors]


class _Cost:
    """Estimates of the core cycles of threads, for one type and instruction set."""

    def __init__(self, setting: Setting, how: Multiply, lanes: int) -> None:
        self._threads, self._how, self._lanes = setting.threads, how, lanes

    def shares(self, g: Gemm, blocking: GemmBlocking) -> NDArray[np.float64]:
        """Return the cycles of each thread: the units of ``BlockedProducts``, in their order."""
        nr = blocking.vectors * self._lanes
        parts = row_parts(g, nr, self._threads)
        tall = round_up(ceil_div(g.m, parts), blocking.rows)
        steps = ceil_div(g.k, self._how.k_group)

        @functools.cache
        def panel(height: int, vectors: int) -> float:
            """Return the cycles of the tiles down one panel."""
            rows = _blocks(height, blocking.rows)
            return float(tile_cycles(self._how.operations(rows, vectors), steps).sum())

        widths = [_blocks(width, nr) for width in _blocks(g.n, blocking.nc).tolist()]
        across = [ceil_div(each, self._lanes).tolist() for each in widths]
        heights = _blocks(g.m, tall).tolist()
        units = [
            sum(panel(height, vectors) for vectors in panels)
            for panels in across
            for height in heights
        ]
        before = np.concatenate([[0.0], np.cumsum(units * g.batch)])
        count = len(before) - 1
        edges = [count * member // self._threads for member in range(self._threads + 1)]
        shares: NDArray[np.float64] = np.diff(before[edges])
        return shares


def _blocks(extent: int, size: int) -> NDArray[np.int64]:
    """Return the sizes of blocks of at most ``size``; the last one has the rest."""
    return np.minimum(size, extent - np.arange(0, extent, size))
