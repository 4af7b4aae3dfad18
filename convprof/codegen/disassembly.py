"""Read assembly text: its loops, the number of instructions, the dependencies of an iteration.

A register is a chain if its value after an iteration is a sum that contains its value before: the
next iteration has to wait for it. The syntax is LLVM's for x86-64 (AT&T) and AArch64; this module
generates and runs no code.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from convprof.codegen.assembly_line import ADD, FMA, MULTIPLY, SCALAR, WIDTHS, Instruction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LABEL = re.compile(r"([\w.$]+):")
_COMMENT = re.compile(r"\s*(?:#+(?=\s|[A-Z]|$)|//|;).*")
"""AArch64 immediates begin with ``#`` too, but no blank follows the sign."""

_X86_JUMP = re.compile(r"j[a-z]+\s+([\w.$]+)$")
_ARM_JUMP = re.compile(r"(?:b(?:\.[a-z]+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+([\w.$]+)$")
_FRAME = re.compile(r"movq\s+%rsp, %rbp|(?:mov|add)\s+x29, sp")


class _Counted(Protocol):
    """Instructions that were counted."""

    @property
    def counts(self) -> Mapping[str, int]: ...

    @property
    def flops(self) -> int: ...

    @property
    def bytes_moved(self) -> int: ...


class Figures:
    """What follows from the numbers of instructions, of code or of a document."""

    __slots__ = ()

    @property
    def fused(self: _Counted) -> bool:
        """Whether multiply-adds are single instructions."""
        return self.counts[FMA] >= self.counts[MULTIPLY]

    @property
    def lanes(self: _Counted) -> float:
        """Elements that an arithmetic instruction computes, on average."""
        slots = 2 * self.counts[FMA] + self.counts[MULTIPLY] + self.counts[ADD]
        return self.flops / slots if slots else 0.0

    @property
    def bytes_per_flop(self: _Counted) -> float:
        """Bytes from and to L1 per FLOP."""
        return self.bytes_moved / self.flops


