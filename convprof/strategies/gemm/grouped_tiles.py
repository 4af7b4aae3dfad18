"""The panels of weights of 8 or 4 bits, and the tiles that multiply with them.

Panels are as wide as a tile, and words of neighbouring weights of a column: the weights are read as
one stream, in as many bytes as they are stored in. Each thread has its own panels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.digit_weights import DIGIT_TYPES, DigitTile
from convprof.codegen.kernels.digits import PER_LANE, STARTS
from convprof.codegen.kernels.grouped_weights import TYPES, WORD, GroupedTile
from convprof.codegen.kernels.ways import mixed_dot
from convprof.codegen.tile_list import TileKernel, TileList, kernel, runner_address
from convprof.dtypes import DTYPES
from convprof.integers import ceil_div, even_block, round_up, split
from convprof.problems.grouped_weights import SCALES, ZEROS
from convprof.strategies import sums
from convprof.strategies.gemm import digits
from convprof.strategies.gemm.panel_layout import filled_up
from convprof.strategies.plan import Buffer, Native, Packed, Plan, Stage, X

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.dot_products import Dot
    from convprof.problems import Gemm
    from convprof.problems.grouped_weights import GroupedWeights
    from convprof.strategies.base import Setting
    from convprof.strategies.kernels import Buffers, Words

    Array = np.ndarray[Any, Any]

WORDS, SCALE_PANELS, ZERO_PANELS = "word_panels", "scale_panels", "zero_panels"
A_COPY, GROUP_SUMS = "a_copy", "group_sums"
MOST_VECTORS = 4
"""Vectors across a tile: as many independent sums keep the multiply-adds of one row busy."""
MOST_TERMS = 1 << 16
"""Elements of a group whose digits are multiplied: 255 * 128 * 2**16 is less than 2**31."""
PACKED_ROWS = 512
"""Rows of ``b`` that are packed at a time: a copy of all would have eight times the bytes."""
OTHER_REGISTERS = 8
"""Registers for words, weights and constants; the others have sums."""
MOST_ROWS = 8
"""Rows of a tile: with more, and fewer vectors across, an element of ``a`` is loaded for each
product (16 rows of one vector take twice the time of two tiles of 8 x 3)."""
SHARING = 4
"""Rows that share an operand made of weights; with as many, tiles of two vectors across are faster
than taller tiles of one vector, by 1 to 4 %."""


@dataclass(frozen=True)
class GroupedBlocking:
    """How the product is cut."""

    rows: int
    """Rows of a register tile, at most."""
    vectors: int
    """Vectors across a register tile, which is as wide as a panel."""


def blockings(g: Gemm, weights: GroupedWeights, setting: Setting) -> list[GroupedBlocking]:
    """Return tiles to try, the widest one that has all rows first."""
    isa = isas.find(setting.isa)
    across = ceil_div(ceil_div(g.n, isa.lanes(TYPES.accumulator.bytes)), setting.threads)
    count = digits.count(setting) if digit_dot(weights, isa) else 0
    tiles = [
        GroupedBlocking(even_block(g.m, _most_rows(v, isa, count)), v)
        for v in range(1, MOST_VECTORS + 1)
        if v <= across or v == 1
    ]
    narrowest = 2 if across > 1 and _most_rows(2, isa, count) >= SHARING else 1
    wide = [tile for tile in tiles if tile.vectors >= narrowest]
    best = min(wide, key=lambda tile: (ceil_div(g.m, tile.rows), -tile.vectors))
    return [best, *(tile for tile in tiles if tile != best)]


def _most_rows(vectors: int, isa: Isa, count: int) -> int:
    """Return the most rows of a tile; a sum has a register for each of ``count`` digits, or one."""
    sums, others = (count, 2 * vectors + 2) if count else (1, OTHER_REGISTERS)
    return max(1, min(MOST_ROWS, (isa.registers - others) // (sums * vectors)))


def digit_dot(weights: GroupedWeights, isa: Isa) -> Dot | None:
    """Return the instruction for digits of activations; the sums of a group must fit 32 bits."""
    return mixed_dot(isa) if weights.group <= MOST_TERMS else None


def widened(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Copy rows of ``dims[0]`` elements to rows of ``dims[1]`` elements of another type."""
    a, wide = buffers[0], buffers[1]
    for i in range(lo, hi):
        for t in range(dims[0]):
            wide[i * dims[1] + t] = a[i * dims[0] + t]


