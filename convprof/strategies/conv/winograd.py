"""Winograd's algorithm: fewer multiplications, more additions.

Removes the limit of every direct algorithm, one multiply-add per filter tap: F(4x4, 3x3) needs 36
products for 16 outputs instead of 144, F(6x6, 3x3) 64 for 36 instead of 324 (Lavin & Gray 2016).
With a stride of 2, a 3x3 filter is four filters of 2x2, 2x1, 1x2 and 1x1 taps, each over every
second row and column: 81 products for 16 outputs instead of 144 (``kernels.winograd_matrices``).
Tiles are transformed block by block, so that the transformed block stays in the cache; the products
run on the register tiles of ``microkernel``. The price is rounding: errors of floats are 10 to 40
times as large as in a direct sum (``dtypes.GROWTH``). Bytes are computed exactly.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.kernels.winograd import InputTransform, OutputTransform
from convprof.codegen.kernels.winograd_matrices import input_operations, output_operations
from convprof.codegen.kernels.winograd_tables import MOST_TAPS, axes
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
from convprof.strategies.conv.winograd_filters import Filters, Panels
from convprof.strategies.conv.winograd_model import WinogradBlocking
from convprof.strategies.conv.winograd_tiles import BlockForm, in_order, tiles_of
from convprof.strategies.conv.winograd_types import input_lanes, most_channels, note, stage_types
from convprof.strategies.memory import l2_bytes, unaliased
from convprof.strategies.plan import Buffer, Native, Stage, shared
from convprof.strategies.plan_runner import UNINTERRUPTED_MACS
from convprof.strategies.tuning.tunable import Tunable, distinct

if TYPE_CHECKING:
    from convprof.codegen.kernels.winograd_matrices import Axes
    from convprof.dtypes import DType, Types
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.winograd_tiles import WinogradTile
    from convprof.strategies.conv.winograd_types import StageTypes
    from convprof.strategies.plan import Packed, Plan

    Array = np.ndarray[Any, Any]

FILTERS, SPECTRUM, MULTIPLIED = "filters", "spectrum", "products"
MOST_STRIDE = 4
"""A transform has the code of stride^2 phases."""


class WinogradBlocks:
    """The stages of one convolution, block of tiles by block of tiles, in NHWC."""

    def __init__(
        self,
        p: Conv2d,
        setting: Setting,
        blocking: WinogradBlocking,
        stages: StageTypes | None = None,
    ) -> None:
        self.p = p
        self.types = setting.types
        self.stage_types = stages or stage_types(setting.types)
        self.threads = setting.threads
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.most = blocking.tiles
        self.m = blocking.m
        self.axes = axes(self.types.accumulator, (p.r, p.s), p.stride)[self.m]
        self.frequencies = math.prod(each.size for each in self.axes)
        self.tiles = tiles_of(p, self.axes)
        products = self.stage_types.products
        self.multiply = multiply(products, self.isa, rows=1)  # no instruction for two rows
        width = round_up(p.k, self.lanes)
        self.panels = Panels(self.lanes, min(2, width // self.lanes), width)
        self.filters = Filters(p, self.axes, self.panels, self.multiply, products.weights)
        self.depth = self.filters.depth
        """Channels of a phase of a transformed tile in memory. No transform writes the elements
        after the last channel; the products multiply these by zeros."""
        rows = self.multiply.tile_rows(self.panels.vectors, self.isa)
        self.row = max(self.filters.phases.values()) * self.depth
        """Elements from one tile to the next of a frequency of a transformed block."""
        self.tall = unaliased(rows, self.row * products.source.bytes)
        self.transformed = _apart(self.most * self.row, products.source)
        """Elements from one frequency of a transformed block to the next."""
        self.multiplied = _apart(self.most * p.k, products.result)
        """Elements from one frequency of its products to the next."""
        self.by_rows = self.filters.buffer.nbytes <= l2_bytes() // 2
        """Whether threads share out tiles (filters fit the cache) or frequencies (filters do
        not)."""

    def stages(self, source: str, target: str) -> list[Stage]:
        """Return the three stages of every block."""
        stages = []
        key = (self.p, self.isa, self.types, self.stage_types, self.most, self.m, self.threads)
        padding = ZERO_POINTS if self.types.requantises else FILTERS
        last = epilogue.buffers(self.p.epilogue, (MULTIPLIED, FILTERS, target), self.types)
        for first in range(0, len(self.tiles), self.most):
            block = in_order(self.tiles[first : first + self.most], self.m)
            form = BlockForm.of(block, self.m)
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
            SPECTRUM: Buffer((self.frequencies, self.transformed), types.source),
            MULTIPLIED: Buffer((self.frequencies, self.multiplied), types.result),
        }

    def kept(self) -> frozenset[str]:
        """Return the workspaces with elements that stay zero because no transform writes them.

        They are multiplied by zeros. With other numbers in them the products of floats may be NaN.
        """
        whole = self.depth == self.p.c or self.stage_types.products.source.is_exact
        return frozenset() if whole else frozenset({SPECTRUM})

    def packed(self) -> Packed:
        """Return the packing of the filters."""
        return self.filters.packed()

    def executed_flops(self) -> int:
        """Return the FLOPs of the products and, by their additions, of the transforms."""
        return sum(
            count * self._flops(self._axes_of(m))
            for m, count in Counter(tile.m for tile in self.tiles).items()
        )

    def _axes_of(self, m: tuple[int, int]) -> Axes:
        """Return the algorithms of a tile, whole or narrower."""
        down, across = (
            own if own.m == length or own.narrower is None else own.narrower
            for own, length in zip(self.axes, m, strict=True)
        )
        return down, across

    def _flops(self, tile: Axes) -> int:
        """Return the FLOPs of a tile."""
        c, k = self.p.c, self.p.k
        products = 2 * math.prod(each.elements for each in tile) * c * k
        return products + input_operations(*tile)[0] * c + output_operations(*tile)[0] * k

    def _inputs(self, block: list[WinogradTile]) -> TileList:
        p, tile_list = self.p, TileList()
        types, lanes = self.stage_types.transform_in, input_lanes(self.types, self.isa, p.c)
        top, left, _, _ = p.pads
        for number, (image, i, j, m) in enumerate(block):
            y, x = i * p.stride[0] - top, j * p.stride[1] - left
            high, wide = (each.inputs for each in self._axes_of(m))
            transform = InputTransform(
                types=types,
                lanes=lanes,
                m=m,
                rows=(max(0, -y), max(0, min(high, p.h - y))),
                columns=(max(0, -x), max(0, min(wide, p.w - x))),
                row=p.w * p.c,
                pixel=p.c,
                channels=p.c,
                frequency=self.transformed,
                filters=(p.r, p.s),
                stride=p.stride,
                whole=self.m,
                phase=self.depth,
                reads_padding=self.types.requantises,
                fused=self.isa.fused,
            )
            tile_list.task()
            where = ((image * p.h + y) * p.w + x) * p.c
            tile_list.add(kernel(transform, self.isa), where, 0, number * self.row)
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
                filters=(p.r, p.s),
                stride=p.stride,
                whole=self.m,
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
            by_row = [
                (row, phases, f)
                for (tiles, phases), f in sharing.items()
                for row in self._parts(tiles)
            ]
            by_row.sort(key=lambda each: each[0])
            tasks = [([row], phases, f) for row, phases, f in by_row]
        else:
            place = {
                f: (self._parts(tiles), n, [f]) for (tiles, n), own in sharing.items() for f in own
            }
            tasks = [place[f] for f in self.filters.phases if f in place]
        for rows, phases, frequencies in tasks:
            tile_list.task()
            self._add_products(tile_list, frequencies, phases, rows)
        if self.threads > 1:
            transformed = sum(
                len(tiles) * phases * len(f) for (tiles, phases), f in sharing.items()
            )
            macs = transformed * self.p.c * self.p.k
            tile_list.share_out(ceil_div(macs, UNINTERRUPTED_MACS) * self.threads)
        return tile_list

    def _sharing(self, form: BlockForm) -> dict[tuple[range, int], list[int]]:
        """Return the frequencies that have the same tiles of a block and as many phases."""
        left_out = [each.narrower.left_out if each.narrower else None for each in self.axes]
        sharing: dict[tuple[range, int], list[int]] = {}
        for f in range(self.frequencies):
            places = zip(divmod(f, self.axes[1].size), left_out, strict=True)
            down, across = (place == missing for place, missing in places)
            tiles = form.rows(down=down, across=across)
            if tiles:
                sharing.setdefault((tiles, self.filters.phases[f]), []).append(f)
        return sharing

    def _parts(self, tiles: range) -> list[tuple[int, int]]:
        """Return the first and last + 1 tile of equal parts that fit a register tile."""
        parts = ceil_div(len(tiles), self.tall)
        edges = [tiles.start + len(tiles) * k // parts for k in range(parts + 1)]
        return list(itertools.pairwise(edges))

    def _add_products(
        self, tiles: TileList, frequencies: list[int], phases: int, rows: list[tuple[int, int]]
    ) -> None:
        """Add the products of some frequencies: for each all panels, for each panel all rows."""
        p, panels, depth = self.p, self.panels.each(), phases * self.depth
        steps = depth // self.multiply.k_group
        kernels: list[TileKernel] = []
        ahead: list[int] = []
        for k, vectors in panels:
            size = depth * vectors * self.lanes
            fetching = Fetching(size, (rows[-1][1] - rows[0][0]) * steps)
            fetching.begin(size, size)  # the panels of all frequencies are contiguous
            for first, last in rows:
                fetched = 0 if self.by_rows else fetching.each_step(last - first)
                kernels.append(self._product(last - first, k, vectors, phases, fetched))
                ahead += fetching.take(1, fetched * steps).tolist()
        f = np.array(frequencies)[:, None]
        starts = np.array([self.filters.starts[each] for each in frequencies])[:, None]
        column = np.repeat([k for k, _ in panels], len(rows))
        image = np.tile([first for first, _ in rows], len(panels))
        b = starts * self.panels.width * self.depth + column * depth
        fourth = [] if self.by_rows else [b + np.array(ahead)]
        a = f * self.transformed + image * self.row
        c = f * self.multiplied + image * p.k + column
        tiles.add_each(kernels, a, b, c, *fourth)

    def _product(self, rows: int, k: int, vectors: int, phases: int, fetched: int) -> TileKernel:
        """Return the product of some tiles and a panel of output channels."""
        p, group = self.p, self.multiply.k_group
        tile = Tile(
            types=self.stage_types.products,
            lanes=self.lanes,
            rows=tuple(i * self.row for i in range(rows)),
            segments=((0, 0),),
            run=phases * self.depth // group,
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
    """F(m x m, taps) with the m that suits the problem."""

    name = "winograd"
    kind = "conv2d"
    summary = "F(2x2, 3x3) to F(6x6, 3x3), also with strides: 1/5 to 2/3 of the products"
    parallel = True
    generated = True
    fuses = True
    dtypes: tuple[str, ...] = PRODUCTS

    def stages(self, types: Types) -> StageTypes:
        """Return the types of each stage."""
        return stage_types(types)

    def pays(self, problem: Conv2d, setting: Setting) -> bool:
        """Whether an algorithm may be faster than direct tiles."""
        stages, direct = self.stages(setting.types), _direct_cycles(problem, setting)
        return winograd_model.pays(problem, setting, stages, direct)

    def why_not(self, p: Conv2d, setting: Setting) -> str | None:
        """Refuse groups, dilation, and filters that are too small or too large for the stride."""
        reason = super().why_not(p, setting)
        if reason is not None:
            return reason
        reason = _form_refused(p)
        if reason is not None:
            return f"{self.name} needs {reason}"
        most = most_channels(setting.types, p.r * p.s)
        if most is not None and p.c > most:
            exact = f"{self.name} is exact in {setting.type_name} up to {most:,} input channels"
            return f"{exact}; got {p.c:,}"
        return None

    def blockings(self, p: Conv2d, setting: Setting) -> list[WinogradBlocking]:
        """Return algorithms and block sizes to try, the model's choice first."""
        stages, direct = self.stages(setting.types), _direct_cycles(p, setting)
        return distinct(winograd_model.blockings(p, setting, stages, direct))

    def cycles(self, p: Conv2d, setting: Setting) -> float:
        """Estimate the products and the transforms."""
        return winograd_model.cycles(p, setting, self.stages(setting.types))

    def plan_blocked(self, p: Conv2d, setting: Setting, blocking: WinogradBlocking) -> Plan:
        """Transform, multiply and transform back, block by block."""
        stages = self.stages(setting.types)
        inner = in_tiles(p, setting.layout, setting.types)
        blocks = WinogradBlocks(inner, setting, blocking, stages)
        plan = nhwc_plan(p, setting, blocks.stages)
        plan.packed[FILTERS] = blocks.packed()
        plan.packed |= requantised.packed(p, setting.types)
        plan.workspaces |= blocks.workspaces()
        plan.lendable_workspaces = frozenset(plan.workspaces) - blocks.kept()
        plan.executed_flops = blocks.executed_flops() + epilogue.flops(p)
        plan.note = note(setting.types, stages)
        add_late(plan, p, setting)
        return plan


