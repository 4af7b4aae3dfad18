"""The blockings of Winograd's algorithm, and the cycles that a convolution takes by the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.kernels.winograd_matrices import algorithms
from convprof.integers import ceil_div, even_block, round_up
from convprof.strategies.conv.winograd_tiles import REACH, lengths, transformed
from convprof.strategies.conv.winograd_types import stage_types
from convprof.strategies.memory import l2_bytes, l3_bytes

if TYPE_CHECKING:
    from convprof.codegen.kernels.winograd_matrices import Algorithm
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting

BYTES_PER_CYCLE = 14
"""Bytes of filters from beyond L2 in the time of two vector operations, during products: 11 from
memory and 17 from L3 on a core whose operations of 512 bits take a cycle each (Zen 4)."""
CHAINED_BYTES_PER_CYCLE, CHAINED_SHARE = 9, 1 / 4
"""The same of a layer in a chain whose filters are over this share of the last-level cache: between
two runs all other layers have used the cache. 512 channels at 7x7 in int8, two threads: 0.23 ms
alone, 0.55 ms in a chain."""
MOST_TILES = 112
"""Tiles per block where filters exceed the cache: each read of a filter serves enough tiles."""
NEAR_FILTERS = 4
"""Filters of up to this multiple of the size of L2 come from L3 as fast as two register tiles need
them."""


@dataclass(frozen=True)
class WinogradBlocking:
    """The size of a tile, and of a block of tiles."""

    m: int
    """Outputs across a tile."""
    tiles: int
    """Tiles per block."""


def blockings(p: Conv2d, setting: Setting, direct: float) -> list[WinogradBlocking]:
    """Return the candidates of the algorithms that pay, or else of all: the fewest cycles first."""
    models = sorted(_models(p, setting), key=lambda model: model.cycles)
    paying = [model for model in models if model.pays(direct)]
    return [blocking for model in paying or models for blocking in model.blockings()]


def cycles(p: Conv2d, setting: Setting) -> float:
    """Estimate the core cycles of the fastest algorithm on one thread."""
    return min(model.cycles for model in _models(p, setting))


def pays(p: Conv2d, setting: Setting, direct: float) -> bool:
    """Whether any algorithm may be faster than ``direct``, the cycles of a direct convolution."""
    return any(model.pays(direct) for model in _models(p, setting))


def _models(p: Conv2d, setting: Setting) -> list[_Model]:
    return [_Model(p, setting, each) for each in algorithms(setting.types.accumulator).values()]


class _Model:
    """What F(m x m, 3 x 3) of one convolution executes and reads."""

    def __init__(self, p: Conv2d, setting: Setting, algorithm: Algorithm) -> None:
        isa, types = isas.find(setting.isa), stage_types(setting.types)
        self.p, self.threads, self.types = p, setting.threads, types.products
        self.alone = setting.alone
        self.multiply = multiply(self.types, isa)
        self.algorithm, m = algorithm, algorithm.m
        self.elements = self.algorithm.size**2
        self.tiles = p.n * ceil_div(p.p, m) * ceil_div(p.q, m)
        lanes = isa.lanes(self.types.result.bytes)
        self.across_c = ceil_div(p.c, isa.lanes(types.transform_in.result.bytes))
        self.across_k = ceil_div(p.k, lanes)
        self.vectors = min(2, self.across_k)
        self.rows = self.multiply.tile_rows(self.vectors, isa)
        used = math.prod(max(lengths(extent, algorithm)) + REACH for extent in (p.p, p.q))
        self.filters = used * p.c * round_up(p.k, lanes) * self.types.weights.bytes
        """Bytes of the transformed filters that the tiles use."""

    def blockings(self) -> list[WinogradBlocking]:
        """Return the blocks at which reused data stays in L2, half and twice of it."""
        p, rows = self.p, self.rows
        tile = self.elements * (p.c * self.types.source.bytes + p.k * self.types.result.bytes)
        fitting = l2_bytes() // 2 // tile // rows * rows
        if not self.filters_are_far:
            most = self.threads * max(rows, fitting)
        elif self.filters <= NEAR_FILTERS * l2_bytes():
            most = min(MOST_TILES, self.threads * max(2 * rows, fitting))
        else:
            most = MOST_TILES
        sizes = (most, max(rows, most // 2), 2 * most)
        m = self.algorithm.m
        return [WinogradBlocking(m, even_block(self.tiles, size)) for size in sizes]

    @property
    def filters_are_far(self) -> bool:
        """Whether the filters come from beyond L2."""
        return self.filters > l2_bytes() // 2

    def pays(self, direct: float) -> bool:
        """Whether a timed search may try the algorithm: it repeats a layer, with filters in cache.

        So the model decides where a chain evicts the filters.
        """
        return not self.filters_are_evicted or self.cycles < direct

    @property
    def filters_are_evicted(self) -> bool:
        """Whether the other layers of a chain evict the filters from the last-level cache."""
        far = self.filters_are_far and self.filters > CHAINED_SHARE * l3_bytes()
        return far and not self.alone

    @cached_property
    def cycles(self) -> float:
        """Products at two operations a cycle, and the transforms."""
        across = self.across_c + self.across_k
        transforms = self.tiles * self.algorithm.transform_cycles / 2 * across
        if not self.filters_are_far:
            return self._product_cycles + transforms
        # Every block of tiles reads the filters, and the products wait for them.
        reads = ceil_div(self.tiles, MOST_TILES)
        rate = CHAINED_BYTES_PER_CYCLE if self.filters_are_evicted else BYTES_PER_CYCLE
        return max(self._product_cycles, reads * self.filters / rate) + transforms

    @property
    def _product_cycles(self) -> float:
        """Cycles of the register tiles, operands in cache."""
        rows, vectors = self.rows, self.vectors
        operations = self.multiply.operations_of_product(rows, vectors)
        calls = self.elements * ceil_div(self.tiles, rows) * ceil_div(self.across_k, vectors)
        products = transformed(self.p, self.algorithm) * self.p.c * self.across_k * operations
        return products / 2 + calls * CALL_CYCLES