@dataclass(frozen=True)
class Code(Figures):
    """A sequence of instructions: an iteration of a loop, or a whole function."""

    instructions: tuple[str, ...]
    framed: bool = False
    """Whether a frame pointer is used; otherwise its register is a general register."""

    def __str__(self) -> str:
        """Return ``112 FMA, 8+56 loads, 0 spills, zmm``: whole vectors + elements loaded."""
        arithmetic = f"{self.fmas} {'FMA' if self.fmas_are_fused else 'multiply + add'}"
        if self.products:
            arithmetic = ", ".join(f"{count} {name}" for name, count in self.products.items())
        loads = f"{self.loads}+{self.elements} loads"
        return f"{arithmetic}, {loads}, {self.spills} spills, {self.widest or SCALAR}"

    @cached_property
    def _lines(self) -> tuple[Instruction, ...]:
        return tuple(map(Instruction, self.instructions))

    # Arithmetic.

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Floating-point instructions by kind: ``fma``, ``mul``, ``add``."""
        kinds = Counter(line.arithmetic for line in self._lines)
        return {kind: kinds[kind] for kind in (FMA, MULTIPLY, ADD)}

    @cached_property
    def flops(self) -> int:
        """Floating-point operations; a multiply-add is two."""
        return sum(
            line.lanes[0] * (2 if line.arithmetic == FMA else 1)
            for line in self._lines
            if line.arithmetic
        )

    @cached_property
    def products(self) -> Counter[str]:
        """Instructions for sums of products of short elements, by name."""
        return Counter(line.products for line in self._lines if line.products)

    @cached_property
    def width(self) -> str:
        """The widest register of the arithmetic: ``xmm``, ``ymm``, ``zmm``, ``v`` or ``scalar``."""
        widths = (line.lanes[1] for line in self._lines if line.arithmetic)
        return max(widths, key=WIDTHS.index, default=SCALAR)

    @cached_property
    def widest(self) -> str | None:
        """The widest kind of vector register in the code; None without vector registers."""
        named = (line.vector for line in self._lines if line.vector)
        return max(named, key=WIDTHS.index, default=None)

    @cached_property
    def _wide(self) -> Counter[str | None]:
        """Arithmetic on vectors of the widest kind in the code, by kind of operation."""
        return Counter(
            line.arithmetic for line in self._lines if line.lanes[1] == self.widest is not None
        )

    @property
    def fmas(self) -> int:
        """Vector multiply-adds on the widest registers; two instructions count as one."""
        return self._wide[FMA] + min(self._wide[MULTIPLY], self._wide[ADD])

    @property
    def fmas_are_fused(self) -> bool:
        """Whether there are no multiply-adds of two instructions, or some of one instruction."""
        return self._wide[FMA] > 0 or not self.fmas

    # Memory.

    @cached_property
    def spills(self) -> int:
        """Instructions that access the stack, because the registers do not hold all values."""
        return sum(line.on_stack(framed=self.framed) for line in self._lines)

    @cached_property
    def _accesses(self) -> Counter[str]:
        """Accesses to memory outside of the stack, by kind."""
        accesses: Counter[str] = Counter()
        for line in self._lines:
            if not line.on_stack(framed=self.framed):
                accesses[line.access.what] += line.access.times
        return accesses

    @property
    def _is_scalar(self) -> bool:
        """Whether all arithmetic is scalar: a number from memory is then not broadcast."""
        return self.width == SCALAR and any(self.counts.values())

    @property
    def loads(self) -> int:
        """Whole vectors read, by loads or as operands; in scalar code, numbers."""
        return self._accesses["vector"] + (self._accesses["single"] if self._is_scalar else 0)

    @property
    def elements(self) -> int:
        """Single numbers that are read and broadcast to a vector."""
        return self._accesses["element"] + (0 if self._is_scalar else self._accesses["single"])

    @property
    def stores(self) -> int:
        """Vectors, or elements of them, written."""
        return self._accesses["store"]

    @cached_property
    def bytes_moved(self) -> int:
        """Bytes between vector registers and the first-level cache, including the stack."""
        return sum(line.access.times * line.access.bytes for line in self._lines)

    @cached_property
    def scalar(self) -> int:
        """Instructions without vector registers: counters, addresses, jumps."""
        return sum(line.vector is None for line in self._lines)

    # The dependencies of an iteration on the iteration before.

    @property
    def chains(self) -> int:
        """Sums that an iteration continues from the iteration before."""
        return len(self._ways)

    @property
    def links(self) -> dict[str, int]:
        """Instructions by kind on the longest dependency chain through one iteration."""
        none: Counter[str] = Counter()
        longest = max(self._ways, key=Counter.total, default=none)
        return dict(longest)

    @cached_property
    def _ways(self) -> list[Counter[str]]:
        """The instructions between each register and its own value one iteration before."""
        now: dict[str, dict[str, Counter[str]]] = {}
        for line in self._lines:
            if line.operands is None:
                continue
            target, sources = line.operands
            ways: dict[str, Counter[str]] = {}
            for source in sources:
                for origin, way in now.get(source, {source: Counter()}).items():
                    longer = way + Counter([line.arithmetic] if line.arithmetic else [])
                    if origin not in ways or longer.total() > ways[origin].total():
                        ways[origin] = longer
            now[target] = ways
        return [own for name, ways in now.items() if (own := ways.get(name))]

    @cached_property
    def walk(self) -> tuple[int, int] | None:
        """Bytes per iteration by which the pointer to the vectors advances, and that it loads."""
        steps = dict(line.step for line in self._lines if line.step)
        used: Counter[str] = Counter()
        for line in self._lines:
            if line.base in steps:
                used[line.base] += line.access.times * line.access.bytes
        return max(((steps[name], size) for name, size in used.items()), key=_second, default=None)


def _second(pair: tuple[int, int]) -> int:
    return pair[1]


def read(text: str) -> Code:
    """Return all instructions of a text as one piece."""
    return _code(_lines(text), framed=bool(_FRAME.search(text)))


def loops(assembly: str) -> list[Code]:
    """Return every loop, from a label to the last jump to it, in the order of the labels."""
    return _loops(assembly, innermost=False)


def innermost(assembly: str) -> list[Code]:
    """Return the loops that hold no other loop."""
    return _loops(assembly, innermost=True)


def _work(code: Code) -> tuple[int, int]:
    """Return the instructions that multiply, then the vectors moved."""
    return code.fmas + code.products.total(), code.loads + code.stores


def busiest(assembly: str) -> Code:
    """Return the innermost loop with the most products, then with the most vectors moved.

    Without a loop, return all instructions.
    """
    candidates = innermost(assembly)
    most = max(candidates, key=_work, default=None)
    return most or read(assembly)


def hottest(texts: Iterable[str]) -> Code | None:
    """Return the innermost loop of all texts with the most FLOPs per iteration, or None."""
    working = [code for text in texts for code in innermost(text) if code.flops]
    return max(working, key=lambda code: code.flops, default=None)


def _loops(assembly: str, *, innermost: bool) -> list[Code]:
    lines, framed = _lines(assembly), bool(_FRAME.search(assembly))
    spans = _spans(lines)
    if innermost:
        spans = [s for s in spans if not any(s != t and _holds(s, t) for t in spans)]
    return [_code(lines[first:last], framed=framed) for first, last in spans]


def _holds(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _code(lines: list[str], *, framed: bool) -> Code:
    return Code(tuple(line for line in lines if not _LABEL.fullmatch(line)), framed)


def _lines(assembly: str) -> list[str]:
    """Return labels and instructions without directives, comments and surplus blanks."""
    lines = (_COMMENT.sub("", line).strip() for line in assembly.splitlines())
    short = (re.sub(r"\s+", " ", line) for line in lines if line)
    return [line for line in short if not line.startswith(".") or _LABEL.fullmatch(line)]


def _spans(lines: list[str]) -> list[tuple[int, int]]:
    """Return the first line of each loop and the line after its last; one loop per label."""
    labels = {match[1]: at for at, line in enumerate(lines) if (match := _LABEL.fullmatch(line))}
    spans: dict[int, int] = {}
    for at, line in enumerate(lines):
        jump = _X86_JUMP.fullmatch(line) or _ARM_JUMP.fullmatch(line)
        start = labels.get(jump[1], at) if jump else at
        if start < at:
            spans[start] = at + 1
    return sorted(spans.items())
