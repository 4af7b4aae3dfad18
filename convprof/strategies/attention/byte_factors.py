"""What kernels of attention of bytes read of the scales, computed when they are bound."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.kernels.attention_bytes import (
    HIGH,
    LOW,
    OF_MASKS,
    OF_RESULTS,
    OF_SCORES,
    WORDS,
    ZERO,
)
from convprof.problems.attention_bytes import RESULT_SCALE, RESULT_ZERO, SCALES, meaning, unit
from convprof.problems.requantisation import limits
from convprof.strategies.plan import Buffer, Packed

if TYPE_CHECKING:
    from convprof.dtypes import Types

    Array = np.ndarray[Any, Any]

FACTORS = "factors"
"""The name of the buffer."""
MOST = float(np.finfo(np.float32).max)


def packed(scale: float, types: Types) -> dict[str, Packed]:
    """Return the words of ``codegen.kernels.attention_bytes``, in f32.

    ``scale``: the factor of the products of queries and keys.
    """
    sources = (SCALES, RESULT_SCALE, RESULT_ZERO) if types.result.is_exact else (SCALES,)
    words = functools.partial(_words, scale, types)
    return {FACTORS: Packed(Buffer((WORDS,), types.scale), words, sources)}


def _words(scale: float, types: Types, scales: Array, *ends: Array) -> Array:
    """Return the words from the scales, and from scale and zero point of results in bytes."""
    of_score = unit(scales, scale)
    words = np.zeros(WORDS, np.float32)
    factors = np.minimum((of_score * math.log2(math.e), 1 / of_score), MOST)  # inf * 0 is NaN
    words[OF_SCORES], words[OF_MASKS] = factors
    words[OF_RESULTS] = scales[2]
    if ends:
        step, zero = meaning(*ends)
        words[OF_RESULTS] = float(scales[2]) / step
        words[LOW], words[HIGH] = (limit - zero for limit in limits(types.result))
        words.view(np.int32)[ZERO] = zero
    return words
