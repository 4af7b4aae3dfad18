"""One instruction of an assembly text: its operation, its inputs and its outputs.

The syntax is LLVM's for x86-64 (AT&T) and AArch64.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

FMA, MULTIPLY, ADD = "fma", "mul", "add"
SCALAR = "scalar"
WIDTHS = (SCALAR, "xmm", "ymm", "zmm", "tmm", "v")
"""Kinds of register that floating-point arithmetic uses, narrowest first; ``tmm`` are the tile
registers of AMX, ``v`` AArch64's vectors."""
BYTES = {"xmm": 16, "ymm": 32, "zmm": 64, "tmm": 1024, "v": 16}

_ARITHMETIC = (
    (FMA, re.compile(r"vfn?m(?:add|sub)\d+([ps])([sdh])\b|fml[as]\b|fn?m(?:add|sub)\b")),
    (MULTIPLY, re.compile(r"v?mul([ps])([sdh])\b|fmul\b")),
    (ADD, re.compile(r"v?(?:add|sub)([ps])([sdh])\b|f(?:add|sub)\b")),
)
_PRODUCTS = re.compile(
    r"(?:\{\w+\} )?(v?pdpb[su][su]ds?|vdpbf16ps|v?pdpwssd|v?pmaddwd|tdp\w+"
    r"|(?:[us]+|bf)(?:dot|mmla))\b"
)
"""Instructions that multiply groups of short elements and add the products of each group."""
_X86_REGISTER = re.compile(r"%([txyz]mm)(\d+)")
_ARM_REGISTER = re.compile(r"\b([vqds])(\d+)\b(?:\.(\d+)?([sd])(?:\[\d+\])?)?")
_X86_MEMORY = re.compile(r"[-\w.$+]*\([^)]*%[^)]*\)")
_ARM_MEMORY = re.compile(r"\[(?:x\d+|sp)\b")
_ARM_LANE = re.compile(r"\}\[\d+\]")
"""One element of a vector: ``ld1 { v0.d }[1], [x8]``."""
_MASK = re.compile(r"\{%k\d\}")
_BROADCAST = re.compile(r"\{1to\d+\}")
_SPREAD = re.compile(r"v?movddup\b|vp?broadcast\w+|ld1r\b")
_PART = re.compile(r"v?broadcast[fi](\d+)(?:x(\d+))?\b")
_SINGLE = re.compile(r"v?movs([sdh])\b")
_SCALAR_OPERATION = re.compile(r"v?(?:mul|add|sub|fn?m(?:add|sub)\d+)s([sd])\b")
_NO_ACCESS = ("lea", "prefetch", "prfm", "nop")
_ARM_BYTES = {"q": 16, "v": 16, "d": 8, "s": 4}

_X86_STACK = re.compile(r"\(%[re]sp\b")
_X86_FRAME = re.compile(r"\(%[re]bp\b")
_ARM_STACK = re.compile(r"\[sp\b")
_ARM_FRAME = re.compile(r"\[x29\b")

_BASE = re.compile(r"^(?:-?\d+)?\(%(\w+)\)$")
_STEP = re.compile(r"(addq|subq) \$(-?\d+), %(\w+)$|leaq (-?\d+)\(%(\w+)\), %(\w+)$")

What: TypeAlias = Literal["none", "vector", "single", "element", "store"]


