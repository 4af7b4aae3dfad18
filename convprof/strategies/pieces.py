"""f32 as sums of bf16 pieces: the types of their products, who multiplies them, and the splitting.

``codegen.kernels.split`` has the pieces and the products that are added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import dtypes
from convprof.codegen.kernels.tile_registers import tile_product
from convprof.dtypes import DTYPES

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa

    Array = np.ndarray[Any, Any]

PIECES = "bf16:bf16:f32"
"""The types of the products of pieces."""
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
