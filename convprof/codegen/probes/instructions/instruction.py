"""A row of ``convprof instructions``: one instruction on one type in one width."""

from __future__ import annotations

from dataclasses import dataclass

SIZE = {"i32": 4, "i64": 8, "f32": 4, "f64": 8}
"""Bytes of an element."""


@dataclass(frozen=True)
class Key:
    """What differs between rows, on any architecture."""

    operation: str
    """``add``, ``sub``, ``mul``, ``div``, ``sqrt``, ``fma``, ``convert`` or ``load``."""
    dtype: str
    """The type of the result."""
    bits: int | None = None
    """Vector width; None for a scalar."""
    operands: str | None = None
    """The class of operand values, where their values can matter."""
    source: str | None = None
    """For a conversion the type converted from."""

    @property
    def name(self) -> str:
        """``div f32 512 full``, ``i32->f64 scalar``: unique among the rows."""
        what = f"{self.source}->{self.dtype}" if self.source else f"{self.operation} {self.dtype}"
        width = "scalar" if self.bits is None else str(self.bits)
        return " ".join(part for part in (what, width, self.operands) if part)

    @property
    def lanes(self) -> int:
        """Elements that one instruction computes; a conversion's wider type fills the vector."""
        if self.bits is None:
            return 1
        return self.bits // (8 * max(SIZE[self.dtype], SIZE[self.source or self.dtype]))


@dataclass(frozen=True)
class Values:
    """The numbers that an instruction works on, in the type that it reads.

    They stay normal through any number of steps: no overflow, no denormals, no NaN.
    """

    x: float = 1
    """Where every chain starts."""
    a: float = 0
    b: float = 0
    """Constant operands."""


@dataclass(frozen=True)
class Instruction:
    """One row: how its chains are written.

    Templates name the chain's own register as ``{x}`` (vector), ``{g}`` (general, in the type's
    width) and so on; the architecture's module says which names there are.
    """

    key: Key
    mnemonic: str
    chain: tuple[str, ...]
    """Steps of a dependent chain, repeated in turn; () where the result cannot feed the operand."""
    values: Values
    free: tuple[str, ...] = ()
    """Steps of independent ones; by default the chain's, on many registers at once."""
    needs: tuple[str, ...] = ()
    """Extensions, by the names that `machine.isa` gives them."""
    counted: int = 1
    """Steps of the chain that are the instruction or its way back; the others are glue."""
    glue_cycles: int = 0
    """Cycles that glue takes per round through the steps: single-cycle integer operations."""
    glue: Key | None = None
    """The row whose latency a round through the steps also contains."""
    slow: bool = False
    """Tens of cycles each: fewer make a loop long enough."""
    note: str | None = None
    """What the latency contains, where that is not obvious."""

    @property
    def independent(self) -> tuple[str, ...]:
        """Steps for the throughput loop."""
        return self.free or self.chain


@dataclass(frozen=True)
class Absent:
    """A row for which the architecture has no instruction."""

    key: Key
    reason: str


SMALL, LARGE = "small", "large"
SIMPLE, FULL = "simple", "full"

EPSILON = 2.0**-40
"""Its square vanishes when 1 is added in either float type and is still normal in both."""
GROWTH = 1 + 2.0**-20
"""A factor that a loop of 10^5 multiplications raises to less than 1.11."""
MANTISSA = 1.3713713
"""No short mantissa in either type."""

VALUES = {
    "add": Values(1, EPSILON * EPSILON),
    "sub": Values(1, EPSILON * EPSILON),
    "mul": Values(1, GROWTH),
    "fma": Values(1, EPSILON, EPSILON),
}
"""For floats, by operation."""
DIVISION = {SIMPLE: Values(4, 2, 0.5), FULL: Values(MANTISSA, 1.9283746, 1 / 1.9283746)}
"""``x / a / b`` is ``x`` again, but for rounding. Simple: powers of two."""
SQUARE_ROOT = {SIMPLE: Values(4, 4, 2), FULL: Values(MANTISSA**2, 1.9283746, MANTISSA)}
"""``sqrt(x) * b`` has the fixed point ``b * b``; a bare chain of roots would end at 1."""
INTEGER = Values(3, 0x2545F491, 0x1F123BB5)
"""Wraps around and stays odd under multiplication."""
