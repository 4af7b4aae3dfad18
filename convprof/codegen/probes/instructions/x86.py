"""The instructions of x86-64, SSE2 to AVX-512, in AT&T syntax."""

from __future__ import annotations

from convprof.codegen.probes.instructions import x86_short
from convprof.codegen.probes.instructions.instruction import (
    DIVISION,
    FULL,
    INTEGER,
    LARGE,
    SIMPLE,
    SMALL,
    SQUARE_ROOT,
    VALUES,
    Absent,
    Instruction,
    Key,
    Values,
)

VECTOR_BITS = (128, 256, 512)
_BASE = {128: "SSE2", 256: "AVX", 512: "AVX512F"}
_INTEGER_BASE = {128: "SSE2", 256: "AVX2", 512: "AVX512F"}
_SUFFIX = {("f32", False): "ss", ("f64", False): "sd", ("f32", True): "ps", ("f64", True): "pd"}

_DIVIDENDS = {
    ("i32", SMALL): Values(1, 100, 7),
    ("i32", LARGE): Values(1, 0x7FFFFFF1, 3),
    ("i64", SMALL): Values(1, 100, 7),
    ("i64", LARGE): Values(1, 0x7FFFFFFFFFFFFFF1, 3),
}
"""``a / b``: a quotient of 4 bits against one of nearly all bits."""

_FMA_NOTE = "through the addend"
_ROUND_TRIP = "half of the conversion and its inverse"
_NOT_CHAINED = "the result cannot be an address"


def catalogue(*, avx: bool) -> list[Instruction | Absent]:
    """Return every row. ``avx``: 128 bits and scalars in the three-operand form."""
    narrow, wide = _Writer(avx=avx), _Writer(avx=True)
    writers = {None: narrow, 128: narrow, 256: wide, 512: wide}
    rows: list[Instruction | Absent] = []
    for dtype in ("i32", "i64"):
        rows += [narrow.integer(operation, dtype) for operation in ("add", "sub", "mul")]
        rows += [narrow.integer_division(dtype, operands) for operands in (SMALL, LARGE)]
    for size in VECTOR_BITS:
        for dtype in ("i32", "i64"):
            writer = writers[size]
            rows += [writer.vector_integer(op, dtype, size) for op in ("add", "sub", "mul")]
    for bits, writer in writers.items():
        for dtype in ("f32", "f64"):
            rows += [writer.arithmetic(op, dtype, bits) for op in ("add", "sub", "mul", "fma")]
            rows += [writer.division(dtype, bits, operands) for operands in (SIMPLE, FULL)]
            rows += [writer.root(dtype, bits, operands) for operands in (SIMPLE, FULL)]
    for bits, writer in writers.items():
        rows += writer.conversions(bits)
    rows.append(narrow.pointer_chase())
    rows += [writers[size].vector_load(size) for size in VECTOR_BITS]
    return [*rows, *x86_short.catalogue()]


