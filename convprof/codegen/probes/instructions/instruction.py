"""A row of ``convprof instructions``: one instruction on one type in one width."""

from __future__ import annotations

from dataclasses import dataclass

SIZE = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "f16": 2, "bf16": 2, "u8": 1, "i8": 1}
"""Bytes of an element."""
TILE_BITS, TILE_ROW_BYTES = 8192, 64
"""A tile register: 16 rows of 64 bytes."""
PAGE_BYTES = 4096
MATRIX_ROW_BYTES = 8
"""A vector of AArch64 as a matrix: 2 rows of 8 bytes."""


@dataclass(frozen=True)
class Key:
    """The identity of a row, on any architecture."""

    operation: str
    """``add``, ``sub``, ``mul``, ``div``, ``sqrt``, ``fma``, ``dot``, ``matrix``, ``convert``,
    ``load`` or ``store``."""
    dtype: str
    """The type of the result."""
    bits: int | None = None
    """Vector width; ``TILE_BITS`` for a tile register, None for a scalar."""
    operands: str | None = None
    """The class of operand values, if the values can change the time."""
    source: str | None = None
    """The source type of a conversion, or of the products of ``dot`` and ``matrix``."""

    @property
    def name(self) -> str:
        """``div f32 512 full``, ``i32->f64 scalar``: unique among the rows."""
        types = f"{self.source}->{self.dtype}" if self.source else self.dtype
        what = types if self.operation == "convert" else f"{self.operation} {types}"
        width = "tile" if self.bits == TILE_BITS else str(self.bits or "scalar")
        return " ".join(part for part in (what, width, self.operands) if part)

    @property
    def lanes(self) -> int:
        """Elements that one instruction computes; a conversion's wider type fills the vector."""
        if self.bits is None:
            return 1
        return self.bits // (8 * max(SIZE[self.dtype], SIZE[self.source or self.dtype]))

    @property
    def operations(self) -> int:
        """Operations behind one element: 2 per product that is added, else 1."""
        if self.operation == "dot":
            row = TILE_ROW_BYTES if self.bits == TILE_BITS else SIZE[self.dtype]
            return 2 * row // SIZE[self.source or self.dtype]
        if self.operation == "matrix":
            return 2 * MATRIX_ROW_BYTES // SIZE[self.source or self.dtype]
        return 2 if self.operation == "fma" else 1


@dataclass(frozen=True)
class Values:
    """The operand values of an instruction, in the type that it reads.

    Values remain normal numbers through any number of steps: no overflow, no denormals, no NaN.
    """

    x: float = 1
    """The first value of every chain."""
    a: float = 0
    b: float = 0
    """Constant operands."""


@dataclass(frozen=True)
class Instruction:
    """One row: the templates of its chains.

    Templates name the chain's own register as ``{x}`` (vector), ``{g}`` (general, in the type's
    width) and so on; the architecture's module lists the names.
    """

    key: Key
    mnemonic: str
    chain: tuple[str, ...]
    """Steps of a dependent chain, repeated in order; () if the result cannot be an operand."""
    values: Values
    free: tuple[str, ...] = ()
    """Steps of the throughput loop; by default the steps of the chain, on many registers."""
    needs: tuple[str, ...] = ()
    """Required extensions, by their names in `machine.isa`."""
    counted: int = 1
    """Steps of the chain that are the instruction or its inverse; other steps are glue."""
    glue_cycles: int = 0
    """Cycles of the glue per round of the steps: single-cycle integer operations."""
    glue: Key | None = None
    """Another row, whose latency is also part of a round of the steps."""
    slow: bool = False
    """Whether an instruction takes tens of cycles: then a loop needs fewer of them."""
    note: str | None = None
    """The content of the latency, if it is not obvious."""
    places: tuple[int, ...] = ()
    """Where each step of the throughput loop reads, in bytes, if not all at one place: ``{place}``
    of the template."""

    @property
    def independent(self) -> tuple[str, ...]:
        """Steps for the throughput loop."""
        return self.free or self.chain


@dataclass(frozen=True)
class Absent:
    """A row for which the architecture has no instruction."""

    key: Key
    reason: str


ADDEND = "through the addend"
SMALL, LARGE = "small", "large"
SIMPLE, FULL = "simple", "full"

EPSILON = 2.0**-40
"""Its square has no effect when added to 1 in either float type, but is a normal number in both."""
GROWTH = 1 + 2.0**-20
"""A factor whose product over a loop of 10^5 multiplications is less than 1.11."""
MANTISSA = 1.3713713
"""A number with a long mantissa in both types."""

VALUES = {
    "add": Values(1, EPSILON * EPSILON),
    "sub": Values(1, EPSILON * EPSILON),
    "mul": Values(1, GROWTH),
    "fma": Values(1, EPSILON, EPSILON),
}
"""For floats, by operation."""
TINY = Values(1, 2.0**-40, 2.0**-40)
"""Products that do not change the sum, and are normal numbers in bf16 and f32."""
HALVES = Values(1, 2.0**-7, 2.0**-7)
"""The same in f16."""
DIVISION = {SIMPLE: Values(4, 2, 0.5), FULL: Values(MANTISSA, 1.9283746, 1 / 1.9283746)}
"""``x / a / b`` is ``x`` again, but for rounding. Simple: powers of two."""
SQUARE_ROOT = {SIMPLE: Values(4, 4, 2), FULL: Values(MANTISSA**2, 1.9283746, MANTISSA)}
"""``sqrt(x) * b`` has the fixed point ``b * b``; a chain of roots only would converge to 1."""
INTEGER = Values(3, 0x2545F491, 0x1F123BB5)
"""Wraps around and stays odd under multiplication."""