def _form_refused(p: Conv2d) -> str | None:
    """Return what a convolution has not that the algorithm needs; None if it has all."""
    got = spelled_filter(p)
    taps = [ceil_div(*each) for each in zip((p.r, p.s), p.stride, strict=True)]
    needs = (
        (max(taps) <= MOST_TAPS, f"a filter of at most {MOST_TAPS} times the stride; got {got}"),
        (max(taps) > 1, f"a filter larger than the stride; got {got}"),
        (max(p.stride) <= MOST_STRIDE, f"a stride of at most {MOST_STRIDE}; got {got}"),
        (p.dilation == (1, 1), f"a dense filter; got dilation {spelled(p.dilation)}"),
        (p.groups == 1, f"a convolution without groups; got {p.groups} groups"),
    )
    return next((reason for met, reason in needs if not met), None)


def _direct_cycles(p: Conv2d, setting: Setting) -> float:
    return Microkernel().cycles(p, setting)


def _apart(elements: int, dtype: DType) -> int:
    """Return at least ``elements``: an odd number of lines, so that no rows share a set of L1."""
    line = LINE_BYTES // dtype.bytes
    return (ceil_div(elements, line) | 1) * line


def spelled_filter(p: Conv2d) -> str:
    """Return ``3x3 stride 2``."""
    return f"{p.r}x{p.s} stride {spelled(p.stride)}"


def spelled(pair: tuple[int, int]) -> str:
    """Return ``2`` or ``1x2``."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
