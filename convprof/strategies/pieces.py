"""f32 as sums of bf16 pieces: the types and instructions of their products, and the splitting.

``codegen.kernels.split`` has the pieces and the products that are added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import dtypes, integers
from convprof.codegen import isa as isas
from convprof.codegen.kernels.tile_registers import tile_product
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import DTYPES
from convprof.strategies.plan import Native, Stage

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.split import SplitRow
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

PIECES = "bf16:bf16:f32"
"""The types of the products of pieces."""
SPLITTING = dtypes.types("f32:f32:bf16")
"""The types of the kernel that splits."""
FEWEST_TERMS = 16
"""Shorter sums have the error of single products, which may exceed the tolerance of f32."""
ADDED_ERRORS = {2: 1e-4, 3: 2e-6}
"""The relative error that the products of two or three pieces add, at most."""
SLOWER = "for AMX; elsewhere slower than"


def has_tiles(isa: Isa) -> bool:
    """Whether an instruction set multiplies bf16 in tile registers."""
    return tile_product(dtypes.types(PIECES), isa) is not None


def has_dot(isa: Isa) -> bool:
    """Whether an instruction set has the dot product of bf16 whose error was measured."""
    return isa.has("avx512bf16")


def refusal(name: str, isa: Isa, sum_of: str, terms: int) -> str | None:
    """Return why a CPU, or the length of the sums, does not suit a strategy; else None.

    ``sum_of``: how people write the length.
    """
    if not (has_tiles(isa) or has_dot(isa)):
        return f"{name} needs AMX or AVX512-BF16, which {isa.name} does not have"
    if terms < FEWEST_TERMS:
        return f"{name} needs {sum_of} of at least {FEWEST_TERMS}; got {terms}"
    return None


def split(whole: Array, pieces: int) -> Array:
    """Return the pieces of an array of f32, the largest first, in a new first axis."""
    short, rest = DTYPES["bf16"].array_type, whole.astype(np.float32)
    parts = []
    for _ in range(pieces):
        parts.append(rest.astype(short))
        rest = rest - parts[-1].astype(np.float32)
    return np.stack(parts)


def stage(
    row: SplitRow, rows: int, apart: int, setting: Setting, buffers: tuple[str, str]
) -> Stage:
    """Return the stage that splits dense rows of one buffer; a task is a part of the rows.

    ``apart``: elements from the pieces of a row to the pieces of the next one, in the other buffer.
    """
    isa, tiles = isas.find(setting.isa), TileList()
    for some in integers.split(rows, setting.threads):
        tiles.task()
        numbers = np.asarray(some)
        if numbers.size:
            tiles.add(kernel(row, isa), numbers * row.columns, 0, numbers * apart)
    source, target = buffers
    native = Native(runner_address(), tiles)
    return Stage("split", native, setting.threads, (source, source, target), tiles.dims())