def group_sums(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Sum groups of ``dims[2]`` of the ``dims[1]`` elements of rows that are ``dims[0]`` apart.

    Four sums of a group are added at the same time: one would wait for each addition.
    """
    a, out = buffers[0], buffers[1]
    row, k, group, groups = dims[0], dims[1], dims[2], dims[3]
    for i in range(lo, hi):
        for g in range(groups):
            start, end = i * row + g * group, i * row + min((g + 1) * group, k)
            out[i * groups + g] = 0
            s0 = s1 = s2 = s3 = out[i * groups + g]
            fours = (end - start) // 4 * 4
            for t in range(start, start + fours, 4):
                s0 += a[t]
                s1 += a[t + 1]
                s2 += a[t + 2]
                s3 += a[t + 3]
            for t in range(start + fours, end):
                s0 += a[t]
            out[i * groups + g] = (s0 + s1) + (s2 + s3)


def plan(g: Gemm, setting: Setting, blocking: GroupedBlocking) -> Plan:
    """Return the plan: activations as the tiles read them, the tiles, results rounded if needed."""
    weights = g.grouped_weights
    assert weights is not None  # noqa: S101  # other products have no GroupedBlocking
    stages = _Stages(g, weights, setting, blocking)
    whole = Plan(packed=stages.packed(), steps=[stages.tiles()])
    if stages.dot:
        whole.workspaces |= digits.workspaces(g, weights, stages.depth, setting)
        whole.steps.insert(0, digits.stage(g, weights, stages.depth, setting))
        # In vector instructions: one for each digit, instead of one for each of four elements.
        whole.executed_flops = g.flops * stages.digits // PER_LANE
    elif stages.a_buffer != X:
        whole.workspaces[A_COPY] = Buffer((g.m, stages.depth), stages.types.source)
        dims = (g.k, stages.depth)
        whole.steps.insert(0, Stage("widen", widened, g.m, (X, A_COPY), dims, work_fraction=0.0))
    if weights.has_zero_points and not stages.dot:
        whole.workspaces[GROUP_SUMS] = Buffer((g.m, stages.groups), TYPES.accumulator)
        whole.steps.insert(-1, stages.summing())
    return sums.with_rounding(whole, g, setting)


class _Stages:
    """The packed buffers, and the stage of the tiles."""

    def __init__(
        self, g: Gemm, weights: GroupedWeights, setting: Setting, blocking: GroupedBlocking
    ) -> None:
        self.g, self.weights, self.setting, self.blocking = g, weights, setting, blocking
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(TYPES.source.bytes)
        self.nr = blocking.vectors * self.lanes
        self.panels = ceil_div(g.n, self.nr)
        self.per_word = WORD.bits // weights.bits
        self.depth = round_up(g.k, self.per_word)
        """Elements of a row of ``a``, in whole words of weights."""
        self.steps = self.depth // self.per_word
        self.dot = digit_dot(weights, self.isa)
        """The instruction for digits of activations."""
        self.types = DIGIT_TYPES if self.dot else TYPES
        self.digits = digits.count(setting) if self.dot else 1
        """Digits of an activation; 1 without digits."""
        self.a_row = self.depth * self.digits
        same = setting.types.source == self.types.source and self.depth == g.k
        self.a_buffer = digits.DIGIT_BUFFER if self.dot else X if same else A_COPY

    @property
    def groups(self) -> int:
        """Groups of a column; the last may be shorter."""
        return ceil_div(self.g.k, self.weights.group)

    def packed(self) -> dict[str, Packed]:
        """Return the panels of the weights and of the scales, by name."""
        words = Buffer((self.panels, self.steps, self.nr), WORD)
        scales = Buffer((self.panels, self.groups, self.nr), DTYPES["f32"])
        return {
            WORDS: Packed(words, self._words),
            SCALE_PANELS: Packed(scales, self._panels, (SCALES,)),
            **self._zeros(),
        }

    def _zeros(self) -> dict[str, Packed]:
        """Return the panels of the zero points, if the weights have them."""
        if not self.weights.has_zero_points:
            return {}
        zeros = Buffer((self.panels, self.groups, self.nr), TYPES.zero_point)
        return {ZERO_PANELS: Packed(zeros, self._panels, (ZEROS,))}

    def summing(self) -> Stage:
        """Return the stage that sums the groups of each row of ``a``."""
        dims = (self.depth, self.g.k, self.weights.group, self.groups)
        buffers = (self.a_buffer, GROUP_SUMS)
        return Stage("sum groups", group_sums, self.g.m, buffers, dims, work_fraction=0.0)

    def _words(self, stored: Array) -> Array:
        """Return the panels of the words; weights beyond the matrix are 0."""
        words = np.zeros((self.steps, self.g.n), np.uint32)
        for first in range(0, self.g.k, PACKED_ROWS):
            rows = range(first, min(first + PACKED_ROWS, self.g.k))
            self._pack(stored, rows, words)
        return self._panels(words.view(np.int32))

    def _pack(self, stored: Array, rows: range, words: Array) -> None:
        """Write the words of some rows of ``b``, the first of which begins a word."""
        bits = self.weights.bits
        per_byte = 8 // bits
        some = stored[rows.start // per_byte : ceil_div(rows.stop, per_byte)]
        signed = self.weights.whole(some, len(rows))
        offset = signed.astype(np.uint8) + np.uint8(1 << (bits - 1))  # modulo 256
        depth = round_up(len(rows), self.per_word)
        whole = filled_up(offset, depth, self.g.n).reshape(-1, self.per_word, self.g.n)
        first = rows.start // self.per_word
        for e in range(self.per_word):
            shifted = whole[:, e].astype(np.uint32) << np.uint32(bits * self._place(e))
            words[first : first + len(whole)] |= shifted

    def _place(self, e: int) -> int:
        """Return the place of a word's ``e``-th weight: for digits a byte each."""
        byte = WORD.bytes
        return e % byte * (self.per_word // byte) + e // byte if self.dot else e

    def _panels(self, matrix: Array) -> Array:
        """Return the columns of a matrix in panels, with zeros beyond the last one."""
        whole = filled_up(matrix, len(matrix), self.panels * self.nr)
        return whole.reshape(len(matrix), self.panels, self.nr).transpose(1, 0, 2)

    def tiles(self) -> Stage:
        """Return the stage: the threads share out the panels."""
        tiles = TileList()
        for panels in split(self.panels, self.setting.threads):
            tiles.task()
            for panel, i in itertools.product(panels, range(0, self.g.m, self.blocking.rows)):
                self._add(tiles, panel, range(i, min(i + self.blocking.rows, self.g.m)))
        zeros = [ZERO_PANELS] if self.weights.has_zero_points else []
        of_rows = [digits.START_BUFFER] if self.dot else [GROUP_SUMS] if zeros else []
        result = sums.buffer(self.setting.types)
        buffers = (self.a_buffer, WORDS, result, SCALE_PANELS, *zeros, *of_rows)
        native = Native(runner_address(len(buffers)), tiles)
        threads = self.setting.threads
        return Stage("tiles", native, threads, buffers, tiles.dims(), static_schedule=True)

    def _add(self, tiles: TileList, panel: int, rows: range) -> None:
        """Add the tile of the whole groups, and of a shorter last group if there is one."""
        g, group = self.g, self.weights.group
        whole, rest = divmod(g.k, group)
        a, c = rows.start * self.a_row, rows.start * g.n + panel * self.nr
        b, factors = panel * self.steps * self.nr, panel * self.groups * self.nr
        zeros, numbers = self.weights.has_zero_points, STARTS if self.dot else 1
        for first, (groups, size) in ((0, (whole, group)), (whole, (bool(rest), rest))):
            if not groups:
                continue
            before, scales = first * group, factors + first * self.nr
            of_rows = (rows.start * self.groups + first) * numbers
            places = [
                a + before * self.a_row // self.depth,
                b + before // self.per_word * self.nr,
                c,
                scales,
                *([scales] if zeros else []),
                *([of_rows] if zeros or self.dot else []),
            ]
            tiles.add(self._kernel(panel, rows, (groups, size), first=not first), *places)

    def _kernel(self, panel: int, rows: range, part: tuple[int, int], *, first: bool) -> TileKernel:
        """Return the kernel for some groups of a panel: their number, and the weights in each."""
        groups, size = part
        form: dict[str, Any] = {
            "types": self.types,
            "lanes": self.lanes,
            "rows": len(rows),
            "vectors": self.blocking.vectors,
            "columns": min(self.nr, self.g.n - panel * self.nr),
            "bits": self.weights.bits,
            "words": ceil_div(size, self.per_word),
            "groups": int(groups),
            "a_row": self.a_row,
            "c_row": self.g.n,
            "accumulate": not first,
            "fused": self.isa.fused,
        }
        zeros = self.weights.has_zero_points
        if self.dot is None:
            sums_row = self.groups if zeros else 0
            return kernel(GroupedTile(**form, sums_row=sums_row), self.isa)
        start_row = self.groups * STARTS
        tile = DigitTile(
            **form, digits=self.digits, start_row=start_row, has_zeros=zeros, dot=self.dot
        )
        return kernel(tile, self.isa)
