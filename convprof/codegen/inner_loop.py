"""Read what one inner loop computes, moves and waits for from its instructions.

`assembly` finds loops and counts instructions; here their operands are followed from one to the
next: a register that a turn leaves as a sum of what it found there is a chain, and the next turn
has to wait for it. Reads what LLVM prints for x86-64 (AT&T syntax) and AArch64.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen import disassembly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FMA, MULTIPLY, ADD = "fma", "mul", "add"
BYTES = {"xmm": 16, "ymm": 32, "zmm": 64, "v": 16}
SCALAR = "scalar"

_ARITHMETIC = (
    (FMA, re.compile(r"vfn?m(?:add|sub)\d+([ps])([sd])\b|fml[as]\b|fn?m(?:add|sub)\b")),
    (MULTIPLY, re.compile(r"v?mul([ps])([sd])\b|fmul\b")),
    (ADD, re.compile(r"v?(?:add|sub)([ps])([sd])\b|f(?:add|sub)\b")),
)
_X86_REGISTER = re.compile(r"%([xyz]mm)(\d+)")
_ARM_REGISTER = re.compile(r"\b([vqds])(\d+)\b(?:\.(\d+)([sd])|\.([sd])\[\d+\])?")
_X86_MEMORY = re.compile(r"[-\w.$+]*\([^)]*%[^)]*\)")
_ARM_MEMORY = re.compile(r"\[(?:x\d+|sp)\b[^\]]*\]")
_SPREAD = re.compile(r"\{1to\d+\}")
_ONE = re.compile(r"v?(?:mov|broadcast|(?:mul|add|sub)|fn?m(?:add|sub)\d+)s([sd])\b")
_BASE = re.compile(r"^(?:-?\d+)?\(%(\w+)\)$")
_STEP = re.compile(r"(addq|subq) \$(-?\d+), %(\w+)$|leaq (-?\d+)\(%(\w+)\), %(\w+)$")
_ARM_BYTES = {"q": 16, "v": 16, "d": 8, "s": 4}


@dataclass(frozen=True)
class InnerLoop:
    """One turn of a loop."""

    counts: dict[str, int]
    """Floating-point instructions by kind: `fma`, `mul`, `add`."""
    flops: int
    width: str
    """Widest register of the arithmetic: `xmm`, `ymm`, `zmm`, `v`, or `scalar`."""
    loads: int
    """Whole vectors read; in scalar code elements."""
    elements: int
    """Single elements read to be spread over a vector."""
    stores: int
    bytes_moved: int
    """Loaded and stored, between registers and the nearest cache."""
    chains: int
    """Sums that one turn takes over from the turn before."""
    links: dict[str, int]
    """Instructions by kind that the longest of them waits for, one after another, in a turn."""
    walked: int | None
    """Bytes by which the pointer to the vectors advances; None where there is no such pointer."""
    used: int | None
    """Of those, the bytes that are loaded through it."""
    spills: int = 0
    """Instructions that access the stack, because the registers do not hold all values."""

    @property
    def fused(self) -> bool:
        """Whether multiply-adds are single instructions."""
        return self.counts[FMA] >= self.counts[MULTIPLY]

    @property
    def lanes(self) -> float:
        """Elements that an arithmetic instruction computes, on average."""
        slots = 2 * self.counts[FMA] + self.counts[MULTIPLY] + self.counts[ADD]
        return self.flops / slots if slots else 0.0

    @property
    def bytes_per_flop(self) -> float:
        """Bytes between the nearest cache and the registers per FLOP."""
        return self.bytes_moved / self.flops


def busiest(texts: Iterable[str]) -> InnerLoop | None:
    """Return that innermost loop of some assembly texts whose turn has most FLOPs; None if none."""
    loops = [read(code.instructions) for text in texts for code in disassembly.innermost(text)]
    working = [loop for loop in loops if loop.flops]
    return max(working, key=lambda loop: loop.flops, default=None)


def read(instructions: Sequence[str]) -> InnerLoop:
    """Return what one turn through the instructions computes, moves and waits for."""
    counts: Counter[str] = Counter()
    moved: Counter[str] = Counter()
    flops = bytes_moved = 0
    width = SCALAR
    for text in instructions:
        kind = _kind(text)
        if kind is not None:
            lanes, register = _lanes(text)
            counts[kind] += 1
            flops += lanes * (2 if kind == FMA else 1)
            width = _wider(width, register)
        what, count, size = _access(text)
        moved[what] += count
        bytes_moved += count * size
    chains, links = _chains(instructions)
    walked, used = _walk(instructions)
    return InnerLoop(
        counts={name: counts[name] for name in (FMA, MULTIPLY, ADD)},
        flops=flops,
        width=width,
        loads=moved["load"],
        elements=moved["element"],
        stores=moved["store"],
        bytes_moved=bytes_moved,
        chains=chains,
        links=links,
        walked=walked,
        used=used,
        spills=sum(disassembly.on_stack(text) for text in instructions),
    )


def _kind(text: str) -> str | None:
    return next((kind for kind, pattern in _ARITHMETIC if pattern.match(text)), None)


def _wider(one: str, other: str) -> str:
    order = (SCALAR, *disassembly.WIDTHS)
    return max(one, other, key=order.index)


def _lanes(text: str) -> tuple[int, str]:
    """Return the elements an arithmetic instruction computes, and the kind of register."""
    for _, pattern in _ARITHMETIC:
        match = pattern.match(text)
        if match and match[1]:
            if match[1] == "s":
                return 1, SCALAR
            register = max((r for r, _ in _X86_REGISTER.findall(text)), key=list(BYTES).index)
            return BYTES[register] // (4 if match[2] == "s" else 8), register
    target = _ARM_REGISTER.search(text)
    if target and target[3]:
        return int(target[3]), "v"
    return 1, SCALAR


def _access(text: str) -> tuple[str, int, int]:  # noqa: PLR0911  # one kind of instruction each
    """Return what a vector instruction does with memory, how often, and bytes each time."""
    if text.startswith(("lea", "prefetch", "prfm")):
        return "none", 0, 0
    if _ARM_MEMORY.search(text):
        return _arm_access(text)
    operand = _X86_MEMORY.search(text)
    named = _X86_REGISTER.findall(text)
    if operand is None or not named:
        return "none", 0, 0
    stored = "%" not in text[operand.end() :].replace("{%k", "")
    if text.startswith(("movddup", "vmovddup")):
        return "element", 1, 8
    if (one := _ONE.match(text)) is not None:
        spread = text.startswith("vbroadcast")
        return "store" if stored else "element" if spread else "load", 1, _size(one[1])
    if _SPREAD.search(text):
        return "element", 1, 8 if re.match(r"\w+d\b", text) else 4
    return "store" if stored else "load", 1, max(BYTES[kind] for kind, _ in named)


def _arm_access(text: str) -> tuple[str, int, int]:
    register = _ARM_REGISTER.search(text.partition("[")[0])
    if register is None:
        return "none", 0, 0
    spread = text.startswith("ld1r")
    size = _element(register) if spread else _ARM_BYTES[register[1]]
    count = 2 if text.startswith(("ldp", "stp")) else 1
    if text.startswith("st"):
        return "store", count, size
    return "element" if spread or register[1] in "ds" else "load", count, size


def _element(register: re.Match[str]) -> int:
    return 8 if register[4] == "d" else 4


def _size(letter: str) -> int:
    return 4 if letter == "s" else 8


Paths = dict[str, Counter[str]]
"""For a register: what it depends on among the registers of the turn's start, and through which
instructions, the longest way."""


def _chains(instructions: Sequence[str]) -> tuple[int, dict[str, int]]:
    """Return how many registers depend on themselves a turn before, and the longest way there."""
    now: dict[str, Paths] = {}
    for text in instructions:
        found = _operands(text)
        if found is None:
            continue
        target, sources = found
        kind = _kind(text)
        paths: Paths = {}
        for source in sources:
            for origin, way in now.get(source, {source: Counter()}).items():
                longer = way + Counter([kind] if kind else [])
                if origin not in paths or longer.total() > paths[origin].total():
                    paths[origin] = longer
        now[target] = paths
    own = [kept for name, ways in now.items() if (kept := ways.get(name))]
    none: Counter[str] = Counter()
    longest = max(own, key=lambda way: way.total(), default=none)
    return len(own), dict(longest)


def _operands(text: str) -> tuple[str, list[str]] | None:
    """Return the register an instruction writes and those its result depends on; None for none."""
    mnemonic, _, rest = text.partition(" ")
    if _X86_REGISTER.search(rest):
        parts = re.split(r",\s*(?![^()]*\))", rest)
        target = _X86_REGISTER.match(parts[-1])
        if target is None:
            return None
        sources = [m[2] for part in parts[:-1] if (m := _X86_REGISTER.match(part))]
        if mnemonic.startswith(("vxor", "xorp")) and len(set(sources)) == 1:
            return target[2], []
        both = mnemonic.startswith("vf") or not (mnemonic.startswith(("v", "mov")))
        return target[2], [*sources, target[2]] if both else sources
    if mnemonic.startswith(("st", "cmp", "b", "prfm")) or not mnemonic.startswith(
        ("f", "ld", "mov")
    ):
        return None
    named = [match[2] for match in _ARM_REGISTER.finditer(rest.partition("[x")[0])]
    if not named:
        return None
    return named[0], [*named[1:], named[0]] if mnemonic in {"fmla", "fmls"} else named[1:]


def _walk(instructions: Sequence[str]) -> tuple[int | None, int | None]:
    """Return how far the pointer to the vectors goes in a turn, and what is loaded through it."""
    steps: dict[str, int] = {}
    used: Counter[str] = Counter()
    for text in instructions:
        if (step := _STEP.fullmatch(text)) is not None:
            if step[1]:
                steps[step[3]] = int(step[2]) if step[1] == "addq" else -int(step[2])
            elif step[5] == step[6]:
                steps[step[5]] = int(step[4])
        what, count, size = _access(text)
        operand = _X86_MEMORY.search(text)
        base = _BASE.match(operand[0]) if operand else None
        if what == "load" and base and not _ONE.match(text):
            used[base[1]] += count * size
    walking = {name: size for name, size in used.items() if name in steps}
    if not walking:
        return None, None
    name = max(walking, key=walking.__getitem__)
    return steps[name], walking[name]
