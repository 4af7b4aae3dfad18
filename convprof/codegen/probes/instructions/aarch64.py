"""The instructions of AArch64: general registers, scalar floats and NEON's 128-bit vectors.

``dot bf16->f32`` is ``bfdot``: each lane adds the products of 2 bf16, or of 4 bytes (``sdot``,
``usdot``). ``matrix bf16->f32`` is ``bfmmla``: each of 2 x 2 results adds the products of a row and
a column of 8 bytes (``smmla``, ``usmmla``).
"""

from __future__ import annotations

from convprof.codegen.probes.instructions.instruction import (
    ADDEND,
    DIVISION,
    FULL,
    HALVES,
    INTEGER,
    LARGE,
    SIMPLE,
    SIZE,
    SMALL,
    SQUARE_ROOT,
    TINY,
    VALUES,
    Absent,
    Instruction,
    Key,
    Values,
)

NEON = ("NEON",)
BITS = 128

_DIVISIONS = {
    ("i32", SMALL): Values(2, 6),
    ("i32", LARGE): Values(46337, 46337 * 46327),
    ("i64", SMALL): Values(2, 6),
    ("i64", LARGE): Values(999999937, 999999937 * 1000000007),
}
"""``a / x`` alternates between the two factors of ``a``."""

_NO_PRODUCT = "NEON multiplies no 64-bit integers"
_NO_WIDENING = "NEON converts only between types of one width, or between floats"
_NO_WIDER = "NEON's vectors have 128 bits"
_ROUND_TRIP = "half of the conversion and its inverse"
_NOT_CHAINED = "the result cannot be an address"

GENERAL = tuple(f"x{number}" for number in range(4, 16))
"""Registers for chains; x16 and x17 hold the constants."""
VECTORS = 24
A, B = 28, 29
"""Vector registers of the constants."""


def catalogue() -> list[Instruction | Absent]:
    """Return every row."""
    rows: list[Instruction | Absent] = []
    for dtype in ("i32", "i64"):
        rows += [_integer(operation, dtype) for operation in ("add", "sub", "mul")]
        rows += [_integer_division(dtype, operands) for operands in (SMALL, LARGE)]
    for dtype in ("i32", "i64"):
        rows += [_vector_integer(operation, dtype) for operation in ("add", "sub", "mul")]
    for bits in (None, BITS):
        for dtype in ("f32", "f64"):
            rows += [_arithmetic(op, dtype, bits) for op in ("add", "sub", "mul", "fma")]
            rows += [_division(dtype, bits, operands) for operands in (SIMPLE, FULL)]
            rows += [_root(dtype, bits, operands) for operands in (SIMPLE, FULL)]
    for bits in (None, BITS):
        for whole, real in (("i32", "f32"), ("i32", "f64"), ("i64", "f64")):
            rows += _conversions(whole, real, bits)
        rows += _between_floats(bits)
    rows += _short()
    rows.append(
        Instruction(
            Key("load", "i64"),
            "ldr",
            ("ldr {r}, [{r}]",),
            Values(),
            free=("ldr {r}, [x0, #{next}]",),
        )
    )
    rows.append(
        Instruction(
            Key("load", "f32", BITS),
            "ldr q",
            (),
            Values(),
            free=("ldr {q}, [x0, #{next}]",),
            needs=NEON,
            note=_NOT_CHAINED,
        )
    )
    return rows + [
        Absent(Key(operation, dtype, bits), _NO_WIDER)
        for bits in (256, 512)
        for dtype in ("f32", "f64")
        for operation in ("add", "sub", "mul", "fma", "div", "sqrt")
    ]


_SCALARS, _SHAPES = {4: "s{}", 8: "d{}"}, {2: "v{}.8h", 4: "v{}.4s", 8: "v{}.2d"}
"""Vector registers by the bytes of an element: one element of them, and all."""


