"""Read assembly text: find the loops of a kernel and count what is in them.

Works on what LLVM prints for x86-64 (AT&T syntax) and AArch64. Nothing here generates or runs code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WIDTHS = ("xmm", "ymm", "zmm", "v")
"""Kinds of vector register, narrowest first; ``v`` is AArch64's."""

_LABEL = re.compile(r"([\w.$]+):")
_COMMENT = re.compile(r"\s*(?:#+(?=\s|[A-Z]|$)|//|;).*")
"""AArch64 writes its immediates with ``#`` too, but never with a blank after it."""

_X86_JUMP = re.compile(r"j[a-z]+\s+([\w.$]+)$")
_ARM_JUMP = re.compile(r"(?:b(?:\.[a-z]+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+([\w.$]+)$")

_X86_VECTOR = re.compile(r"%([xyz]mm)\d+")
_ARM_VECTOR = re.compile(r"\b(?:v\d+\.|[qds]\d+\b)")

_X86_MEMORY = re.compile(r"[-\w.$+]*\([^)]*%[^)]*\)")
_ARM_MEMORY = re.compile(r"\[(?:x\d+|sp)\b")
_MASK = re.compile(r"\{%k\d\}")
_X86_STACK = re.compile(r"\(%[re]sp\b")
_X86_FRAME = re.compile(r"\(%[re]bp\b")
_ARM_STACK = re.compile(r"\[sp\b")
_ARM_FRAME = re.compile(r"\[x29\b")

_FUSED = re.compile(r"(?:vfn?m(?:add|sub)\d+p[sd]|fml[as])\b")
_MULTIPLY = re.compile(r"(?:v?mulp[sd]|fmul)\b")
_ADD = re.compile(r"(?:v?(?:add|sub)p[sd]|fadd|fsub)\b")
_ELEMENT = re.compile(r"(?:v?movs[sdh]|v?movddup|v?broadcast\w+|ld1r|(?:ldr|ldur|ldp)\s+[sd]\d+)\b")
_NO_ACCESS = ("lea", "prefetch", "prfm", "nop")


@dataclass(frozen=True)
class Code:
    """Instructions that belong together: a loop's body, or a whole function."""

    instructions: tuple[str, ...]
    fmas: int
    """Vector multiply-adds on registers of the widest kind that occurs; a multiplication and an
    addition count as one where they are not fused."""
    fused: bool
    """Whether multiply-adds are single instructions."""
    loads: int
    """Vectors read from memory, by themselves or as operands."""
    broadcasts: int
    """Single elements read from memory, to be spread over a vector."""
    stores: int
    """Vectors, or elements of them, written to memory."""
    widest: str | None
    """The widest kind of vector register: ``xmm``, ``ymm``, ``zmm``, or ``v`` on AArch64."""
    spills: int
    """Accesses to the stack."""
    scalar: int
    """Instructions that name no vector register: counters, addresses, jumps."""

    def __str__(self) -> str:
        """Return ``112 FMA, 8+56 loads, 0 spills, zmm``: whole vectors + elements loaded."""
        arithmetic = "FMA" if self.fused else "multiply + add"
        loads = f"{self.loads}+{self.broadcasts} loads"
        return f"{self.fmas} {arithmetic}, {loads}, {self.spills} spills, {self.widest or 'scalar'}"


def loops(assembly: str) -> list[Code]:
    """Return every loop, from a label to the last jump back to it, in the order of the labels."""
    lines, framed = _lines(assembly), _has_frame(assembly)
    return [_count(lines[first:last], framed) for first, last in _spans(lines)]


def innermost(assembly: str) -> list[Code]:
    """Return the loops that hold no other loop."""
    lines, framed = _lines(assembly), _has_frame(assembly)
    spans = _spans(lines)
    inner = [s for s in spans if not any(s != t and s[0] <= t[0] and t[1] <= s[1] for t in spans)]
    return [_count(lines[first:last], framed) for first, last in inner]


def whole(assembly: str) -> Code:
    """Return everything between the first label and the end as one stretch."""
    return _count(_lines(assembly), _has_frame(assembly))


