"""The tile registers of AMX: their instructions, their shapes, and the kernels that set the shapes.

A tile register has up to 16 rows of 64 bytes. A configuration of the thread sets the rows, and the
bytes of a row, of all eight registers (Intel SDM, LDTILECFG).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.target import target
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.codegen.isa import Isa
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType, Types

TILE_ROWS = 16
"""Rows of a tile register."""
ROW_BYTES = 64
GROUP_BYTES = 4
"""Bytes of a group of ``k``, and of a sum."""
GROUPS = ROW_BYTES // GROUP_BYTES
"""Groups of ``k`` in a tile of ``a`` (along a row) and of ``b`` (a row each); columns of a tile."""
SIDE = 2 * TILE_ROWS
"""Rows and columns of the sums of a kernel."""
STEP_CYCLES = 80
"""Cycles of four loads and four products, with the operands in L1 (64 for the products alone)."""
ALIASED_BYTES = 2048
"""Rows of ``a`` a multiple of 2 KiB apart share two sets of L1: loads take a third longer."""
SUMS, A, B = 0, 4, 6
"""The first tile registers of the sums (2 x 2), of ``a`` (2) and of ``b`` (2)."""


@dataclass(frozen=True)
class TileProduct:
    """The instruction that multiplies two tiles of some types."""

    instruction: str
    k_group: int
    """Elements of a sum in a group of 4 bytes."""
    feature: str
    """What the CPU needs, in LLVM's spelling."""

    def steps(self, k: int) -> tuple[int, int]:
        """Return the steps of a sum of ``k`` elements, and the groups of each step.

        As few equal steps as possible; zeros fill ``k`` up if they make more than ``k``.
        """
        groups = ceil_div(k, self.k_group)
        steps = ceil_div(groups, GROUPS)
        return steps, ceil_div(groups, steps)


_PRODUCTS = {
    ("bf16", "bf16"): TileProduct("tdpbf16ps", 2, "amx-bf16"),
    ("f16", "f16"): TileProduct("tdpfp16ps", 2, "amx-fp16"),
    ("u8", "s8"): TileProduct("tdpbusd", 4, "amx-int8"),
    ("s8", "s8"): TileProduct("tdpbssd", 4, "amx-int8"),
    ("s8", "u8"): TileProduct("tdpbsud", 4, "amx-int8"),
}


def tile_product(types: Types, isa: Isa) -> TileProduct | None:
    """Return the tile instruction of an instruction set for some types; None without one."""
    product = _PRODUCTS.get((types.source.name, types.weights.name))
    if product is None or not isa.has_tiles or not target().has(product.feature):
        return None
    return product


def parts(length: int) -> tuple[int, ...]:
    """Return the parts of up to 32 rows or columns in tile registers of 16."""
    return tuple(min(TILE_ROWS, length - start) for start in range(0, length, TILE_ROWS))


def shapes(registers: Sequence[tuple[int, int]]) -> bytes:
    """Return what LDTILECFG reads for the rows, and bytes of a row, of eight registers.

    64 bytes: palette 1, the bytes of rows in 16 bits, the rows (Intel SDM).
    """
    row_bytes = b"".join(size.to_bytes(2, "little") for _, size in registers)
    counts = bytes(rows for rows, _ in registers)
    return bytes([1]) + bytes(15) + row_bytes + bytes(16) + counts + bytes(8)


class TileInstructions:
    """Writes the instructions of kernels that multiply tiles. Registers are numbers of tiles."""

    def __init__(self, w: Writer, product: TileProduct) -> None:
        self._w, self._product = w, product

    @staticmethod
    def declarations(product: TileProduct) -> str:
        """Return the intrinsics."""
        return f"""
declare void @llvm.x86.tilezero(i8 immarg)
declare void @llvm.x86.tileloadd64(i8 immarg, ptr, i64)
declare void @llvm.x86.tilestored64(i8 immarg, ptr, i64)
declare void @llvm.x86.{product.instruction}(i8 immarg, i8 immarg, i8 immarg)
"""

    def zero(self, register: int) -> None:
        """Write the instruction that sets a tile to zero."""
        self._call("tilezero", f"i8 {register}")

    def load(self, register: int, place: str, row_bytes: int) -> None:
        """Write a load; ``row_bytes``: from one row in memory to the next."""
        self._call("tileloadd64", f"i8 {register}", f"ptr {place}", f"i64 {row_bytes}")

    def store(self, register: int, place: str, row_bytes: int) -> None:
        """Write a store."""
        self._call("tilestored64", f"i8 {register}", f"ptr {place}", f"i64 {row_bytes}")

    def multiply(self, sums: int, a: int, b: int) -> None:
        """Write a product that is added to ``sums``."""
        self._call(self._product.instruction, *(f"i8 {register}" for register in (sums, a, b)))

    def at(self, pointer: str, offset: int) -> str:
        """Write ``pointer`` advanced by a number of bytes."""
        return self._w.add(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer

    def _call(self, name: str, *operands: str) -> None:
        self._w.lines.append(f"  call void @llvm.x86.{name}({', '.join(operands)})")


class Rows(NamedTuple):
    """Up to 16 rows in one tile register, with equal distances."""

    height: int
    a: int = 0
    """Where the first row of ``a`` starts, from the start of the kernel."""
    c: int = 0


def dense_rows(count: int, a_row: int, c_row: int) -> tuple[Rows, ...]:
    """Return up to 32 rows, one after the other."""
    firsts = range(0, count, TILE_ROWS)
    return tuple(
        Rows(height, first * a_row, first * c_row)
        for height, first in zip(parts(count), firsts, strict=True)
    )


@dataclass(frozen=True)
class Configure(Kernel):
    """Set the shapes of the tile registers, which also sets them to zero."""

    pointers: ClassVar[Pointers] = ()

    heights: tuple[int, ...]
    """Rows of each tile of ``a``."""
    columns: int
    depth: int
    """Groups of ``k`` in a step."""

    @property
    def teardown(self) -> Kernel:
        """Give the registers back, so that the system need not save them."""
        return Release(self.types, self.lanes)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:  # noqa: ARG002
        """Return the intrinsic."""
        return "declare void @llvm.x86.ldtilecfg(ptr)\n"

    def bytes(self) -> bytes:
        """Return the 64 bytes of the configuration."""
        each = [(0, 0)] * 8
        for i, rows in enumerate(self.heights):
            each[A + i] = rows, GROUP_BYTES * self.depth
            for j, columns in enumerate(parts(self.columns)):
                each[SUMS + 2 * i + j] = rows, GROUP_BYTES * columns
                each[B + j] = self.depth, GROUP_BYTES * columns
        return shapes(each)

    def _code(self, w: Writer) -> str:
        numbers = ", ".join(f"i8 {byte}" for byte in self.bytes())
        w.constants += f"@tile_shapes = private constant [64 x i8] [{numbers}], align 64\n"
        return "  call void @llvm.x86.ldtilecfg(ptr @tile_shapes)\n"


@dataclass(frozen=True)
class Release(Kernel):
    """Give the tile registers back."""

    pointers: ClassVar[Pointers] = ()

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:  # noqa: ARG002
        """Return the intrinsic."""
        return "declare void @llvm.x86.tilerelease()\n"

    def _code(self, w: Writer) -> str:  # noqa: ARG002
        return "  call void @llvm.x86.tilerelease()\n"
