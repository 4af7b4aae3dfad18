"""How register tiles multiply on AArch64: the instructions meant, in registers."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from multiply_tiles import a_tile
from other_cpus import ARM_TRIPLE, assembly

from convprof.codegen import disassembly
from convprof.codegen.architecture import ARM
from convprof.codegen.isa import ISAS
from convprof.codegen.kernels.digit_weights import DIGIT_TYPES, DigitTile
from convprof.codegen.kernels.digits import DigitPass
from convprof.codegen.kernels.f16_blocks import MANY, Sums
from convprof.codegen.kernels.ways import mixed_dot, multiply
from convprof.dtypes import DTYPES, S16, Types, types


def test_numbers_of_16_bits_are_multiplied_and_added_on_aarch64(cpu):
    cpu(ARM)
    code = disassembly.busiest(
        assembly(a_tile(S16.name, ISAS["neon"], rows=4), ARM_TRIPLE, "cortex-a72")
    )
    assert sum(line.startswith("smlal") for line in code.instructions) == 4 * 2
    assert code.spills == 0


@pytest.mark.parametrize(
    ("dtype", "features", "products"),
    [
        ("bf16:bf16:f32", ("bf16",), {"bfdot": 8}),
        ("s8:s8:s32", ("dotprod",), {"sdot": 8}),
        ("int8", ("dotprod", "i8mm"), {"usdot": 8}),
        ("int8", ("dotprod",), {"sdot": 10}),  # and the row that is subtracted
    ],
)
def test_dot_products_on_aarch64(dtype, features, products, cpu):
    cpu(ARM, *features)
    tile = a_tile(dtype, ISAS["neon"], rows=4, sharing=1)
    code = disassembly.busiest(assembly(tile, ARM_TRIPLE, "neoverse-v2"))
    # one step a turn, 4 rows by 2 vectors
    assert (tile.unroll, code.products) == (1, products)
    assert code.spills == 0


MATRIX = [("bf16:bf16:f32", "bfmmla"), ("s8:s8:s32", "smmla"), ("int8", "usmmla")]


@pytest.mark.parametrize(("dtype", "name"), MATRIX)
@pytest.mark.parametrize("rows", [3, 4])
def test_products_of_matrices_on_aarch64(rows, dtype, name, cpu):
    cpu(ARM, "bf16", "dotprod", "i8mm")
    tile = a_tile(dtype, ISAS["neon"], rows)
    code = disassembly.busiest(assembly(tile, ARM_TRIPLE, "neoverse-v2"))
    # one step a turn: two pairs of rows by four pairs of columns, in half of the instructions
    # that dot products of as many elements would need
    assert code.products == {name: 2 * 4}
    assert (code.loads, code.elements, code.spills) == (4, rows, 0)


@pytest.mark.parametrize(("dtype", "name"), MATRIX)
@pytest.mark.parametrize("vectors", [1, 2, 3, 4])
def test_the_tallest_tile_of_matrices_keeps_its_sums_in_registers(vectors, dtype, name, cpu):
    cpu(ARM, "bf16", "dotprod", "i8mm")
    isa = ISAS["neon"]
    rows = multiply(types(dtype), isa).tile_rows(vectors, isa)
    code = disassembly.busiest(
        assembly(a_tile(dtype, isa, rows, vectors), ARM_TRIPLE, "neoverse-v2")
    )
    assert rows % 2 == 0
    assert code.products == {name: rows * vectors}
    assert code.spills == 0


@pytest.mark.parametrize(("vectors", "across"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_blocks_of_f16_on_aarch64(vectors, across, cpu):
    cpu(ARM, "fullfp16")
    isa, longest = ISAS["neon"], 10
    how = replace(multiply(types("f16"), isa, sums=MANY), longest=longest)
    rows = how.tile_rows(vectors, isa)
    tile = replace(a_tile("f16", isa, rows, vectors), multiply=how)
    code = disassembly.busiest(assembly(tile, ARM_TRIPLE, "neoverse-v2", "+fullfp16"))
    assert how.instruction == "fmla .8h"
    assert code.counts["fma"] + code.counts["mul"] == rows * across * longest
    assert code.counts["mul"] == rows * across, "the first products of a block are its sums"
    assert code.counts["add"] == rows * vectors, "a block is added once to each vector of sums"
    assert code.spills == 0


def test_results_in_bf16_are_rounded_in_one_instruction_on_aarch64(cpu):
    cpu(ARM, "bf16")
    text = assembly(a_tile("bf16", ISAS["neon"], 4), ARM_TRIPLE, "neoverse-v2", "+bf16")
    assert text.count("bfcvtn\t") == 4 * 2
    assert "ushr" not in text


SHORT = [
    ("f32", ()),
    ("f16", ()),
    ("f16", ("fullfp16",)),
    ("bf16", ("bf16",)),
    ("s8:s8:s8", ("dotprod",)),
    ("u8:s8:u8", ("dotprod",)),
    ("u8:s8:u8", ("dotprod", "i8mm")),
]


@pytest.mark.parametrize(("dtype", "features"), SHORT)
def test_sums_without_a_loop_stay_in_registers_on_aarch64(dtype, features, cpu):
    cpu(ARM, *features)
    isa, vectors = ISAS["neon"], 2
    how = multiply(types(dtype), isa, rows=1, sums=Sums(24, 1 << 20))
    rows = how.tile_rows(vectors, isa)
    tile = replace(a_tile(dtype, isa, rows, vectors, sharing=1), run=24, multiply=how)
    on = ",".join(f"+{feature}" for feature in features)
    accesses = assembly(tile, ARM_TRIPLE, "neoverse-v2", on).count("[sp")
    assert accesses <= 2 * (8 + 12) + 4, "the stack keeps the caller's registers only"


@pytest.mark.parametrize(
    ("dtype", "fma"), [("bf16:bf16:f32", r"fmla\s+v\d+\.4s"), ("int8", r"mla\s+v\d+\.4s")]
)
def test_the_inner_loop_on_aarch64(dtype, fma, cpu):
    cpu(ARM)
    text = assembly(a_tile(dtype, ISAS["neon"], rows=2), ARM_TRIPLE, "neoverse-n1")
    code = disassembly.busiest(text)
    products = [line for line in code.instructions if re.match(fma, line)]
    groups = 2 if dtype.startswith("bf16") else 4
    assert len(products) % (2 * 2 * groups) == 0
    assert products
    assert code.spills == 0


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("places", [2, 3])
def test_digits_of_activations_on_aarch64(places, bits, cpu):
    cpu(ARM, "dotprod", "i8mm")
    tile = DigitTile(
        types=DIGIT_TYPES, lanes=4, rows=1, vectors=4, columns=16, bits=bits, words=16, groups=4,
        a_row=128 * places, c_row=16, digits=places, start_row=16, dot=mixed_dot(ISAS["neon"]),
    )  # fmt: skip
    of = Types(types("bf16").source, DTYPES["s8"], DTYPES["f32"], DTYPES["s8"])
    text = assembly(DigitPass(of, 4, 61, 64, places), ARM_TRIPLE, "neoverse-v2")
    assert "frintx" in text
    assert "\tbl\t" not in text, "no function of the library"
    code = disassembly.busiest(assembly(tile, ARM_TRIPLE, "neoverse-v2"))
    assert code.products["usdot"] % (places * 4 * tile.per_word // 4) == 0
    assert code.spills == 0
