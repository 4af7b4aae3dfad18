"""Multiply-adds of f16, whose sums are added to sums of f32 block by block.

AVX512-FP16 has them, and FEAT_FP16 of AArch64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.codegen.isa import AMX, register_rows
from convprof.codegen.kernels.cycles import converted_cycles, half_cycles
from convprof.codegen.kernels.elements import HALF
from convprof.codegen.kernels.f16_blocks import longest_block
from convprof.codegen.kernels.multiply import Multiply
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.f16_blocks import Sums
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType, Types

_NAMES = {"avx512": "vfmadd231ph", AMX: "vfmadd231ph", "neon": "fmla .8h"}
"""The instruction, by instruction set."""
TEMPORARIES = 1
"""Registers for half of a vector of f16, as f32; the half in f16 takes a temporary of the tile."""


@dataclass(frozen=True)
class Half(Multiply):
    """Vectors of f16 have twice as many lanes as vectors of f32.

    ``half_code`` writes the steps: the sums of a block are apart from the sums in f32.
    """

    longest: int = 1
    """Steps of a block, at most."""
    name: str = "vfmadd231ph"

    @property
    def instruction(self) -> str:
        """The name in assembly."""
        return self.name

    @property
    def turn(self) -> int:
        """An iteration is a block."""
        return self.longest

    @property
    def across(self) -> int:
        """Two: an f16 has half the bytes of its sum."""
        return 2

    @property
    def in_groups(self) -> DType | None:
        """None: a lane is an element."""
        return None

    def tile_rows(self, vectors: int, isa: Isa) -> int:
        """Return the most rows: each has sums in f32 and in f16."""
        across = ceil_div(vectors, self.across)
        free = isa.registers - across - isa.temporaries - TEMPORARIES
        return max(1, free // (vectors + across))

    def operations(self, rows: Any, vectors: int) -> Any:
        """Count the products, and the share of a step in the end of its block."""
        return 2 * half_cycles(rows * ceil_div(vectors, self.across), self.longest)

    def sums(self, w: Writer) -> Writer:
        """Return a writer of vectors of f16."""
        return half_writer(w, self.across)

    def operand_type(self, w: Writer) -> str:
        """Return the type of vectors of f16."""
        return self.sums(w).vector

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:  # noqa: ARG002
        """Take the elements of ``b`` as they are."""
        return vectors

    def row(self, w: Writer, vector: str) -> list[str]:  # noqa: ARG002
        """Take the element of ``a`` as it is."""
        return [vector]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write one multiply-add."""
        return self.sums(w).fma(a, b, total)

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of vectors of f16, whole and half."""
        texts = [half_writer(w, across).declarations() for across in (1, self.across)]
        lines = (line for text in texts for line in text.splitlines())
        return "".join(f"{line}\n" for line in lines if "f16" in line)


def half_writer(w: Writer, across: int) -> Writer:
    """Return a writer of vectors of f16 for the lanes of some vectors of sums."""
    return w.typed(HALF, lanes=across * w.lanes)


def half(types: Types, isa: Isa, sums: Sums) -> Half | None:
    """Return multiply-adds of f16, if they take fewer cycles than f32 with conversions.

    All blocks of a sum are equally long.
    """
    if not isa.multiplies_f16:
        return None
    most = longest_block(types, sums)
    longest = next((steps for steps in range(most, 0, -1) if sums.terms % steps == 0), 0)
    if not longest:
        return None
    way = Half(1, longest=longest, name=_NAMES[isa.name])
    tall, usual = way.tile_rows(way.across, isa), register_rows(way.across, isa)
    cost = half_cycles(tall, longest) / tall
    return way if cost < converted_cycles(usual, way.across) / usual else None