def registers(chain: int, bits: int | None, dtype: str) -> dict[str, str]:
    """Return the names that templates use, for the chain with this number.

    ``x``, ``xh``: the chain's vector register whole, its lower half; ``r``, ``g``: its general
    register in 64 bits, in the type's. ``a``, ``b``: constants, ``ah`` is half of ``a``; ``ga``,
    ``gb`` are general; ``t``: the chain's tile register, ``ta``, ``tb``: factors, ``stride``: bytes
    between the rows of a tile in memory; ``gz``: a zero that the core does not recognise as zero.
    ``next``: the address that the chain loads.
    """
    whole = {256: "ymm", 512: "zmm"}.get(bits or 0, "xmm")
    half = "ymm" if bits == 512 else "xmm"  # noqa: PLR2004
    narrow = dtype in ("i32", "f32")
    general, constant_a, constant_b, zero = GENERAL[chain % len(GENERAL)], "r12", "r13", "r11"
    names = {"x": f"%{whole}{chain}", "xh": f"%{half}{chain}"}
    for name, number in (("a", A), ("b", B)):
        names |= {name: f"%{whole}{number}", f"{name}h": f"%{half}{number}"}
    return names | {
        "r": f"%{general}",
        "g": f"%{_in_32(general) if narrow else general}",
        "ga": f"%{constant_a}{'d' if narrow else ''}",
        "gb": f"%{constant_b}{'d' if narrow else ''}",
        "gz": f"%{zero}{'d' if narrow else ''}",
        "next": str(chain * (bits or 64) // 8),
        "t": f"%tmm{chain % TILES}",
        "ta": f"%tmm{TILES}",
        "tb": f"%tmm{TILES + 1}",
        "stride": f"%{constant_a}",
    }


GENERAL = ("rax", "rdx", "rdi", "r8", "r9", "r10", "rbx", "r11", "r13", "r14", "r15")
"""Registers for chains; a division needs the first two, and r11 and r13 hold constants for
divisions only. With more chains, additions use more of a core's ports: of 5 a cycle, 7 chains reach
4.3 and 11 reach 4.8. The clock chain uses r14 and r15 when vectors are wide."""
TILES = 6
"""Tile registers for chains; two more have the factors of products."""
VECTORS = 12
A, B = 14, 13
"""Vector registers of the constants."""


def _in_32(register: str) -> str:
    return f"{register}d" if register[1].isdigit() else f"e{register[1:]}"


class _Writer:
    def __init__(self, *, avx: bool) -> None:
        self._avx = avx

    def _needs(self, bits: int | None, table: dict[int, str] | None = None) -> tuple[str, ...]:
        narrow = bits is None or bits == 128  # noqa: PLR2004
        if narrow and self._avx:
            return ("AVX",)
        return ((table or _BASE)[bits or 128],)

    def _onto(self, name: str, operand: str) -> str:
        """Return ``x = x OP operand``."""
        if self._avx:
            return f"v{name} {{{operand}}}, {{x}}, {{x}}"
        return f"{name} {{{operand}}}, {{x}}"

    def _unary(self, name: str, operand: str, result: str, *, merges: bool) -> str:
        """Return ``result = OP operand``; ``merges``: AVX has upper lanes from another operand."""
        if not self._avx:
            return f"{name} {operand}, {result}"
        return f"v{name} {operand}, {'{b}, ' if merges else ''}{result}"

    @staticmethod
    def integer(operation: str, dtype: str) -> Instruction:
        name = {"add": "add", "sub": "sub", "mul": "imul"}[operation]
        step = f"{name}{'l' if dtype == 'i32' else 'q'} {{ga}}, {{g}}"
        return Instruction(Key(operation, dtype), name, (step,), INTEGER)

    @staticmethod
    def integer_division(dtype: str, operands: str) -> Instruction:
        """Return a division, whose quotient and remainder come in fixed registers.

        So there is one chain, which is closed by an AND and an OR instruction. A non-negative
        dividend is extended by zero, outside the chain.
        """
        size = "l" if dtype == "i32" else "q"
        rest = f"xorl %edx, %edx\nidiv{size} {{gb}}"
        first = "%eax" if dtype == "i32" else "%rax"
        back = f"and{size} {{gz}}, {first}\nor{size} {{ga}}, {first}\n"
        return Instruction(
            Key("div", dtype, operands=operands), "idiv", (back + rest,),
            _DIVIDENDS[dtype, operands], free=(f"mov{size} {{ga}}, {first}\n{rest}",),
            glue_cycles=2, slow=True,
        )  # fmt: skip

    def vector_integer(self, operation: str, dtype: str, bits: int) -> Instruction:
        letter = "d" if dtype == "i32" else "q"
        name = f"p{'mull' if operation == 'mul' else operation}{letter}"
        needs = self._needs(bits, _INTEGER_BASE)
        step = self._onto(name, "a")
        if name == "pmulld" and not self._avx and bits == 128:  # noqa: PLR2004
            needs = ("SSE4.1",)
        if name == "pmullq":
            needs = ("AVX512DQ",) if bits == 512 else ("AVX512DQ", "AVX512VL")  # noqa: PLR2004
            step = "vpmullq {a}, {x}, {x}"
        # Latency x rate of the multiplications exceeds the number of registers, so no chain is
        # used.
        three = operation == "mul" and step.startswith("v")
        free = (f"v{name} {{b}}, {{a}}, {{x}}",) if three else ()
        key = Key(operation, dtype, bits)
        return Instruction(key, name, (step,), INTEGER, free=free, needs=needs)

    def arithmetic(self, operation: str, dtype: str, bits: int | None) -> Instruction:
        suffix = _SUFFIX[dtype, bits is not None]
        key, values = Key(operation, dtype, bits), VALUES[operation]
        if operation == "fma":
            name = f"vfmadd231{suffix}"
            needs = ("AVX512F",) if bits == 512 else ("FMA",)  # noqa: PLR2004
            step = f"{name} {{b}}, {{a}}, {{x}}"
            return Instruction(key, name[1:], (step,), values, needs=needs, note=_FMA_NOTE)
        name = operation + suffix
        return Instruction(key, name, (self._onto(name, "a"),), values, needs=self._needs(bits))

    def division(self, dtype: str, bits: int | None, operands: str) -> Instruction:
        name = "div" + _SUFFIX[dtype, bits is not None]
        steps = (self._onto(name, "a"), self._onto(name, "b"))
        return Instruction(
            Key("div", dtype, bits, operands), name, steps, DIVISION[operands],
            needs=self._needs(bits), counted=2, slow=True,
        )  # fmt: skip

    def root(self, dtype: str, bits: int | None, operands: str) -> Instruction:
        suffix = _SUFFIX[dtype, bits is not None]
        name = f"sqrt{suffix}"
        chained = self._unary(name, "{x}", "{x}", merges=bits is None)
        return Instruction(
            Key("sqrt", dtype, bits, operands), name,
            (chained, self._onto(f"mul{suffix}", "b")), SQUARE_ROOT[operands],
            free=(self._unary(name, "{a}", "{x}", merges=bits is None),),
            needs=self._needs(bits), glue=Key("mul", dtype, bits), slow=True,
        )  # fmt: skip

    def conversions(self, bits: int | None) -> list[Instruction | Absent]:
        rows: list[Instruction | Absent] = []
        for whole, real in (("i32", "f32"), ("i32", "f64"), ("i64", "f64")):
            if bits is None:
                rows += self._through_general(whole, real)
            else:
                rows += self._in_vectors(whole, real, bits)
        return rows + self._between_floats(bits)

    def _through_general(self, whole: str, real: str) -> list[Instruction | Absent]:
        suffix, size = _SUFFIX[real, False], "l" if whole == "i32" else "q"
        there = self._unary(f"cvtsi2{suffix}{size}", "{g}", "{x}", merges=True)
        back = self._unary(f"cvtt{suffix}2si", "{x}", "{g}", merges=False)
        free_there = self._unary(f"cvtsi2{suffix}{size}", "{ga}", "{x}", merges=True)
        free_back = self._unary(f"cvtt{suffix}2si", "{a}", "{g}", merges=False)
        names = (f"cvtsi2{suffix}", f"cvtt{suffix}2si")
        return self._pair((whole, real), None, names, (there, back), (free_there, free_back), ())

    def _in_vectors(self, whole: str, real: str, bits: int) -> list[Instruction | Absent]:
        letters, suffix = {"i32": "dq", "i64": "qq"}[whole], _SUFFIX[real, True]
        names = (f"cvt{letters}2{suffix}", f"cvtt{suffix}2{letters}")
        narrow = "h" if (whole, real) == ("i32", "f64") else ""
        needs: tuple[str, ...] = ()
        if whole == "i64":
            needs = ("AVX512DQ",) if bits == 512 else ("AVX512DQ", "AVX512VL")  # noqa: PLR2004
        return self._there_and_back((whole, real), bits, names, narrow, needs)

    def _between_floats(self, bits: int | None) -> list[Instruction | Absent]:
        if bits is None:
            names = ("cvtss2sd", "cvtsd2ss")
            steps = tuple(self._unary(name, "{x}", "{x}", merges=True) for name in names)
            free = tuple(self._unary(name, "{a}", "{x}", merges=True) for name in names)
            return self._pair(("f32", "f64"), None, names, steps, free, ())
        return self._there_and_back(("f32", "f64"), bits, ("cvtps2pd", "cvtpd2ps"), "h", ())

    def _there_and_back(
        self, types: tuple[str, str], bits: int, names: tuple[str, str], narrow: str,
        needs: tuple[str, ...],
    ) -> list[Instruction | Absent]:  # fmt: skip
        """Return both conversions; ``narrow``: the first type fills half a register."""
        first = f"{{x{narrow}}}"
        there, back = names
        forced = "v" if needs and not self._avx else ""
        steps = (
            forced + self._unary(there, first, "{x}", merges=False),
            forced + self._unary(back, "{x}", first, merges=False),
        )
        free = (
            forced + self._unary(there, f"{{a{narrow}}}", "{x}", merges=False),
            forced + self._unary(back, "{a}", first, merges=False),
        )
        return self._pair(types, bits, names, steps, free, needs)

    def _pair(  # noqa: PLR0917
        self, types: tuple[str, str], bits: int | None, names: tuple[str, ...],
        steps: tuple[str, ...], free: tuple[str, ...], needs: tuple[str, ...],
    ) -> list[Instruction | Absent]:  # fmt: skip
        """Return both directions: one chain of both conversions, and a throughput each."""
        orders = ((types, steps), (types[::-1], steps[::-1]))
        return [
            Instruction(
                Key("convert", to, bits, source=source), names[at], order, Values(3, 5, 0),
                free=(free[at],), needs=needs or self._needs(bits), counted=2, note=_ROUND_TRIP,
            )
            for at, ((source, to), order) in enumerate(orders)
        ]  # fmt: skip

    @staticmethod
    def pointer_chase() -> Instruction:
        """Return a load whose result is the address of the next load."""
        free = ("movq {next}(%rsi), {r}",)
        return Instruction(Key("load", "i64"), "mov", ("movq ({r}), {r}",), Values(), free=free)

    def vector_load(self, bits: int) -> Instruction:
        name = "vmovups" if self._avx or bits > 128 else "movups"  # noqa: PLR2004
        step = f"{name} {{next}}(%rsi), {{x}}"
        return Instruction(
            Key("load", "f32", bits), name.removeprefix("v"), (), Values(), free=(step,),
            needs=self._needs(bits), note=_NOT_CHAINED,
        )  # fmt: skip
