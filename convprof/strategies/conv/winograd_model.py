"""The blockings of Winograd's algorithm, and the cycles that a convolution takes by the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from convprof.codegen import isa as isas
from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.kernels.winograd_matrices import input_operations, output_operations
from convprof.codegen.kernels.winograd_tables import axes
from convprof.integers import ceil_div, even_block, round_up
from convprof.strategies.conv.winograd_tiles import elements, transformed
from convprof.strategies.conv.winograd_types import input_lanes
from convprof.strategies.memory import l2_bytes, l3_bytes

if TYPE_CHECKING:
    from convprof.codegen.kernels.winograd_matrices import Axes
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.winograd_types import StageTypes

BYTES_PER_CYCLE = 14
"""Bytes of filters from beyond L2 in the time of two vector operations, during products: 11 from
memory and 17 from L3 on a core whose operations of 512 bits take a cycle each (Zen 4)."""
CHAINED_BYTES_PER_CYCLE, CHAINED_SHARE = 9, 1 / 4
"""The same of a layer in a chain whose filters are over this share of the last-level cache: between
two runs all other layers have used the cache. 512 channels at 7x7 in int8, two threads: 0.23 ms
alone, 0.55 ms in a chain."""
MOST_TILES = 112
"""Tiles per block where filters exceed the cache: each read of a filter serves enough tiles."""
OPERATION_CYCLES, TRANSFORM_CYCLES = 0.45, 12
"""Cycles of a transform of a vector of channels: of each load, addition and store, and once."""
NARROW_SHARE = 1 / 2
"""The part of these cycles that vectors of half the width or less take: CPUs have more units for
them, and store more of them a cycle (3 channels of f32 on Zen 4: 325 cycles instead of 690)."""
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


def blockings(
    p: Conv2d, setting: Setting, stages: StageTypes, direct: float
) -> list[WinogradBlocking]:
    """Return the candidates of the algorithms that pay, or else of all: the fewest cycles first."""
    models = sorted(_models(p, setting, stages), key=lambda model: model.cycles)
    paying = [model for model in models if model.pays(direct)]
    return [blocking for model in paying or models for blocking in model.blockings()]


def cycles(p: Conv2d, setting: Setting, stages: StageTypes) -> float:
    """Estimate the core cycles of the fastest algorithm on one thread."""
    return min(model.cycles for model in _models(p, setting, stages))


def pays(p: Conv2d, setting: Setting, stages: StageTypes, direct: float) -> bool:
    """Whether any algorithm may be faster than ``direct``, the cycles of a direct convolution."""
    return any(model.pays(direct) for model in _models(p, setting, stages))


def _models(p: Conv2d, setting: Setting, stages: StageTypes) -> list[_Model]:
    of = axes(setting.types.accumulator, (p.r, p.s), p.stride).values()
    fitting = (both for both in of if not stages.rounds or all(each.is_unit for each in both))
    return [_Model(p, setting, stages, each) for each in fitting]


class _Model:
    """What the algorithms of one m execute and read for one convolution."""

    def __init__(self, p: Conv2d, setting: Setting, types: StageTypes, both: Axes) -> None:
        isa = isas.find(setting.isa)
        self.p, self.threads, self.types = p, setting.threads, types.products
        self.alone = setting.alone
        self.multiply = multiply(self.types, isa, rows=1)
        self.axes, self.m = both, both[0].m
        self.elements = math.prod(each.elements for each in both)
        self.frequencies = math.prod(each.size for each in both)
        self.tiles = p.n * ceil_div(p.p, self.m) * ceil_div(p.q, self.m)
        lanes = isa.lanes(self.types.result.bytes)
        wide = isa.lanes(types.transform_in.accumulator.bytes)
        self.across_c = ceil_div(p.c, wide)
        self.narrow = input_lanes(setting.types, isa, p.c) < wide
        self.across_k = ceil_div(p.k, lanes)
        self.vectors = min(2, self.across_k)
        self.rows = self.multiply.tile_rows(self.vectors, isa)
        extents = zip((p.p, p.q), both, strict=True)
        used = math.prod(max(elements(*each)) for each in extents)
        self.filters = used * p.c * round_up(p.k, lanes) * self.types.weights.bytes
        """Bytes of the transformed filters that the tiles use."""

    def blockings(self) -> list[WinogradBlocking]:
        """Return the blocks at which reused data stays in L2, half and twice of it."""
        p, rows = self.p, self.rows
        tile = self.elements * p.c * self.types.source.bytes
        tile += self.frequencies * p.k * self.types.result.bytes
        fitting = l2_bytes() // 2 // tile // rows * rows
        if not self.filters_are_far:
            most = self.threads * max(rows, fitting)
        elif self.filters <= NEAR_FILTERS * l2_bytes():
            most = min(MOST_TILES, self.threads * max(2 * rows, fitting))
        else:
            most = MOST_TILES
        sizes = (most, max(rows, most // 2), 2 * most)
        return [WinogradBlocking(self.m, even_block(self.tiles, size)) for size in sizes]

    @property
    def filters_are_far(self) -> bool:
        """Whether the filters come from beyond L2."""
        return self.filters > l2_bytes() // 2

    def pays(self, direct: float) -> bool:
        """Whether a timed search may try the algorithm: it repeats a layer, with filters in cache.

        So the model decides where a chain evicts the filters. With a stride, phases save less than
        half of the products, as much as an instruction for pairs of short elements does: the model
        is exact enough not to time what cannot be faster.
        """
        decides = self.filters_are_evicted or self.p.stride != (1, 1)
        return not decides or self.cycles < direct

    @property
    def filters_are_evicted(self) -> bool:
        """Whether the other layers of a chain evict the filters from the last-level cache."""
        far = self.filters_are_far and self.filters > CHAINED_SHARE * l3_bytes()
        return far and not self.alone

    @cached_property
    def cycles(self) -> float:
        """Products at two operations a cycle, and the transforms."""
        into, back = self._transform_cycles
        transforms = self.tiles * (into * self.across_c + back * self.across_k)
        if not self.filters_are_far:
            return self._product_cycles + transforms
        # Every block of tiles reads the filters, and the products wait for them.
        reads = ceil_div(self.tiles, MOST_TILES)
        rate = CHAINED_BYTES_PER_CYCLE if self.filters_are_evicted else BYTES_PER_CYCLE
        return max(self._product_cycles, reads * self.filters / rate) + transforms

    @property
    def _transform_cycles(self) -> tuple[float, float]:
        """Cycles of the transforms of a tile, in and out, of a vector of channels."""
        down, across = self.axes
        if down == across and down.transform_cycles is not None and down.stride == 1:
            return down.transform_cycles / 2, down.transform_cycles / 2
        into, back = (
            OPERATION_CYCLES * sum(operations) + TRANSFORM_CYCLES
            for operations in (input_operations(*self.axes), output_operations(*self.axes))
        )
        return into * (NARROW_SHARE if self.narrow else 1), back

    @property
    def _product_cycles(self) -> float:
        """Cycles of the register tiles, operands in cache."""
        rows, vectors = self.rows, self.vectors
        operations = self.multiply.operations_of_product(rows, vectors)
        calls = self.frequencies * ceil_div(self.tiles, rows) * ceil_div(self.across_k, vectors)
        products = transformed(self.p, self.axes) * self.p.c * self.across_k * operations
        return products / 2 + calls * CALL_CYCLES
