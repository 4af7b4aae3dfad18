"""The lists of tiles of attention by blocks, and the scratch memory of a block.

A task is a block of queries of one head. Its lists are the same for all blocks of a kind: what they
have in them is the business of a subclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from convprof.codegen import isa as isas
from convprof.codegen import tile_pairs as pairs
from convprof.codegen.kernels import elements
from convprof.codegen.kernels.attention import PackQueries
from convprof.codegen.tile_list import kernel
from convprof.codegen.tile_pairs import NOWHERE, ROWS, SCRATCH, Blocked, PairTiles, Strides
from convprof.dtypes import WORD, of_one
from convprof.integers import ceil_div, round_up
from convprof.strategies.attention.kinds import BlockKind, Columns, kinds
from convprof.strategies.attention.placement import Placement
from convprof.strategies.memory import PAGE_BYTES
from convprof.strategies.plan import Buffer, Native, Stage

if TYPE_CHECKING:
    from convprof.codegen.kernels.base import Kernel
    from convprof.dtypes import DType, Types
    from convprof.problems import Attention
    from convprof.strategies.attention.placement import Place
    from convprof.strategies.base import Setting
    from convprof.strategies.plan import Packed

SPACE, CLAIMS = "blocks", "claims"
L1_SHARE = 2 / 3
"""Share of the first-level cache for the scores of a block, or of a panel of its queries."""
TASKS_PER_THREAD = 4
POWER_CYCLES = 8.5
"""A vector of powers: 15 operations, two in a cycle, and the search for the maximum."""


@dataclass(frozen=True)
class BlockSizes:
    """How queries and keys are cut."""

    queries: int
    """Vectors of queries per block."""
    keys: int
    """Keys per block."""


class Rows(NamedTuple):
    """Rows of an operand of a block: a base of the list, and elements from there."""

    base: int
    start: int
    row: int
    """Elements from one row to the next."""

    def at(self, elements: int) -> tuple[int, int]:
        """Return the place of an element."""
        return self.base, self.start + elements


class Scratch:
    """The parts of a thread's piece of scratch memory, in elements of the accumulator's type."""

    def __init__(self, total: DType) -> None:
        self._total = total
        self.elements = 0

    def rows(self, count: int, row: int, dtype: DType) -> Rows:
        """Add a part of ``count`` rows of ``row`` elements of a type."""
        start = self.elements * self._total.bytes // dtype.bytes
        self.elements += ceil_div(count * row * dtype.bytes, self._total.bytes)
        return Rows(SCRATCH, start, row)

    def pages(self) -> int:
        """Return the elements of all parts, in whole pages."""
        return round_up(self.elements, PAGE_BYTES // self._total.bytes)


class BlockLists(ABC):
    """The lists of tiles of one problem."""

    slot: int
    """Elements of a thread's piece of scratch memory, in whole pages."""

    def __init__(
        self,
        p: Attention,
        setting: Setting,
        sizes: BlockSizes,
        placement: Placement | None = None,
        *,
        scale: float = 0.0,
    ) -> None:
        """Without a ``placement``, the operands have the order that the problem defines.

        ``scale``: the factor of the products of queries and keys; by default ``1 / sqrt(dim)``.
        """
        self.p = p
        self.placement = placement or Placement.apart(p)
        self.scale = scale or p.dim**-0.5
        self.sizes = sizes
        self.types = setting.types
        self.isa = isas.find(setting.isa)
        self.lanes = self.isa.lanes(self.types.accumulator.bytes)
        self.width = sizes.queries * self.lanes
        self.kinds = kinds(p, self.width, sizes.keys)
        self.tiles = PairTiles()
        self.common: dict[str, Any] = {"lanes": self.lanes, "fused": self.isa.fused}
        self._place_parts()

    @abstractmethod
    def _place_parts(self) -> None:
        """Place the operands of a block, and set ``slot``."""

    @abstractmethod
    def _begin(self, kind: BlockKind) -> None:
        """Write what a block of queries begins with, and its first keys."""

    @abstractmethod
    def _pair(self, kind: BlockKind, columns: Columns, *, first: bool = False) -> None:
        """Write the work on a block of keys."""

    @abstractmethod
    def _end(self, kind: BlockKind) -> None:
        """Write what a block of queries ends with."""

    @property
    def mask_type(self) -> DType:
        """The type of the elements of a mask."""
        return self.types.source

    @property
    def factors(self) -> str:
        """The buffer of the factors; without factors any buffer, which is not read."""
        return self.placement.queries.buffer

    def constants(self) -> dict[str, Packed]:
        """Return what is prepared of constant operands: nothing."""
        return {}

    def stage(self, slots: int) -> Stage:
        """Return the stage; a task is a block of queries of one head."""
        p, places = self.p, self.placement
        for kind in self.kinds:
            self._block(kind)
        blocks = ceil_div(p.tokens, self.width)
        mask, of_mask = places.queries, NOWHERE  # any buffer: without a mask, it is not read
        if places.mask is not None:
            mask = places.mask
            of_mask = self._blocked(mask, self.width, 0)._replace(columns=self.sizes.keys)
        strides = Strides(
            blocks=blocks,
            kinds=tuple(kind.run for kind in self.kinds),
            items=p.heads,
            sharing=p.sharing,
            rows=self._blocked(places.queries, self.width, 0),
            keys=self._blocked(places.keys, 0, self.sizes.keys),
            values=self._blocked(places.values, 0, self.sizes.keys),
            mask=of_mask,
            results=self._blocked(places.results, self.width, 0),
            slots=slots,
            slot=self.slot,
        )
        table = self.tiles.table(strides, self.types, self.mask_type)
        native = Native(pairs.runner_address(), self.tiles)
        operands = (places.queries, places.keys, places.values, mask, places.results)
        buffers = (*(each.buffer for each in operands), SPACE, CLAIMS, self.factors)
        return Stage("attention", native, p.items * blocks, buffers, table)

    @staticmethod
    def _blocked(place: Place, rows: int, columns: int) -> Blocked:
        """Return where the blocks of an operand begin, in blocks of ``rows`` and ``columns``."""
        group, item, step = place.walk
        return Blocked(place.start, group, item, rows * step, columns * step)

    def workspaces(self, slots: int) -> dict[str, Buffer]:
        """Return the scratch memory of each slot, and the table of claimed tasks."""
        return {
            SPACE: Buffer((slots, self.slot), self.types.accumulator),
            CLAIMS: Buffer((slots, pairs.CLAIM_BYTES // WORD.bytes), WORD),
        }

    def _block(self, kind: BlockKind) -> None:
        """Write the four lists of a kind of blocks; they are empty without queries."""
        for write in (self._begin, self._step, self._last, self._end):
            self.tiles.task()
            if kind.queries:
                write(kind)

    def _step(self, kind: BlockKind) -> None:
        if kind.has_steps:
            self._pair(kind, Columns(self.sizes.keys))

    def _last(self, kind: BlockKind) -> None:
        if kind.last.keys:
            self._pair(kind, kind.last)

    def _transpose_queries(
        self, queries: range, width: int, types: Types, group: int, target: tuple[int, int]
    ) -> None:
        """Transpose some queries of a block, ``(dim / group, width, group)``.

        Whole groups are moved as words, where each query begins a whole number of them after the
        one before.
        """
        dim, row = self.p.dim, self.placement.queries.walk.step
        words = group > 1 and dim % group == 0 == row % group
        by = group if words else 1
        pack = PackQueries(
            types=of_one(elements.WORD) if words else types,
            queries=len(queries),
            width=width,
            dim=dim // by,
            row=row // by,
            k_group=group // by,
            **self.common,
        )
        base, at = target
        self._place(pack, (ROWS, queries.start * row // by), (ROWS, 0), (base, at // by))

    def _place(self, tile: Kernel, *places: tuple[int, int]) -> None:
        self.tiles.place(kernel(tile, self.isa), *places)
