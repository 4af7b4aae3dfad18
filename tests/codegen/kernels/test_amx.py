"""The code of kernels in the tile registers of AMX: counts, order, no spills, configuration."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import other_cpus
import pytest
from other_cpus import tiles_of

from convprof.codegen import disassembly, tile_list
from convprof.codegen.isa import ISAS
from convprof.codegen.kernels import elements
from convprof.codegen.kernels.amx import AmxTile
from convprof.codegen.kernels.tile_registers import (
    _PRODUCTS,
    Configure,
    TileProduct,
    dense_rows,
)
from convprof.codegen.tile_list import TileKernel, TileList
from convprof.dtypes import types

DTYPES = ("bf16", "bf16:bf16:f32", "f16:f16:f32", "u8:s8:s32", "s8:s8:s32")


def a_tile(dtype, **changes):
    """Return a kernel of 32 by 32 sums and eight steps, as of a large product."""
    of = types(dtype)
    product = _PRODUCTS[of.source.name, of.weights.name]
    shape = {
        "rows": 32,
        "columns": 32,
        "steps": 8,
        "depth": 16,
        "a_row": 1056,
        "b_row": 32 * product.k_group,
        "c_row": 1024,
        "fetch_lines": 4,
    }
    shape |= changes
    shape["rows"] = dense_rows(shape["rows"], shape["a_row"], shape["c_row"])
    return AmxTile(of, 16, product=product, **shape)


def assembly(kernel, cpu):
    """Return the assembly for another CPU."""
    return other_cpus.assembly(kernel, other_cpus.X86_TRIPLE, cpu)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_iteration_is_four_loads_and_four_products(dtype):
    tile = a_tile(dtype)
    text = assembly(tile, "graniterapids" if dtype.startswith("f16") else "sapphirerapids")
    step, name = disassembly.busiest(text), tile.product.instruction
    assert tiles_of(step.instructions) == [
        ("tileloadd", 4),
        ("tileloadd", 6),
        (name, 6, 4, 0),
        ("tileloadd", 7),
        (name, 7, 4, 1),
        ("tileloadd", 5),
        (name, 6, 5, 2),
        (name, 7, 5, 3),
    ]
    assert (step.products, step.loads, step.spills) == ({name: 4}, 4, 0)
    assert step.widest == "tmm"
    assert {loop.spills for loop in disassembly.loops(text)} == {0}
    # 4 lines of b, and 4 rows of the next tile of c, of 64 or 128 bytes
    lines = 4 + 4 * (1 if dtype == "bf16" else 2)
    assert sum(line.startswith("prefetcht1") for line in step.instructions) == lines
    assert len(step.instructions) <= 8 + lines + 14, "addresses and the loop"


@pytest.mark.parametrize(("pieces", "products", "loads"), [(2, 12, 8), (3, 24, 14)])
def test_pieces_stay_in_registers_for_several_products(pieces, products, loads):
    tile = a_tile(
        "bf16:bf16:f32", pieces=pieces, a_row=3200, a_piece=1024, b_row=pieces * 64, b_piece=64
    )
    step = disassembly.busiest(assembly(tile, "sapphirerapids"))
    assert (step.products, step.loads, step.spills) == ({"tdpbf16ps": products}, loads, 0)


def test_sums_are_stored_once():
    whole = tiles_of(disassembly.read(assembly(a_tile("u8:s8:s32"), "sapphirerapids")).instructions)
    assert whole[:4] == [("tilezero", register) for register in range(4)]
    assert whole[-4:] == [("tilestored", register) for register in range(4)]

    middle = a_tile("u8:s8:s32", first=False, last=False)
    parts = tiles_of(disassembly.read(assembly(middle, "sapphirerapids")).instructions)
    assert parts[:4] == [("tileloadd", register) for register in range(4)]
    assert parts[-4:] == [("tilestored", register) for register in range(4)]


def test_a_short_result_is_rounded_row_by_row(monkeypatch):
    has = {"avx512bf16"}.issuperset  # as a CPU with AMX has, whatever the CPU of the test has
    monkeypatch.setattr(elements, "target", lambda: SimpleNamespace(has=lambda *names: has(names)))
    text = assembly(a_tile("bf16"), "sapphirerapids")
    rows = [
        code for code in disassembly.innermost(text) if "vcvtneps2bf16" in str(code.instructions)
    ]
    assert [(row.loads, row.stores, row.spills) for row in rows] == [(2, 2, 0)] * 2


@pytest.mark.parametrize(("rows", "columns", "products"), [(7, 32, 2), (32, 5, 2), (16, 16, 1)])
def test_an_edge_has_fewer_products(rows, columns, products):
    tile = a_tile("bf16:bf16:f32", rows=rows, columns=columns)
    step = disassembly.busiest(assembly(tile, "sapphirerapids"))
    assert step.products == {"tdpbf16ps": products}


def test_the_configuration_has_the_shape_of_each_register():
    kernel = Configure(types("bf16"), 16, heights=(16, 3), columns=20, depth=5)
    raw = kernel.bytes()
    sizes = np.frombuffer(raw, "<u2", 8, 16).tolist()
    assert len(raw) == 64
    assert raw[:2] == bytes([1, 0])
    assert sizes == [64, 16, 64, 16, 20, 20, 64, 16]
    assert list(raw[48:56]) == [16, 16, 3, 3, 16, 3, 5, 5]
    assert "ldtilecfg" in assembly(kernel, "sapphirerapids")
    assert "tilerelease" in assembly(kernel.teardown, "sapphirerapids")


@pytest.mark.parametrize(
    ("k", "steps"), [(1, (1, 1)), (31, (1, 16)), (32, (1, 16)), (33, (2, 9)), (147, (5, 15))]
)
def test_steps_are_equal_and_few(k, steps):
    assert TileProduct("", 2, "").steps(k) == steps


@pytest.fixture
def kernel(monkeypatch):
    """Return a function that makes kernels of a name each, without code."""

    class Named:
        def __init__(self, ir, without):  # noqa: ARG002
            self.ir = ir

        def address(self, name):  # noqa: ARG002
            return id(self)

    monkeypatch.setattr(tile_list, "Module", Named)
    monkeypatch.setattr(tile_list, "_KERNELS", tile_list.OrderedDict())
    return lambda rows: tile_list.kernel(a_tile("bf16", rows=rows), ISAS["avx512"])


def order(tiles, kernels):
    """Return the names of a list's kernels in their order."""
    names = {each.address: f"{each.tile.height}" for each in kernels}
    names |= {each.setup.address: f"set {each.tile.height}" for each in kernels}
    names |= {each.setup.teardown.address: "release" for each in kernels}
    words = tiles.dims()
    count = int(words[0])
    table = words[count + 2 :].reshape(-1, 8)
    return [names[int(word)] for word in table[:, 0]], words[1 : count + 2].tolist()


def test_registers_are_configured_where_shapes_change_and_released_by_every_task(kernel):
    tall, low, tiles = kernel(32), kernel(16), TileList()
    tiles.task()
    tiles.add_each([tall, tall], *np.zeros((7, 2, 2)))
    tiles.add(low, *[0] * 7)
    tiles.task()
    tiles.add_each([tall, low], *np.zeros((7, 2, 2)))
    both = ["set 32", "32", "set 16", "16"]
    expected = [
        "set 32",
        "32",
        "32",
        "32",
        "32",
        "set 16",
        "16",
        "release",
        *both,
        *both,
        "release",
    ]
    assert order(tiles, [tall, low]) == (expected, [0, 8, 17])


def test_kernels_without_a_state_need_no_setup():
    plain = TileKernel(SimpleNamespace(element_bytes=(4,)), None, 7)
    tiles = TileList()
    tiles.task()
    tiles.add_each([plain, plain], np.array([[0, 1]]))
    assert tiles.dims().tolist() == [1, 0, 2, 7, 0, 7, 4]