class Access(NamedTuple):
    """The memory access of an instruction on vector registers.

    ``vector``: reads whole vectors, or the operand of scalar arithmetic. ``element``: reads a
    number and spreads it over a vector. ``single``: reads one number into a register.
    """

    what: What
    times: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Instruction:
    """An instruction without its comment, and with single blanks."""

    text: str

    @cached_property
    def arithmetic(self) -> str | None:
        """``fma``, ``mul`` or ``add``; None for other instructions."""
        return next((kind for kind, pattern in _ARITHMETIC if pattern.match(self.text)), None)

    @cached_property
    def products(self) -> str | None:
        """The name of an instruction for sums of products of short elements; else None."""
        match = _PRODUCTS.match(self.text)
        return match[1] if match else None

    @cached_property
    def vector(self) -> str | None:
        """The widest kind of vector register in the instruction; None without vector registers."""
        named: list[str] = [kind for kind, _ in _X86_REGISTER.findall(self.text)]
        if named:
            return max(named, key=WIDTHS.index)
        return "v" if _ARM_REGISTER.search(self.text) else None

    @cached_property
    def lanes(self) -> tuple[int, str]:
        """The elements that arithmetic computes, and the kind of register or ``scalar``."""
        for _, pattern in _ARITHMETIC:
            match = pattern.match(self.text)
            if match and match[1]:
                if match[1] == "s" or self.vector is None:
                    return 1, SCALAR
                return BYTES[self.vector] // _size(match[2]), self.vector
        target = _ARM_REGISTER.search(self.text)
        return (int(target[3]), "v") if target and target[3] else (1, SCALAR)

    @cached_property
    def access(self) -> Access:
        """The memory access; None for an instruction without a vector register."""
        if self.text.startswith(_NO_ACCESS):
            return Access("none")
        if _ARM_MEMORY.search(self.text):
            return self._arm_access()
        operand = _X86_MEMORY.search(self.text)
        if operand is None or self.vector is None:
            return Access("none")
        stored = "%" not in _MASK.sub("", self.text[operand.end() :])  # the target comes last
        size = self._x86_bytes()
        if stored:
            return Access("store", 1, size)
        if _BROADCAST.search(self.text) or _SPREAD.match(self.text):
            return Access("element", 1, size)
        return Access("single" if _SINGLE.match(self.text) else "vector", 1, size)

    def _x86_bytes(self) -> int:
        one = _SINGLE.match(self.text) or _SCALAR_OPERATION.match(self.text)
        if one is not None:
            return _size(one[1])
        if _BROADCAST.search(self.text) or _SPREAD.match(self.text):
            part = _PART.match(self.text)
            if part is not None:
                return int(part[1]) * int(part[2] or 1) // 8
            return _element_bytes(self.text.partition(" ")[0])
        return BYTES[self.vector or "xmm"]

    def _arm_access(self) -> Access:
        register = _ARM_REGISTER.search(self.text.partition("[")[0])
        if register is None:
            return Access("none")
        spread = self.text.startswith("ld1r")
        lane = _ARM_LANE.search(self.text) is not None
        size = _size(register[4] or "s") if spread or lane else _ARM_BYTES[register[1]]
        count = 2 if self.text.startswith(("ldp", "stp")) else 1
        if self.text.startswith("st"):
            return Access("store", count, size)
        if spread:
            return Access("element", count, size)
        return Access("single" if lane or register[1] in "ds" else "vector", count, size)

    def on_stack(self, *, framed: bool) -> bool:
        """Return whether it is an access to the stack; ``framed``: also through a frame pointer."""
        places = [_X86_STACK, _ARM_STACK, *([_X86_FRAME, _ARM_FRAME] if framed else [])]
        return any(place.search(self.text) for place in places)

    @cached_property
    def operands(self) -> tuple[str, list[str]] | None:
        """The vector register that is written, and the registers that its new value depends on."""
        mnemonic, _, rest = self.text.partition(" ")
        if _X86_REGISTER.search(rest):
            return _x86_operands(mnemonic, rest)
        if mnemonic.startswith(("st", "cmp", "b", "prfm")) or not mnemonic.startswith(
            ("f", "ld", "mov")
        ):
            return None
        named = [match[2] for match in _ARM_REGISTER.finditer(rest.partition("[x")[0])]
        if not named:
            return None
        return named[0], [*named[1:], named[0]] if mnemonic in {"fmla", "fmls"} else named[1:]

    @cached_property
    def step(self) -> tuple[str, int] | None:
        """The register to which a constant is added, and the constant."""
        match = _STEP.fullmatch(self.text)
        if match is None:
            return None
        if match[1]:
            return match[3], int(match[2]) if match[1] == "addq" else -int(match[2])
        return (match[5], int(match[4])) if match[5] == match[6] else None

    @cached_property
    def base(self) -> str | None:
        """The register through which whole vectors are read without an index."""
        operand = _X86_MEMORY.search(self.text)
        base = _BASE.match(operand[0]) if operand else None
        scalar = _SCALAR_OPERATION.match(self.text)
        return base[1] if base and not scalar and self.access.what == "vector" else None


def _x86_operands(mnemonic: str, rest: str) -> tuple[str, list[str]] | None:
    parts = re.split(r",\s*(?![^()]*\))", rest)
    target = _X86_REGISTER.match(parts[-1])
    if target is None:
        return None
    sources = [m[2] for part in parts[:-1] if (m := _X86_REGISTER.match(part))]
    if mnemonic.startswith(("vxor", "xorp")) and len(set(sources)) == 1:
        return target[2], []
    both = mnemonic.startswith("vf") or not (mnemonic.startswith(("v", "mov")))
    return target[2], [*sources, target[2]] if both else sources


def _element_bytes(mnemonic: str) -> int:
    """Return the bytes of an element that an instruction spreads over a vector."""
    if mnemonic.startswith("vpbroadcast"):
        return {"b": 1, "w": 2, "d": 4, "q": 8}[mnemonic[-1]]
    return _size(mnemonic[-1]) if mnemonic[-1] in "sdh" else _size("d")


def _size(letter: str) -> int:
    return {"s": 4, "d": 8, "h": 2}[letter]
