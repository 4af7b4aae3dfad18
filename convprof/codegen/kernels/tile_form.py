"""The form of a register tile: its rows, the runs of its sums, the addresses of its operands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.cycles import tile_cycles
from convprof.codegen.kernels.ends import pointers
from convprof.codegen.kernels.epilogue import POINTERS
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.kernels.partial_sums import PartialSums
from convprof.codegen.kernels.partial_sums import pointers as partial_pointers
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

UNROLL = 4
"""Steps per iteration of the inner loop, where the run allows; the loop's counter becomes free."""
AVX512_BYTES, AVX2_BYTES = 64, 32
"""Bytes in a vector."""


@dataclass(frozen=True)
class TileForm(Kernel):
    """The fields of ``gemm.Tile``. Offsets and lengths in elements.

    With ``pack_row`` or ``fetch_row`` it takes a fourth pointer, with an epilogue the pointers of
    ``codegen.kernels.epilogue``.
    """

    rows: tuple[int, ...]
    """Where each row of ``a`` starts."""
    segments: tuple[tuple[int, int], ...]
    """Where each run of the reduction starts: ``a_g`` from a row's start, ``b_g`` in rows of b."""
    run: int
    """Steps of the reduction in a segment, ``a_step`` elements apart in ``a``."""
    vectors: int
    """Vectors across the tile."""
    b_row: int
    """Elements from one row of ``b`` to the next."""
    c_rows: tuple[int, ...]
    """Where each row of ``c`` starts."""
    columns: int
    """Columns that exist in ``c``; where they do not fill the last vector it is masked."""
    padded: bool = True
    """Whether the rows of ``b`` are padded to whole vectors, so that loads need no mask."""
    accumulate: bool = False
    """Add to ``c`` rather than overwrite it."""
    fetch_rows: int = 0
    """Prefetch ``b`` this many rows ahead, for a ``b`` that comes from beyond L2; 0: never."""
    a_step: int = 1
    """Elements of ``a`` from one step to the next: 1 for rows, more for a transposed ``a``."""
    most_steps: int = 0
    """Steps per iteration of the inner loop, at most; 0: as many as suit the vectors."""
    pack_row: int = 0
    """If not 0, the tile packs ``b``: it reads rows, ``pack_row`` elements apart, from a fourth
    pointer, computes with them and writes them to ``b``."""
    fetch_row: int = 0
    """If not 0, each step fetches ``fetch_row`` elements from a fourth pointer into L2, one after
    the other: data that later tiles read."""
    multiply: Multiply = FMA
    """How a step multiplies its group of neighbouring elements of a row of ``a`` and of a column of
    ``b``; ``run`` counts steps. A ``b`` that is not ``padded`` has the rows of a matrix: the kernel
    interleaves the rows of a group."""
    epilogue: Epilogue = NO_EPILOGUE
    """What follows the sum: a bias per column, a residual in the layout of ``c``, a function."""
    partial: tuple[PartialSums, ...] = ()
    """Levels of sums in memory to which the products are added, the innermost first."""

    @property
    def k_group(self) -> int:
        """Elements of a sum per step."""
        return self.multiply.k_group

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of loads, stores and sums, and of the multiplications."""
        return super().declarations(w) + self.multiply.declarations(w)

    @property
    def ends(self) -> bool:
        """Whether anything follows the sums before they are stored."""
        return bool(self.epilogue) or self.types.requantises

    @property
    def writes_result(self) -> bool:
        """Whether the tile writes ``c``, not only partial sums."""
        return all(sums.ends for sums in self.partial)

    @property
    def fourth_row(self) -> int:
        """Elements by which the fourth pointer advances per step; 0 without one."""
        return self.pack_row or self.fetch_row

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        return len(self.rows) * self.vectors * self.run * len(self.segments) * self.k_group

    @property
    def cycles(self) -> float:
        """Estimate of the core cycles of one execution, operands in cache."""
        operations: float = self.multiply.operations(len(self.rows), self.vectors)
        return tile_cycles(operations, self.run * len(self.segments))

    @property
    def title(self) -> str:
        """``14x32 tile``: rows by columns."""
        return f"{len(self.rows)}x{self.vectors * self.lanes} tile"

    @property
    def unroll(self) -> int:
        """Steps per iteration of the inner loop.

        One where the elements need registers besides the sums, as widened ones do, or where LLVM
        loads them far ahead: between the steps it would move sums between registers, and spill.
        AVX-512 reads an element in the instruction that multiplies it; AVX2 has a register for one
        that is used twice.
        """
        size = self.lanes * self.types.accumulator.bytes
        narrow = size < AVX2_BYTES or (size < AVX512_BYTES and self.vectors == 1)
        most = self.most_steps or self.multiply.turn or (1 if narrow else UNROLL)
        return next(steps for steps in range(most, 0, -1) if self.run % steps == 0)

    @property
    def parameters(self) -> Pointers:
        """Three pointers, a fourth to pack or fetch from, more for what ends or keeps sums."""
        if self.partial:
            return partial_pointers(len(self.partial))
        if self.ends:
            return pointers(self.epilogue, self.types)
        return POINTERS[:4] if self.fourth_row else self.pointers
