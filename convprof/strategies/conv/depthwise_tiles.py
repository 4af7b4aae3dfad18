"""The register tiles of a depthwise convolution in NHWC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.codegen import isa as isas
from convprof.codegen.kernels.depthwise import DepthwiseTile, Tap
from convprof.codegen.kernels.multiply import FMA
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.tile_list import kernel
from convprof.integers import ceil_div, round_up
from convprof.strategies.conv.blocking import ConvBlocking
from convprof.strategies.conv.regions import tap_offset
from convprof.strategies.conv.register_tiles import TilePlan
from convprof.strategies.plan import Buffer, Packed

if TYPE_CHECKING:
    import numpy as np

    from convprof.strategies.base import Setting
    from convprof.strategies.conv.regions import Convolution, Output, Region, TilePlacement

    Array = np.ndarray[Any, Any]


class DepthwisePlan(TilePlan):
    """Tiles of pixels, vectors along the channels: one filter per channel, nothing to sum over.

    An instruction that adds several products takes as many neighbouring taps of a column.
    """

    def __init__(self, p: Convolution, setting: Setting, output: Output | None = None) -> None:
        """Without ``output`` the result is dense."""
        how = multiply(setting.types, isas.find(setting.isa), rows=1)
        self.multiply = how if how.adds_groups else FMA
        super().__init__(p, setting, output)

    @property
    def rows_of_taps(self) -> int:
        """Rows of the packed weights per column of the filter."""
        return ceil_div(self.p.r, self.multiply.k_group)

    def _taps(self, region: Region) -> tuple[Tap, ...]:
        """Return the groups of taps of a region, row by row; taps in the padding are not read."""
        p, group = self.p, self.multiply.k_group
        groups: dict[int, list[tuple[int, int]]] = {}
        for r, s in region.taps:
            parts = groups.setdefault(r // group * p.s + s, [])
            parts.append((tap_offset(p, region, r, s), r % group))
        return tuple(Tap(tuple(parts), row) for row, parts in groups.items())

    def shapes(self) -> list[tuple[int, int]]:
        """Return the tiles: some pixels, a register each; weights and input need one each.

        Eight pixels (of 32 registers) beat thirty by 17 % at 256 channels: with more pixels, rows
        share the same cache sets.
        """
        most = self.isa.registers
        # Inputs or products that are not memory operands need registers too.
        widest = most - 2 if self.isa.temporaries == 1 else most // 2
        return [(1, most // 4), (1, most // 2), (1, widest)]

    def blocking(self) -> ConvBlocking:
        """Choose the blocking."""
        return ConvBlocking(1, self.shapes()[0][1], self.block_rows(1))

    def panels(self) -> list[tuple[int, int, int]]:
        """Return the one panel: all channels."""
        return [(0, 0, 1)]

    def panel_elements(self, panel: tuple[int, int, int]) -> int:  # noqa: ARG002  # the only one
        """Return the elements of all weights, channels in whole vectors."""
        taps = self.rows_of_taps * self.p.s * self.multiply.k_group
        return taps * round_up(self.p.c, self.lanes)

    def panel_start(self, panel: tuple[int, int, int]) -> int:  # noqa: ARG002  # the only one
        """Return 0: the one panel is at the start."""
        return 0

    def add(self, placement: TilePlacement, panel: tuple[int, int, int]) -> None:  # noqa: ARG002
        """Add the tiles at some pixels; each has all channels."""
        p, region = self.p, placement.region
        width = round_up(p.c, self.lanes)
        tile = DepthwiseTile(
            types=self.types,
            lanes=self.lanes,
            pixels=placement.input_offsets(p),
            taps=self._taps(region),
            multiply=self.multiply,
            c_pixels=placement.output_offsets(self.output),
            channels=p.c,
            b_row=width,
            registers=self.isa.registers,
            fused=self.isa.fused,
            epilogue=p.epilogue,
        )
        self._place(kernel(tile, self.isa), (placement.a, 0, placement.c), 0, (0, region))
        self.tiles.executed_macs += (
            len(placement.a) * len(placement.pattern) * p.c * len(region.taps)
        )

    def packed(self) -> Packed:
        """Return the packing of ``(c, 1, r, s)`` as ``(r / group, s, c, group)``.

        Channels fill whole vectors.
        """
        p, group = self.p, self.multiply.k_group
        shape = (self.rows_of_taps, p.s, round_up(p.c, self.lanes), group)

        def fill(target: Array, w: Array) -> None:
            for r in range(p.r):
                target[r // group, :, : p.c, r % group] = w.reshape(p.c, p.r, p.s)[:, r].T

        return Packed(Buffer(shape, self.types.weights), fill, into=True)
