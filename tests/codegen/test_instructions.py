from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.probes.instructions import (
    Absent,
    Chain,
    Instruction,
    catalogue,
    compile_chains,
    data_block,
    x86_short,
)
from convprof.codegen.probes.instructions.chains import (
    DATA_BYTES,
    NODES,
    NODES_AT,
    SHAPES_AT,
    X_AT,
    text,
)
from convprof.codegen.probes.instructions.instruction import TILE_BITS
from convprof.codegen.target import target
from convprof.machine import facts
from convprof.machine.instructions import missing

ADD = {"x86_64": "addq %r14, %r15", "aarch64": "add x2, x2, x3"}
CATALOGUES = [("x86_64", True), ("x86_64", False), ("aarch64", True)]
ROWS = [
    pytest.param(arch, row, id=f"{arch}-{'avx' if avx else 'sse'}-{row.key.name}")
    for arch, avx in CATALOGUES
    for row in catalogue(arch, avx=avx)
    if isinstance(row, Instruction)
]


def chains(row, adds=0):
    return [
        Chain(row, dependent, adds) for dependent in (True, False) if row.chain or not dependent
    ]


@pytest.mark.parametrize(("arch", "avx"), CATALOGUES)
def test_names_are_unique_and_every_kind_is_there(arch, avx):
    names = [row.key.name for row in catalogue(arch, avx=avx)]
    assert len(names) == len(set(names))
    for width in ("scalar", "128"):
        for dtype in ("f32", "f64"):
            for operation in ("add", "sub", "mul", "fma"):
                assert f"{operation} {dtype} {width}" in names
            for operation in ("div", "sqrt"):
                assert f"{operation} {dtype} {width} full" in names
    assert {"div i64 scalar small", "i64->f64 scalar", "f64->f32 128", "load i64 scalar"} < {*names}


def test_an_unknown_architecture_has_none():
    assert catalogue("riscv64") == []


def test_every_avx512_row_is_there():
    rows = [row for row in catalogue("x86_64") if row.key.bits == 512]
    assert all("AVX512" in " ".join(row.needs) for row in rows)
    names = {row.key.name for row in rows}
    assert {"dot u8->i32 512", "dot bf16->f32 512", "fma f16 512"} < names
    assert {row.key.operation for row in rows} == {
        "add", "sub", "mul", "div", "sqrt", "fma", "dot", "convert", "load",
    }  # fmt: skip


def test_every_aarch64_row_of_short_types_is_there():
    rows = {row.key.name: row for row in catalogue("aarch64") if isinstance(row, Instruction)}
    short = {name: row for name, row in rows.items() if {*row.needs} - {"NEON"}}
    assert {name: (row.mnemonic, row.needs) for name, row in short.items()} == {
        "dot i8->i32 128": ("sdot", ("DOTPROD",)),
        "dot u8->i32 128": ("usdot", ("I8MM",)),
        "dot bf16->f32 128": ("bfdot", ("BF16",)),
        "matrix i8->i32 128": ("smmla", ("I8MM",)),
        "matrix u8->i32 128": ("usmmla", ("I8MM",)),
        "matrix bf16->f32 128": ("bfmmla", ("BF16",)),
        "fma f16 128": ("fmla", ("FP16",)),
    }
    body = Chain(short["matrix bf16->f32 128"], dependent=False).body("aarch64")
    assert body[:2] == ["bfmmla v0.4s, v28.8h, v29.8h", "bfmmla v1.4s, v28.8h, v29.8h"]


def test_neon_says_what_it_has_not():
    absent = {row.key.name: row.reason for row in catalogue("aarch64") if isinstance(row, Absent)}
    assert absent["mul i64 128"] == "NEON multiplies no 64-bit integers"
    assert absent["fma f32 512"] == "NEON's vectors have 128 bits"


@pytest.mark.parametrize(("arch", "row"), ROWS)
def test_a_dependent_chain_stays_in_its_registers(arch, row):
    """The first chain's registers and constants only: no step starts anew."""
    if not row.chain:
        with pytest.raises(ValueError, match="no dependent chain"):
            Chain(row, dependent=True).body(arch)
        return
    names = {"x86_64": r"%\w+", "aarch64": r"\b[xwvsdq]\d+"}[arch]
    body = Chain(row, dependent=True).body(arch)
    used = {
        re.sub(r"^[%xyzmwvsdq]+|d$", "", found)
        for line in body
        for found in re.findall(names, line)
    }
    assert len(used) <= 7
    assert len(body) >= Chain(row, dependent=True).counted


@pytest.mark.parametrize(("arch", "row"), ROWS)
def test_nothing_that_a_renamer_folds(arch, row):
    """No immediate operands, and no operation of a register with itself but a wanted zero."""
    for chain in chains(row):
        for line in set(chain.body(arch)):
            assert "$" not in line
            assert "#" not in line or line.startswith("ldr")
            operands = re.split(r"\s+", line.replace(",", ""))[1:]
            if line.startswith(("sub", "psub", "vpsub", "vsub", "fsub")):
                source = operands[0] if arch == "x86_64" else operands[2]
                assert operands.count(source) == 1