def registers(chain: int, bits: int | None, dtype: str) -> dict[str, str]:
    """Return the names that templates use, for the chain with this number.

    ``x``, ``a``, ``b``: vector registers in the shape of type and width, the chain's register and
    the constants; ``xh``, ``ah``: two f32 in half of one, ``x2d``, ``a2d``: two f64, ``a8h``,
    ``b8h``: eight bf16, ``a16b``, ``b16b``: sixteen bytes; ``s``, ``d``, ``q``, ``as``, ``ad``:
    under their plain names; ``r``, ``r32``, ``g``, ``ga``, ``gb``: general, in 64 bits, in 32 bits,
    in the type's width. ``next``: the address that the chain loads.
    """
    narrow = dtype in ("i32", "f32")
    shape = (_SCALARS if bits is None else _SHAPES)[SIZE[dtype]]
    general = GENERAL[chain % len(GENERAL)]
    size = "w" if narrow else "x"
    return {
        "x": shape.format(chain),
        "a": shape.format(A),
        "b": shape.format(B),
        "xh": f"v{chain}.2s",
        "ah": f"v{A}.2s",
        "x2d": f"v{chain}.2d",
        "a2d": f"v{A}.2d",
        **{f"{name}{to}": f"v{i}.{to}" for name, i in (("a", A), ("b", B)) for to in ("8h", "16b")},
        **{name: f"{name}{chain}" for name in "sdq"},
        "as": f"s{A}",
        "ad": f"d{A}",
        "r": general,
        "r32": f"w{general[1:]}",
        "g": f"{size}{general[1:]}",
        "ga": f"{size}16",
        "gb": f"{size}17",
        "next": str(chain * (bits or 64) // 8),
    }


def _integer(operation: str, dtype: str) -> Instruction:
    step = f"{operation} {{g}}, {{g}}, {{ga}}"
    return Instruction(Key(operation, dtype), operation, (step,), INTEGER)


def _integer_division(dtype: str, operands: str) -> Instruction:
    return Instruction(
        Key("div", dtype, operands=operands), "sdiv", ("sdiv {g}, {ga}, {g}",),
        _DIVISIONS[dtype, operands], slow=True,
    )  # fmt: skip


def _vector_integer(operation: str, dtype: str) -> Instruction | Absent:
    key = Key(operation, dtype, BITS)
    if key == Key("mul", "i64", BITS):
        return Absent(key, _NO_PRODUCT)
    return Instruction(key, operation, (f"{operation} {{x}}, {{x}}, {{a}}",), INTEGER, needs=NEON)


def _arithmetic(operation: str, dtype: str, bits: int | None) -> Instruction:
    name, step = f"f{operation}", f"f{operation} {{x}}, {{x}}, {{a}}"
    note = None
    if operation == "fma":
        name = "fmadd" if bits is None else "fmla"
        step = "fmadd {x}, {a}, {b}, {x}" if bits is None else "fmla {x}, {a}, {b}"
        note = ADDEND
    key = Key(operation, dtype, bits)
    return Instruction(key, name, (step,), VALUES[operation], needs=NEON, note=note)


def _short() -> list[Instruction]:
    """Return the rows of short types: sums of products, and multiply-adds of f16."""
    rows = []
    for operation, source, name, extension in (
        ("dot", "i8", "sdot", "DOTPROD"),
        ("dot", "u8", "usdot", "I8MM"),
        ("dot", "bf16", "bfdot", "BF16"),
        ("matrix", "i8", "smmla", "I8MM"),
        ("matrix", "u8", "usmmla", "I8MM"),
        ("matrix", "bf16", "bfmmla", "BF16"),
    ):
        floats = source == "bf16"
        key = Key(operation, "f32" if floats else "i32", BITS, source=source)
        step = f"{name} {{x}}, {{a8h}}, {{b8h}}" if floats else f"{name} {{x}}, {{a16b}}, {{b16b}}"
        values = TINY if floats else INTEGER
        rows.append(Instruction(key, name, (step,), values, needs=(extension,), note=ADDEND))
    key, step = Key("fma", "f16", BITS), "fmla {x}, {a}, {b}"
    return [*rows, Instruction(key, "fmla", (step,), HALVES, needs=("FP16",), note=ADDEND)]


def _division(dtype: str, bits: int | None, operands: str) -> Instruction:
    steps = ("fdiv {x}, {x}, {a}", "fdiv {x}, {x}, {b}")
    return Instruction(
        Key("div", dtype, bits, operands), "fdiv", steps, DIVISION[operands],
        needs=NEON, counted=2, slow=True,
    )  # fmt: skip


def _root(dtype: str, bits: int | None, operands: str) -> Instruction:
    return Instruction(
        Key("sqrt", dtype, bits, operands), "fsqrt", ("fsqrt {x}, {x}", "fmul {x}, {x}, {b}"),
        SQUARE_ROOT[operands], free=("fsqrt {x}, {a}",),
        needs=NEON, glue=Key("mul", dtype, bits), slow=True,
    )  # fmt: skip


def _conversions(whole: str, real: str, bits: int | None) -> list[Instruction | Absent]:
    if bits is not None and (whole, real) == ("i32", "f64"):
        types = ((whole, real), (real, whole))
        return [
            Absent(Key("convert", to, bits, source=source), _NO_WIDENING) for source, to in types
        ]
    if bits is not None:
        steps, free = ("scvtf {x}, {x}", "fcvtzs {x}, {x}"), ("scvtf {x}, {a}", "fcvtzs {x}, {a}")
        return _pair((whole, real), bits, ("scvtf", "fcvtzs"), steps, free)
    letter = "s" if real == "f32" else "d"
    size = "w" if whole == "i32" else "x"
    # Named by both types: the chain crosses from general to vector registers and back.
    vector, general = f"{{{letter}}}", "{r32}" if size == "w" else "{r}"
    steps = (f"scvtf {vector}, {general}", f"fcvtzs {general}, {vector}")
    constant = "w16" if size == "w" else "x16"
    free = (f"scvtf {vector}, {constant}", f"fcvtzs {general}, {{a{letter}}}")
    return _pair((whole, real), None, ("scvtf", "fcvtzs"), steps, free)


def _between_floats(bits: int | None) -> list[Instruction | Absent]:
    if bits is None:
        steps, free = ("fcvt {d}, {s}", "fcvt {s}, {d}"), ("fcvt {d}, {as}", "fcvt {s}, {ad}")
        return _pair(("f32", "f64"), None, ("fcvt", "fcvt"), steps, free)
    wide, constant = "{x2d}", "{a2d}"
    steps = (f"fcvtl {wide}, {{xh}}", f"fcvtn {{xh}}, {wide}")
    free = (f"fcvtl {wide}, {{ah}}", f"fcvtn {{xh}}, {constant}")
    return _pair(("f32", "f64"), bits, ("fcvtl", "fcvtn"), steps, free)


def _pair(
    types: tuple[str, str], bits: int | None, names: tuple[str, str],
    steps: tuple[str, str], free: tuple[str, str],
) -> list[Instruction | Absent]:  # fmt: skip
    """Return both directions: one chain of both conversions, and a throughput each."""
    orders = ((types, steps), (types[::-1], steps[::-1]))
    return [
        Instruction(
            Key("convert", to, bits, source=source), names[at], order, Values(3, 5, 0),
            free=(free[at],), needs=NEON, counted=2, note=_ROUND_TRIP,
        )
        for at, ((source, to), order) in enumerate(orders)
    ]  # fmt: skip