def busiest(assembly: str) -> Code:
    """Return the innermost loop with most multiply-adds, and of those with most vectors moved.

    Everything where there is no loop.
    """
    found = innermost(assembly)
    most = max(found, key=lambda code: (code.fmas, code.loads + code.stores), default=None)
    return most or whole(assembly)


def _lines(assembly: str) -> list[str]:
    """Return labels and instructions without directives, comments and surplus blanks."""
    lines = (_COMMENT.sub("", line).strip() for line in assembly.splitlines())
    found = (re.sub(r"\s+", " ", line) for line in lines if line)
    return [line for line in found if not line.startswith(".") or _LABEL.fullmatch(line)]


def _spans(lines: list[str]) -> list[tuple[int, int]]:
    """Return the loops' first line and the one after the last; one loop per label."""
    labels = {match[1]: at for at, line in enumerate(lines) if (match := _LABEL.fullmatch(line))}
    found: dict[int, int] = {}
    for at, line in enumerate(lines):
        jump = _X86_JUMP.fullmatch(line) or _ARM_JUMP.fullmatch(line)
        start = labels.get(jump[1], at) if jump else at
        if start < at:
            found[start] = at + 1
    return sorted(found.items())


def _has_frame(assembly: str) -> bool:
    """Return whether a frame pointer is set up; elsewhere its register is as good as any other."""
    return bool(re.search(r"movq\s+%rsp, %rbp|(?:mov|add)\s+x29, sp", assembly))


def _count(lines: list[str], framed: bool) -> Code:
    instructions = tuple(line for line in lines if not _LABEL.fullmatch(line))
    kinds = [_kind(text) for text in instructions]
    widest = max((kind for kind in kinds if kind), key=WIDTHS.index, default=None)
    wide = [text for text, kind in zip(instructions, kinds, strict=True) if kind and kind == widest]
    fused = sum(bool(_FUSED.match(text)) for text in wide)
    apart = [sum(bool(which.match(text)) for text in wide) for which in (_MULTIPLY, _ADD)]
    stack = [on_stack(text, framed=framed) for text in instructions]
    accesses = [
        _access(text)
        for text, kind, spill in zip(instructions, kinds, stack, strict=True)
        if kind and not spill
    ]
    return Code(
        instructions=instructions,
        fmas=fused + min(apart),
        fused=fused > 0 or min(apart) == 0,
        loads=sum(count for what, count in accesses if what == "load"),
        broadcasts=sum(count for what, count in accesses if what == "element"),
        stores=sum(count for what, count in accesses if what == "store"),
        widest=widest,
        spills=sum(stack),
        scalar=kinds.count(None),
    )


def _kind(text: str) -> str | None:
    """Return the widest kind of vector register that an instruction names."""
    named = [match[1] for match in _X86_VECTOR.finditer(text)]
    if named:
        return max(named, key=WIDTHS.index)
    return "v" if _ARM_VECTOR.search(text) else None


def _access(text: str) -> tuple[str, int]:
    """Return what an instruction on vectors does with memory, and with how many of them."""
    if text.startswith(_NO_ACCESS):
        return "none", 0
    if _ARM_MEMORY.search(text):
        count = 2 if text.startswith(("ldp", "stp")) else 1
        if text.startswith("st"):
            return "store", count
        return "element" if _ELEMENT.match(text) else "load", count
    operand = _X86_MEMORY.search(text)
    if operand is None:
        return "none", 0
    rest = _MASK.sub("", text[operand.end() :])
    if "%" not in rest:  # AT&T: the last operand is the target
        return "store", 1
    return "element" if "{1to" in rest or _ELEMENT.match(text) else "load", 1


def on_stack(text: str, *, framed: bool = False) -> bool:
    """Return whether an instruction accesses the stack; ``framed``: through a frame pointer too."""
    places = [_X86_STACK, _ARM_STACK, *([_X86_FRAME, _ARM_FRAME] if framed else [])]
    return any(place.search(text) for place in places)
