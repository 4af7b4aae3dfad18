"""Winograd's algorithm for 3x3 filters of stride 1: fewer multiplications, more additions.

Removes the limit of every direct algorithm, one multiply-add per filter tap: F(4x4, 3x3) needs 36
products for 16 outputs instead of 144, F(6x6, 3x3) 64 for 36 instead of 324 (Lavin & Gray 2016).
Tiles are transformed block by block, so that the transformed block stays in the cache; the products
run on the register tiles of ``microkernel``. The price is rounding: errors of floats are 10 to 40
times as large as in a direct sum (``dtypes.GROWTH``). Bytes are computed exactly.
"""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.kernels.winograd import InputTransform, OutputTransform
from convprof.codegen.kernels.winograd_matrices import algorithm, algorithms
from convprof.codegen.tile_list import TileKernel, TileList, kernel, runner_address
from convprof.dtypes import PRODUCTS
from convprof.integers import ceil_div, round_up
from convprof.problems import Conv2d
from convprof.problems.requantisation import ZERO_POINTS
from convprof.strategies import epilogue, requantised
from convprof.strategies.conv import winograd_model
from convprof.strategies.conv.dense_tiles import FETCH_ROWS
from convprof.strategies.conv.fetching import Fetching
from convprof.strategies.conv.microkernel import Microkernel
from convprof.strategies.conv.nhwc import add_late, in_tiles, nhwc_plan
from convprof.strategies.conv.winograd_model import WinogradBlocking
from convprof.strategies.conv.winograd_tiles import REACH, BlockForm, in_order, tiles_of
from convprof.strategies.conv.winograd_types import most_channels, note, stage_types
from convprof.strategies.memory import l2_bytes, unaliased
from convprof.strategies.plan import Buffer, Native, Packed, Stage, shared
from convprof.strategies.plan_runner import UNINTERRUPTED_MACS
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.codegen.kernels.winograd_matrices import Algorithm
    from convprof.dtypes import DType
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.winograd_tiles import WinogradTile
    from convprof.strategies.plan import Plan

    Array = np.ndarray[Any, Any]

FILTERS, SPECTRUM, MULTIPLIED = "filters", "spectrum", "products"
FILTER_CHANNELS = 64
"""Input channels whose filters are transformed at a time: 1 MB in float64 with 32 outputs and 64
frequencies."""


