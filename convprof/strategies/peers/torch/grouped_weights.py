"""Products with weights of 8 and 4 bits in PyTorch: the operators that torchao calls on CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import RefusedError
from convprof.strategies.peers.torch.calls import UNSUPPORTED
from convprof.strategies.peers.torch.state import from_array
from convprof.strategies.peers.unsigned_weights import BYTE, Unsigned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems import Gemm
    from convprof.problems.grouped_weights import GroupedWeights

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Call = Callable[[], Tensor]

FLOATS = ("f32", "bf16")
"""The types of activations, which the scales have too."""
HALF = 8
"""The number that means 0 in the operator: zero points are a part of the sum's factors."""


def why_not(of: GroupedWeights, k: int) -> str | None:
    """Return what the operators take instead of the weights; None if they take them."""
    if of.bits == BYTE:
        is_taken = of.group == k and not of.has_zero_points
        return None if is_taken else "weights of 8 bits as int8 with a scale per channel only"
    return None if k % of.group == 0 else f"whole groups, not {k} rows in groups of {of.group}"


def call(t: Any, g: Gemm, x: Tensor, stored: Sequence[Array]) -> Call:
    """Return the call; RefusedError if this build has no such operator, or not for the sizes.

    ``stored``: the problem's operands after the activations.
    """
    of = g.grouped_weights
    assert of is not None  # noqa: S101  # as the strategy looked
    try:
        whole_bytes = of.bits == BYTE
        product = _of_bytes(t, x, stored) if whole_bytes else _of_halves(t, of, x, stored)
        product()
    except UNSUPPORTED as error:
        reason = str(error).partition("\n")[0][:100]
        raise RefusedError(f"torch {t.__version__} cannot compute {of.dtype}: {reason}") from None
    return product


def _of_halves(t: Any, of: GroupedWeights, x: Tensor, stored: Sequence[Array]) -> Call:
    weights = Unsigned.of(of, stored, x.shape[-1])
    zeros = (HALF - weights.zeros.astype(np.float32)) * weights.scales
    factors = from_array(np.ascontiguousarray(np.stack([weights.scales, zeros], -1))).to(x.dtype)
    columns = from_array(np.ascontiguousarray(weights.whole.T.astype(np.int32)))
    packed = t._convert_weight_to_int4pack_for_cpu(columns, 1)  # noqa: SLF001
    return lambda: t._weight_int4pack_mm_for_cpu(x, packed, of.group, factors)  # noqa: SLF001


def _of_bytes(t: Any, x: Tensor, stored: Sequence[Array]) -> Call:
    columns = from_array(np.ascontiguousarray(stored[0].T))
    scales = from_array(stored[1][0]).to(x.dtype)
    return lambda: t._weight_int8pack_mm(x, columns, scales)  # noqa: SLF001
