"""The transformed filters of Winograd's algorithm in memory, and how they are packed.

A frequency has a matrix of (phases x depth, output channels), in panels of output channels.
Frequencies of equally many phases have matrices of one size, which are neighbours.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.integers import round_up
from convprof.strategies.plan import Buffer, Packed

if TYPE_CHECKING:
    from convprof.codegen.kernels.multiply import Multiply
    from convprof.codegen.kernels.winograd_matrices import Axes, Phase
    from convprof.dtypes import DType
    from convprof.problems import Conv2d

    Array = np.ndarray[Any, Any]

CHANNELS = 64
"""Input channels whose filters are transformed at a time: 1 MB in float64 with 32 outputs and 64
frequencies."""


class Panels(NamedTuple):
    """How the output channels are cut."""

    lanes: int
    vectors: int
    """Vectors across a panel, at most."""
    width: int
    """Output channels, rounded up to whole vectors."""

    def each(self) -> list[tuple[int, int]]:
        """Return first column and number of vectors of every panel."""
        across = self.width // self.lanes
        return [
            (v * self.lanes, min(self.vectors, across - v)) for v in range(0, across, self.vectors)
        ]


class Filters:
    """The transformed filters of one convolution."""

    def __init__(
        self, p: Conv2d, axes: Axes, panels: Panels, multiply: Multiply, dtype: DType
    ) -> None:
        self.p, self.axes, self.panels, self.group = p, axes, panels, multiply.k_group
        self.depth = round_up(p.c, self.group)
        """Channels of a phase in memory: whole groups of an instruction."""
        self.alike: dict[tuple[int, int], list[int]] = {}
        """Frequencies by their numbers of phases down and across."""
        down, across = (each.phases_at for each in axes)
        for frequency, phases in enumerate(itertools.product(down, across)):
            self.alike.setdefault(phases, []).append(frequency)
        self.phases = {f: i * j for (i, j), each in self.alike.items() for f in each}
        """The phases whose products are added, of each frequency, in the order of the matrices."""
        before = itertools.accumulate(self.phases.values(), initial=0)
        self.starts = dict(zip(self.phases, before, strict=False))
        """The first row of the buffer of each frequency's matrix: it has a row for each phase."""
        self.buffer = Buffer((sum(self.phases.values()), self.depth * panels.width), dtype)

    def packed(self) -> Packed:
        """Return the packing: transformed, per frequency and panel of channels.

        Some filters at a time, which stay in the cache. Their taps are the rows of a matrix; the
        matrix of both passes of the transform is multiplied with it in float64, and the product is
        written to the panels.
        """
        placements = list(
            itertools.product(self.panels.each(), range(0, self.p.c, CHANNELS), self._phases())
        )

        def fill(target: Array, w: Array) -> None:
            by_tap = w.transpose(2, 3, 1, 0)
            for (k, vectors), c, (down, across) in placements:
                wide = vectors * self.panels.lanes
                rows, columns = (
                    slice(phase.first, None, axis.stride)
                    for phase, axis in zip((down, across), self.axes, strict=True)
                )
                part = by_tap[rows, columns, c : c + CHANNELS, k : k + wide]
                taps = part.astype(np.float64, "C").reshape(-1, math.prod(part.shape[2:]))
                transformed = np.matmul(np.kron(down.g, across.g), taps)
                filters = transformed.reshape(down.size, across.size, *part.shape[2:])
                self._place(target, (down, across), (k, wide, c), filters)

        return Packed(self.buffer, fill, into=True)

    def _phases(self) -> list[tuple[Phase, Phase]]:
        down, across = self.axes
        return list(itertools.product(down.phases, across.phases))

    def _place(
        self,
        target: Array,
        phase: tuple[Phase, Phase],
        where: tuple[int, int, int],
        filters: Array,
    ) -> None:
        """Write the transformed filters of a phase to a panel: from column ``k``, ``wide`` columns.

        ``where``: k, wide, and the first input channel. ``filters``: (frequencies down, frequencies
        across, input channels, output channels).
        """
        (down, across), (k, wide, c) = phase, where
        deep, columns = filters.shape[2:]
        for (i, j), frequencies in self.alike.items():
            if down.first >= i or across.first >= j:
                continue  # the frequencies are infinity, and the phase has a tap fewer
            rows, first = i * j, self.starts[frequencies[0]]
            matrices = target[first : first + rows * len(frequencies)].reshape(len(frequencies), -1)
            start = self.depth * k * rows
            start += (self.depth * (down.first * j + across.first) + c) * wide
            size = round_up(deep, self.group) * wide
            panel = matrices[:, start : start + size]
            panel = panel.reshape(len(frequencies), -1, wide, self.group)
            own = self._own(filters, (i, j))
            for one in range(self.group):
                channels = own[:, one :: self.group]
                panel[:, : channels.shape[1], :columns, one] = channels

    def _own(self, filters: Array, phases: tuple[int, int]) -> Array:
        """Return the frequencies that have some numbers of phases down and across."""
        down, across = (
            [f for f, count in enumerate(axis.phases_at) if count == own]
            for axis, own in zip(self.axes, phases, strict=True)
        )
        return filters[np.ix_(down, across)].reshape(-1, *filters.shape[2:])