class WinogradBlocks:
    """The stages of one convolution, block of tiles by block of tiles, in NHWC."""

    def __init__(self, p: Conv2d, setting: Setting, blocking: WinogradBlocking) -> None:
        self.p = p
        self.types = setting.types
        self.stage_types = stage_types(setting.types)
        self.threads = setting.threads
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.most = blocking.tiles
        self.algorithm = algorithms(self.types.accumulator)[blocking.m]
        self.elements = self.algorithm.size**2
        self.tiles = tiles_of(p, self.algorithm)
        self.multiply = multiply(self.stage_types.products, self.isa)
        self.depth = round_up(p.c, self.multiply.k_group)
        """Channels of a transformed tile in memory: whole groups of an instruction. No transform
        writes the elements after the last channel; the products multiply these by zeros."""
        self.width = round_up(p.k, self.lanes)
        self.vectors = min(2, self.width // self.lanes)
        rows, products = self.multiply.tile_rows(self.vectors, self.isa), self.stage_types.products
        self.tall = unaliased(rows, self.depth * products.source.bytes)
        self.transformed = _apart(self.most * self.depth, products.source)
        """Elements from one frequency of a transformed block to the next."""
        self.multiplied = _apart(self.most * p.k, products.result)
        """Elements from one frequency of its products to the next."""
        size = self.depth * self.width
        self.filters = Buffer((self.elements, size), products.weights)
        self.by_rows = self.filters.nbytes <= l2_bytes() // 2
        """Whether threads share out tiles (filters fit the cache) or frequencies (filters do
        not)."""

    def stages(self, source: str, target: str) -> list[Stage]:
        """Return the three stages of every block."""
        stages = []
        key = (self.p, self.isa, self.types, self.most, self.algorithm.m, self.threads)
        padding = ZERO_POINTS if self.types.requantises else FILTERS
        last = epilogue.buffers(self.p.epilogue, (MULTIPLIED, FILTERS, target), self.types)
        for first in range(0, len(self.tiles), self.most):
            block = in_order(self.tiles[first : first + self.most], self.algorithm.m)
            form = BlockForm.of(block, self.algorithm.m)
            for phase, make, which, buffers in (
                ("transform in", partial(self._inputs, block), first, (source, padding, SPECTRUM)),
                ("products", partial(self._products, form), form, self._factors()),
                ("transform out", partial(self._outputs, block), first, last),
            ):
                tile_list = shared((phase, which, *key), make)
                dims = tile_list.dims()
                native = Native(runner_address(len(buffers)), tile_list)
                stages.append(
                    Stage(
                        phase,
                        native,
                        int(dims[0]),
                        buffers,
                        dims,
                        static_schedule=True,
                        work_fraction=len(block) / len(self.tiles),
                    )
                )
        return stages

    def workspaces(self) -> dict[str, Buffer]:
        """Return the transformed block before and after the products."""
        types = self.stage_types.products
        return {
            SPECTRUM: Buffer((self.elements, self.transformed), types.source),
            MULTIPLIED: Buffer((self.elements, self.multiplied), types.result),
        }

    def packed(self) -> Packed:
        """Return the packing of the filters: transformed, per frequency and panel of channels.

        Some filters at a time, which stay in the cache. Their taps are the rows of a matrix; the
        matrix of both passes of the transform is multiplied with it in float64, and the product is
        written to the panel.
        """
        p, group = self.p, self.multiply.k_group
        placements = list(itertools.product(self._panels(), range(0, p.c, FILTER_CHANNELS)))

        def fill(target: Array, w: Array) -> None:
            both = np.kron(self.algorithm.g, self.algorithm.g)
            by_tap = w.transpose(2, 3, 1, 0)
            for (k, vectors), c in placements:
                wide = vectors * self.lanes
                taps = by_tap[:, :, c : c + FILTER_CHANNELS, k : k + wide].astype(np.float64, "C")
                deep, columns = taps.shape[2:]
                transformed = np.matmul(both, taps.reshape(len(both[0]), -1))
                transformed = transformed.reshape(-1, deep, columns)
                start, size = self.depth * k + c * wide, round_up(deep, group) * wide
                panel = target[:, start : start + size].reshape(self.elements, -1, wide, group)
                for one in range(group):
                    channels = transformed[:, one::group]
                    panel[:, : channels.shape[1], :columns, one] = channels

        return Packed(self.filters, fill, into=True)

    def executed_flops(self) -> int:
        """Return the FLOPs of the products and, by their additions, of the transforms."""
        return sum(
            count * self._flops(*(algorithm(each, self.types.accumulator) for each in m))
            for m, count in Counter(tile.m for tile in self.tiles).items()
        )

    def _flops(self, down: Algorithm, across: Algorithm) -> int:
        """Return the FLOPs of a tile."""
        c, k = self.p.c, self.p.k
        products = 2 * down.size * across.size * c * k
        inputs = down.input_additions * across.size + across.input_additions * down.size
        outputs = down.output_additions * across.size + across.output_additions * down.m
        return products + inputs * c + outputs * k

    def _panels(self) -> list[tuple[int, int]]:
        """Return first column and number of vectors of every panel of output channels."""
        across = self.width // self.lanes
        return [
            (v * self.lanes, min(self.vectors, across - v)) for v in range(0, across, self.vectors)
        ]

    def _inputs(self, block: list[WinogradTile]) -> TileList:
        p, tile_list = self.p, TileList()
        types = self.stage_types.transform_in
        top, left, _, _ = p.pads
        for number, (image, i, j, m) in enumerate(block):
            y, x = i - top, j - left
            high, wide = (each + REACH for each in m)
            transform = InputTransform(
                types=types,
                lanes=self.isa.lanes(types.accumulator.bytes),
                m=m,
                rows=(max(0, -y), max(0, min(high, p.h - y))),
                columns=(max(0, -x), max(0, min(wide, p.w - x))),
                row=p.w * p.c,
                pixel=p.c,
                channels=p.c,
                frequency=self.transformed,
                reads_padding=self.types.requantises,
                fused=self.isa.fused,
            )
            tile_list.task()
            where = ((image * p.h + y) * p.w + x) * p.c
            tile_list.add(kernel(transform, self.isa), where, 0, number * self.depth)
        return tile_list

    def _outputs(self, block: list[WinogradTile]) -> TileList:
        p, tile_list = self.p, TileList()
        for number, (image, i, j, m) in enumerate(block):
            transform = OutputTransform(
                types=self.stage_types.transform_out,
                lanes=self.lanes,
                m=m,
                rows=min(m[0], p.p - i),
                columns=min(m[1], p.q - j),
                row=p.q * p.k,
                pixel=p.k,
                channels=p.k,
                frequency=self.multiplied,
                fused=self.isa.fused,
                epilogue=p.epilogue,
            )
            tile_list.task()
            where = ((image * p.p + i) * p.q + j) * p.k
            ends = epilogue.offsets(p.epilogue, self.types, 0, where)
            more = (0, *ends) if ends else ()
            tile_list.add(kernel(transform, self.isa), number * p.k, 0, where, *more)
        return tile_list

    def _factors(self) -> tuple[str, ...]:
        """Return the buffers of the products; a fourth buffer is for tiles that fetch filters."""
        return (SPECTRUM, FILTERS, MULTIPLIED, *([] if self.by_rows else [FILTERS]))

    def _products(self, form: BlockForm) -> TileList:
        """Return the product of every frequency, in the order of tiles or of frequencies.

        Of several threads each has an equal share of the register tiles.
        """
        tile_list = TileList()
        sharing = self._sharing(form)
        if self.by_rows:
            by_row = [(row, f) for tiles, f in sharing.items() for row in self._parts(tiles)]
            tasks = [([row], f) for row, f in sorted(by_row, key=lambda each: each[0])]
        else:
            alone = sorted((f, self._parts(tiles)) for tiles, each in sharing.items() for f in each)
            tasks = [(rows, [f]) for f, rows in alone]
        for rows, frequencies in tasks:
            tile_list.task()
            self._add_products(tile_list, np.array(frequencies), rows)
        if self.threads > 1:
            transformed = sum(len(tiles) * len(each) for tiles, each in sharing.items())
            macs = transformed * self.p.c * self.p.k
            tile_list.share_out(ceil_div(macs, UNINTERRUPTED_MACS) * self.threads)
        return tile_list

    def _sharing(self, form: BlockForm) -> dict[range, list[int]]:
        """Return the frequencies that the same tiles of a block have."""
        narrower = self.algorithm.narrower
        left_out = narrower.left_out if narrower else None
        sharing: dict[range, list[int]] = {}
        for f in range(self.elements):
            down, across = (place == left_out for place in divmod(f, self.algorithm.size))
            tiles = form.rows(down=down, across=across)
            if tiles:
                sharing.setdefault(tiles, []).append(f)
        return sharing

    def _parts(self, tiles: range) -> list[tuple[int, int]]:
        """Return the first and last + 1 tile of equal parts that fit a register tile."""
        parts = ceil_div(len(tiles), self.tall)
        edges = [tiles.start + len(tiles) * k // parts for k in range(parts + 1)]
        return list(itertools.pairwise(edges))

    def _add_products(self, tiles: TileList, f: Array, rows: list[tuple[int, int]]) -> None:
        """Add the products of frequencies ``f``: for each all panels, for each panel all rows."""
        p, panels, depth = self.p, self._panels(), self.depth
        steps = depth // self.multiply.k_group
        kernels: list[TileKernel] = []
        ahead: list[int] = []
        for k, vectors in panels:
            size = depth * vectors * self.lanes
            fetching = Fetching(size, (rows[-1][1] - rows[0][0]) * steps)
            fetching.begin(size, size)  # the panels of all frequencies are contiguous
            for first, last in rows:
                fetched = 0 if self.by_rows else fetching.each_step(last - first)
                kernels.append(self._product(last - first, k, vectors, fetched))
                ahead += fetching.take(1, fetched * steps).tolist()
        column = np.repeat([k for k, _ in panels], len(rows))
        image = np.tile([first for first, _ in rows], len(panels))
        b = (f[..., None] * self.width + column) * depth
        fourth = [] if self.by_rows else [b + np.array(ahead)]
        a = f[..., None] * self.transformed + image * depth
        c = f[..., None] * self.multiplied + image * p.k + column
        tiles.add_each(kernels, a, b, c, *fourth)

    def _product(self, rows: int, k: int, vectors: int, fetched: int) -> TileKernel:
        """Return the product of some tiles and a panel of output channels."""
        p, group = self.p, self.multiply.k_group
        tile = Tile(
            types=self.stage_types.products,
            lanes=self.lanes,
            rows=tuple(i * self.depth for i in range(rows)),
            segments=((0, 0),),
            run=self.depth // group,
            a_step=group,
            multiply=self.multiply,
            vectors=vectors,
            b_row=vectors * self.lanes * group,
            c_rows=tuple(i * p.k for i in range(rows)),
            columns=min(vectors * self.lanes, p.k - k),
            fused=self.isa.fused,
            fetch_rows=0 if self.by_rows else FETCH_ROWS,
            fetch_row=fetched,
        )
        return kernel(tile, self.isa)


class Winograd(Tunable[Conv2d, WinogradBlocking]):
    """F(2x2, 3x3), F(4x4, 3x3) or F(6x6, 3x3)."""

    name = "winograd"
    kind = "conv2d"
    summary = "F(2x2, 3x3) to F(6x6, 3x3): a half to a fifth of the multiplications"
    parallel = True
    generated = True
    fuses = True
    dtypes: tuple[str, ...] = PRODUCTS

    def pays(self, problem: Conv2d, setting: Setting) -> bool:
        """Whether an algorithm may be faster than direct tiles."""
        return winograd_model.pays(problem, setting, _direct_cycles(problem, setting))

    def why_not(self, p: Conv2d, setting: Setting) -> str | None:
        """Refuse all but dense 3x3 filters of stride 1 without groups."""
        reason = super().why_not(p, setting)
        if reason is not None:
            return reason
        got = f"{p.r}x{p.s} stride {_spelled(p.stride)}"
        if (p.r, p.s) != (3, 3) or p.stride != (1, 1):
            return f"{self.name} needs a 3x3 stride-1 filter; got {got}"
        if p.dilation != (1, 1):
            return f"{self.name} needs a dense filter; got dilation {_spelled(p.dilation)}"
        if p.groups != 1:
            return f"{self.name} needs a convolution without groups; got {p.groups} groups"
        most = most_channels(setting.types)
        if most is not None and p.c > most:
            exact = f"{self.name} is exact in {setting.type_name} up to {most:,} input channels"
            return f"{exact}; got {p.c:,}"
        return None

    def blockings(self, p: Conv2d, setting: Setting) -> list[WinogradBlocking]:
        """Return algorithms and block sizes to try, the model's choice first."""
        return distinct(winograd_model.blockings(p, setting, _direct_cycles(p, setting)))

    def cycles(self, p: Conv2d, setting: Setting) -> float:
        """Estimate the products and the transforms."""
        return winograd_model.cycles(p, setting)

    def plan_blocked(self, p: Conv2d, setting: Setting, blocking: WinogradBlocking) -> Plan:
        """Transform, multiply and transform back, block by block."""
        blocks = WinogradBlocks(in_tiles(p, setting.layout, setting.types), setting, blocking)
        plan = nhwc_plan(p, setting, blocks.stages)
        plan.packed[FILTERS] = blocks.packed()
        plan.packed |= requantised.packed(p, setting.types)
        plan.workspaces |= blocks.workspaces()
        plan.lendable_workspaces = frozenset(plan.workspaces)
        plan.executed_flops = blocks.executed_flops() + epilogue.flops(p)
        plan.note = note(setting.types)
        add_late(plan, p, setting)
        return plan


def _direct_cycles(p: Conv2d, setting: Setting) -> float:
    return Microkernel().cycles(p, setting)


def _apart(elements: int, dtype: DType) -> int:
    """Return at least ``elements``: an odd number of lines, so that no rows share a set of L1."""
    line = LINE_BYTES // dtype.bytes
    return (ceil_div(elements, line) | 1) * line


def _spelled(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
