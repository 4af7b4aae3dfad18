"""The instructions of x86-64 for short types: dot products, half floats, and tile registers.

``dot u8->i32`` is ``vpdpbusd``, ``dot bf16->f32`` is ``vdpbf16ps``: each lane adds the products of
4 bytes, or of 2 bf16. In tile registers (``tile``) each of 16 x 16 results adds the products of a
row and a column of 64 bytes.
"""

from __future__ import annotations

from convprof.codegen.probes.instructions.instruction import (
    ADDEND,
    HALVES,
    INTEGER,
    TILE_BITS,
    TILE_ROW_BYTES,
    TINY,
    Instruction,
    Key,
    Values,
)

VECTOR_BITS = (128, 256, 512)
PACKED, STRIDED = "packed", "strided"
STRIDES = {PACKED: 64, STRIDED: 256}
"""Bytes from one row of a tile in memory to the next: rows end to end, or the rows of a matrix that
is four tiles wide."""
FROM_L2 = " L2"
"""The end of the name where tiles are read one after the other, more than fit L1; else from L1."""
L2_TILES = 192
"""Tiles of 1 KiB: four times the 48 KiB of L1 of the CPUs with AMX, a tenth of their L2."""


def catalogue() -> list[Instruction]:
    """Return every row: vectors first, then tiles."""
    rows = [row for bits in VECTOR_BITS for row in _vectors(bits)]
    return [*rows, *_tiles()]


def _vectors(bits: int) -> list[Instruction]:
    """Return the rows of a width; the narrow forms need AVX512VL."""
    narrow = () if bits == 512 else ("AVX512VL",)  # noqa: PLR2004
    cases = (
        (Key("dot", "i32", bits, source="u8"), "vpdpbusd", "AVX512-VNNI", INTEGER),
        (Key("dot", "f32", bits, source="bf16"), "vdpbf16ps", "AVX512-BF16", TINY),
        (Key("fma", "f16", bits), "vfmadd231ph", "AVX512-FP16", HALVES),
    )
    return [
        Instruction(
            key, name.removeprefix("v"), (f"{name} {{b}}, {{a}}, {{x}}",), values,
            needs=(extension, *narrow), note=ADDEND,
        )
        for key, name, extension, values in cases
    ]  # fmt: skip


def _places(stride: int, count: int) -> tuple[int, ...]:
    """Return where some tiles start; together they fill their lines without a gap."""
    across = stride // TILE_ROW_BYTES
    return tuple(
        number // across * across * TILE_BITS // 8 + number % across * TILE_ROW_BYTES
        for number in range(count)
    )


def _tiles() -> list[Instruction]:
    """Return loads and stores of a tile of 16 rows of 64 bytes, and products."""
    rows = [
        Instruction(
            Key("load", "u8", TILE_BITS, f"{how}{from_l2}"), "tileloadd", (), Values(a=stride),
            free=("tileloadd {place}(%rsi,{stride}), {t}",), needs=("AMX-TILE",), slow=True,
            places=_places(stride, count),
        )
        for from_l2, count in (("", 1), (FROM_L2, L2_TILES))
        for how, stride in STRIDES.items()
    ]  # fmt: skip
    key, values = Key("store", "u8", TILE_BITS, PACKED), Values(a=STRIDES[PACKED])
    step = "tilestored {t}, 4096(%rsi,{stride})"
    rows.append(
        Instruction(key, "tilestored", (), values, free=(step,), needs=("AMX-TILE",), slow=True)
    )
    for source, dtype, name, extension in (
        ("bf16", "f32", "tdpbf16ps", "AMX-BF16"),
        ("u8", "i32", "tdpbusd", "AMX-INT8"),
    ):
        key = Key("dot", dtype, TILE_BITS, source=source)
        step, needs = f"{name} {{tb}}, {{ta}}, {{t}}", ("AMX-TILE", extension)
        rows.append(Instruction(key, name, (step,), Values(0), needs=needs, slow=True, note=ADDEND))
    return rows