CLOCKED = [
    case for case in ROWS if case.values[0] == "aarch64" or (case.values[1].key.bits or 0) >= 256
]
"""Narrow x86 code has no clock chain: more chains use its registers."""


@pytest.mark.parametrize(("arch", "row"), CLOCKED)
def test_the_clock_runs_evenly_among_the_steps(arch, row):
    for chain in chains(row, adds=57):
        body = chain.body(arch)
        places = [at for at, line in enumerate(body) if line == ADD[arch]]
        assert len(places) == 57
        gaps = np.diff(places)
        assert gaps.max() - gaps.min() <= max(3, len(body) // chain.steps + 2)
        assert [line for line in body if line != ADD[arch]] == chains(row)[
            0 if chain.dependent else -1
        ].body(arch)


def normal(values):
    found = np.abs(values)
    return np.isfinite(values).all() and (found >= np.finfo(values.dtype).tiny).all()


STEPS = 20_000
"""More than a sample has at 5 GHz and a latency of 3."""


FLOATS = [
    row
    for row in catalogue("x86_64")
    if row.key.bits is None and row.key.dtype[0] == "f" and row.key.operation != "convert"
]


@pytest.mark.parametrize("row", FLOATS, ids=lambda row: row.key.name)
def test_values_stay_normal(row):
    dtype = {"f32": np.float32, "f64": np.float64}[row.key.dtype]
    x, a, b = (dtype(value) for value in (row.values.x, row.values.a, row.values.b))
    step = {
        "add": lambda x: x + a,
        "sub": lambda x: x - a,
        "mul": lambda x: x * a,
        "fma": lambda x: x + a * b,
        "div": lambda x: x / a / b,
        "sqrt": lambda x: np.sqrt(x) * b,
    }[row.key.operation]
    assert normal(np.array([value for value in (x, a, b) if value != 0]))
    assert row.key.operation != "fma" or normal(np.array([a * b]))
    first = x
    for _ in range(STEPS):
        x = step(x)
    assert x.dtype == dtype
    assert normal(np.array([x]))
    assert 0.5 < x / first < 2


def test_operand_classes_stay_what_they_are():
    rows = {row.key.name: row for row in catalogue("x86_64")}
    full, simple = (rows[f"sqrt f64 scalar {name}"].values for name in ("full", "simple"))
    assert np.sqrt(full.x) * full.b == pytest.approx(full.x, rel=1e-15)
    assert np.sqrt(simple.x) * simple.b == simple.x
    for row in catalogue("aarch64"):
        if row.key.operation == "div" and row.key.dtype[0] == "i":
            assert row.values.a % row.values.x == 0  # a / x alternates between two factors
            assert row.values.a < 2 ** (8 * {"i32": 4, "i64": 8}[row.key.dtype] - 1)


def test_the_ring_of_addresses_visits_every_line():
    row = next(row for row in catalogue() if row.key.operation == "load" and row.chain)
    data = data_block(row, dependent=True)
    assert data.ctypes.data % NODES_AT == 0
    assert data.nbytes == DATA_BYTES
    words = data.view(np.uint64)
    seen, at = set(), int(words[X_AT // 8])
    for _ in range(NODES):
        seen.add(at)
        offset = at - data.ctypes.data
        assert NODES_AT <= offset < DATA_BYTES
        assert offset % LINE_BYTES == 0
        at = int(words[offset // 8])
    assert len(seen) == NODES
    assert at in seen


def able():
    extensions = facts().cpu.extensions
    rows = catalogue(avx=bool(extensions.get("AVX")))
    return [row for row in rows if missing(row, extensions) is None]


def test_every_loop_compiles_and_runs_on_this_machine():
    rows = able()
    if not rows:
        pytest.skip("no instructions known here")
    every = [chain for row in rows for chain in chains(row)]
    for chain, run in zip(every, compile_chains(every), strict=True):
        data = data_block(chain.instruction, dependent=chain.dependent)
        before = data.copy()
        run(3, data.ctypes.data)
        assert (data == before).all()


ASSEMBLER = shutil.which("llvm-mc")
FLAGS = {
    ("x86_64", True): ["-triple=x86_64", "-mattr=+avx512f,+avx512dq,+avx512vl,+fma,+avx2"],
    # Rows that need AVX are not measured without it.
    ("x86_64", False): ["-triple=x86_64", "-mattr=+sse4.1"],
    ("aarch64", True): ["-triple=aarch64", "-mattr=+dotprod,+i8mm,+bf16,+fullfp16"],
}


@pytest.mark.skipif(ASSEMBLER is None, reason="llvm-mc is not installed")
@pytest.mark.parametrize(("arch", "avx"), CATALOGUES)
def test_every_loop_assembles_for_its_architecture(arch, avx):
    rows = [row for row in catalogue(arch, avx=avx) if isinstance(row, Instruction)]
    if not avx:
        rows = [row for row in rows if not any("AVX" in n or n == "FMA" for n in row.needs)]
    assert len(rows) > 50
    lines = [text(chain, arch) for row in rows for chain in chains(row)]
    done = subprocess.run(
        [ASSEMBLER, *FLAGS[arch, avx], "-filetype=null"],
        input="\n".join(lines) + "\n", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


TILES = [
    row for row in catalogue("x86_64") if isinstance(row, Instruction) and row.key.bits == TILE_BITS
]


def test_tile_registers_are_configured_before_and_released_after_the_loop():
    assert {row.mnemonic for row in TILES} == {"tileloadd", "tilestored", "tdpbf16ps", "tdpbusd"}
    for row in TILES:
        lines = text(Chain(row, dependent=False), "x86_64").split("\n")
        loop = lines.index("1:")
        assert f"ldtilecfg {SHAPES_AT}(%rsi)" in lines[:loop]
        assert [line for line in lines[:loop] if line.startswith("tilezero")] == [
            f"tilezero %tmm{i}" for i in range(8)
        ]
        assert lines[-1] == "tilerelease"
        registers = {
            re.search(r"%tmm[0-5]", line)[0] for line in Chain(row, dependent=False).body("x86_64")
        }
        assert len(registers) == 6  # as many independent products, loads or stores


def test_the_data_of_tiles_have_eight_whole_tiles_and_the_distance_of_rows():
    by_name = {row.key.name: row for row in TILES}
    data = data_block(by_name["load u8 tile strided"], dependent=False)
    shapes = data[SHAPES_AT : SHAPES_AT + LINE_BYTES]
    assert shapes[0] == 1
    assert shapes[16:32].view(np.uint16).tolist() == [64] * 8
    assert shapes[48:56].tolist() == [16] * 8
    assert data[:8].view(np.int64)[0] == 256
    assert NODES_AT + 16 * 256 <= DATA_BYTES  # all rows of a tile are in the block


@pytest.mark.parametrize("how", ["packed", "strided"])
def test_tiles_from_l2_are_different_lines_and_more_than_l1_holds(how):
    row = next(row for row in TILES if row.key.name == f"load u8 tile {how} L2")
    body = Chain(row, dependent=False).body("x86_64")
    places = [int(re.match(r"tileloadd (\d+)\(", line)[1]) for line in body]
    distance = int(row.values.a)
    lines = {(place + i * distance) // LINE_BYTES for place in places for i in range(16)}
    assert len(lines) == 16 * len(places), "no line is read twice"
    assert len(lines) * LINE_BYTES == 192 << 10
    assert (max(lines) + 1) * LINE_BYTES <= data_block(row, dependent=False).nbytes
    assert max(lines) - min(lines) == len(lines) - 1, "no gaps, for the prefetcher of L1"


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("dot u8->i32 512", 8),
        ("dot bf16->f32 256", 4),
        ("dot bf16->f32 tile", 64),
        ("dot u8->i32 tile", 128),
        ("fma f16 128", 2),
        ("add f32 128", 1),
        ("dot i8->i32 128", 8),
        ("matrix u8->i32 128", 16),
        ("matrix bf16->f32 128", 8),
    ],
)
def test_operations_behind_an_element(name, operations):
    keys = {row.key.name: row.key for arch in ADD for row in catalogue(arch)}
    assert keys[name].operations == operations


def test_products_of_short_floats_leave_their_sum_as_it_is():
    rows = {row.key.name: row for row in catalogue("x86_64") if isinstance(row, Instruction)}
    data = data_block(rows["dot bf16->f32 512"], dependent=True)
    factor = data[:2].view(np.uint16)[0].astype(np.uint32) << np.uint32(16)
    assert factor.view(np.float32) == np.float32(2.0**-40)
    assert data[X_AT : X_AT + LINE_BYTES].view(np.float32).tolist() == [1.0] * 16
    data = data_block(rows["fma f16 512"], dependent=True)
    halves = data[:2].view(np.float16)[0], data[X_AT : X_AT + 2].view(np.float16)[0]
    assert normal(np.float16(halves[0] * halves[0]))
    assert np.float16(halves[1] + halves[0] * halves[0]) == halves[1]


@pytest.mark.skipif(target().arch != "x86_64", reason="instructions of x86-64")
def test_short_types_and_tiles_are_assembled_whether_this_cpu_has_them_or_not():
    rows = [row for row in x86_short.catalogue() if row.key.bits in (512, TILE_BITS)]
    every = [chain for row in rows for chain in chains(row, adds=57)]
    assert len(compile_chains(every)) == len(every)
