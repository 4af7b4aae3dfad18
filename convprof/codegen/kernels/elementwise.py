"""Rows of vectors with independent elements: the memory limits the speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from convprof.codegen.kernels import elementary, functions
from convprof.codegen.kernels.base import Kernel, Pointers, Role
from convprof.codegen.writer import UNROLL, Writer, counted, sweep
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.codegen.kernels.elements import Elements
    from convprof.dtypes import DType
    from convprof.problems.epilogue import Function
    from convprof.problems.ops.elementary import ElementaryFunction

# fmt: off
Join: TypeAlias = Literal[
    "copy", "add", "multiply", "scale and shift", "maximum", "minimum",
    "affine", "at least", "at most", "clip", "ramp", "elu",
    "divide", "root", "reciprocal", "reciprocal root",
    "is equal", "is not equal", "is less", "is at most", "is more",
    "is at least", "select", "select second",
]
# fmt: on
"""The step for the operands of an element: ``a``, ``a + b``, ``a b``, ``a b + c``, the larger or
smaller of ``a`` and ``b``; affine is ``a factor + term`` with two
constants, and ramp is affine clamped to 0 and 1; elu has the factors below 0 and above. Relations
give 1 or 0; "select" is ``b`` where ``a`` is not 0, else ``c``, and "select second" has the two in
the other order, so that the first of them may be a constant. The other steps have one or two
constants as limits."""

HELD_SHARE = 4
"""Operands that are the same in every row use up to a quarter of the registers."""


@dataclass(frozen=True, slots=True)
class Operand:
    """The layout of an operand. Offsets in elements."""

    row: int
    """From one row to the next; 0 if all rows are the same."""
    across: bool
    """Whether the operand has an element for each element of a row, or one for the whole row."""
    role: Role = "source"
    """``accumulator`` for factors and terms that are computed beforehand."""


@dataclass(frozen=True)
class RowsTile(Kernel):
    """``void tile(T *o0, ..., T *y)``: ``y[i, j] = step(o0[i, j], ...)``, row by row."""

    rows: int
    length: int
    operands: tuple[Operand, ...]
    y_row: int
    """Elements from one row of the result to the next."""
    step: Join | Function | ElementaryFunction
    constants: tuple[float, ...] = ()
    """The constants of the step: factor and term, or limits."""
    registers: int = 16

    @property
    def title(self) -> str:
        """``relu of 1 x 16384``."""
        return f"{self.step} of {self.rows} x {self.length}"

    @property
    def elements(self) -> int:
        """Results in one execution."""
        return self.rows * self.length

    @property
    def parameters(self) -> Pointers:
        """A pointer for each operand, then one for the result."""
        operands = enumerate(self.operands)
        return (*((f"%o{i}", operand.role) for i, operand in operands), ("%y", "result"))

    @property
    def _computes_in(self) -> DType:
        return self.types.source if self.step == "copy" else self.types.accumulator

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics, with the square roots of a vector where the step has some."""
        root = f"declare {w.vector} @llvm.sqrt.{w.suffix}({w.vector})\n"
        return (root if self.step in _ROOTS else "") + super().declarations(w)

    def _code(self, w: Writer) -> str:
        held = self._held(w)
        together = max(1, UNROLL // self._vectors)  # rows in an iteration of the loop
        iterations = self.rows // together

        def iteration(index: str, nothing: list[str]) -> list[str]:
            first = w.add(f"mul i64 {index}, {together}")
            for i in range(together):
                self._row(w, w.add(f"add i64 {first}, {i}"), held)
            return nothing

        counted(w, iterations, iteration)
        for row in range(iterations * together, self.rows):
            self._row(w, str(row), held)
        return f"{w.taken()}\n"

    @property
    def _vectors(self) -> int:
        return ceil_div(self.length, self.lanes)

    def _held(self, w: Writer) -> dict[tuple[int, str], str]:
        """Write the loads of operands that are the same in every row, if registers are free."""
        read = [self._memory(w, operand.role) for operand in self.operands]
        fixed = [i for i, operand in enumerate(self.operands) if operand.row == 0]
        held = {(i, ""): read[i].broadcast(f"%o{i}") for i in fixed if not self.operands[i].across}
        wide = [i for i in fixed if self.operands[i].across]
        if self.rows == 1 or len(wide) * self._vectors > self.registers // HELD_SHARE:
            return held
        for i in wide:

            def load(offset: str, mask: str | None, nothing: str, i: int = i) -> str:
                held[i, offset] = read[i].load(read[i].at(f"%o{i}", offset), mask)
                return nothing

            sweep(w, self.length, load, across=self._vectors + 1)
        return held

    def _row(self, w: Writer, row: str, held: dict[tuple[int, str], str]) -> None:
        places, values = {}, dict(held)
        read = [self._memory(w, operand.role) for operand in self.operands]
        result = self._memory(w, "result")
        for i, operand in enumerate(self.operands):
            places[i] = _start(read[i], f"%o{i}", row, operand.row)
            if not operand.across and (i, "") not in held:
                values[i, ""] = read[i].broadcast(places[i])
        y = _start(result, "%y", row, self.y_row)

        def vector(offset: str, mask: str | None, nothing: str) -> str:
            operands = []
            for i, place in places.items():
                known = values.get((i, "")) or values.get((i, offset))
                operands.append(known or read[i].load(read[i].at(place, offset), mask))
            result.store(self._stepped(w, operands), result.at(y, offset), mask)
            return nothing

        straight = self._vectors <= 2 * UNROLL
        sweep(w, self.length, vector, across=self._vectors + 1 if straight else UNROLL)

    def _stepped(self, w: Writer, operands: list[str]) -> str:
        constants = [w.splat(w.rounded(number)) for number in self.constants]
        return _STEPS[self.step](w, *operands, *constants)


def _start(elements: Elements, pointer: str, row: str, apart: int) -> str:
    """Write the position of a row."""
    if not apart:
        return pointer
    return elements.at(pointer, elements.w.add(f"mul i64 {row}, {apart}"))


def _root(w: Writer, x: str) -> str:
    return w.add(f"call {w.vector} @llvm.sqrt.{w.suffix}({w.vector} {x})")


def _reciprocal(w: Writer, x: str) -> str:
    return w.add(f"fdiv {w.vector} {w.splat(1.0)}, {x}")


def _chosen(w: Writer, condition: str, a: str, b: str) -> str:
    """Write ``a`` where the condition is not 0 (NaN is not 0), else ``b``."""
    return w.select(w.add(f"fcmp une {w.vector} {condition}, {w.splat(0.0)}"), a, b)


def _relation(predicate: str) -> Callable[[Writer, str, str], str]:
    """Return what writes 1 where LLVM's relation is true, else 0."""

    def write(w: Writer, a: str, b: str) -> str:
        true = w.add(f"fcmp {predicate} {w.vector} {a}, {b}")
        return w.select(true, w.splat(1.0), w.splat(0.0))

    return write


_ROOTS = frozenset(("root", "reciprocal root"))
_STEPS: dict[Join | Function | ElementaryFunction, Callable[..., str]] = {
    **dict(functions.WRITERS.items()),
    **dict(elementary.WRITERS.items()),
    "copy": lambda _, a: a,
    "add": lambda w, a, b: w.add(f"fadd {w.vector} {a}, {b}"),
    "multiply": lambda w, a, b: w.add(f"fmul {w.vector} {a}, {b}"),
    "scale and shift": lambda w, a, b, c: w.fma(a, b, c),
    "affine": lambda w, a, b, c: w.fma(a, b, c),
    "at least": lambda w, a, low: w.larger(a, low),
    "at most": lambda w, a, high: w.smaller(a, high),
    "clip": lambda w, a, low, high: w.smaller(w.larger(a, low), high),
    "elu": functions.elu,
    "maximum": lambda w, a, b: w.larger(a, b),
    "minimum": lambda w, a, b: w.smaller(a, b),
    "divide": lambda w, a, b: w.add(f"fdiv {w.vector} {a}, {b}"),
    "root": _root,
    "reciprocal": _reciprocal,
    "reciprocal root": lambda w, a: _reciprocal(w, _root(w, a)),
    "is equal": _relation("oeq"),
    "is not equal": _relation("une"),
    "is less": lambda w, a, b: _relation("ogt")(w, b, a),
    "is at most": lambda w, a, b: _relation("oge")(w, b, a),
    "is more": _relation("ogt"),
    "is at least": _relation("oge"),
    "select": _chosen,
    "select second": lambda w, condition, b, a: _chosen(w, condition, a, b),
    "ramp": lambda w, a, b, c: w.smaller(w.larger(w.fma(a, b, c), w.splat(0.0)), w.splat(1.0)),
}
