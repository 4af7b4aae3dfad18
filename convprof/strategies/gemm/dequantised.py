"""Weights of 8 or 4 bits as f32 in a buffer of their own: what a library without kernels for them does.

The limit it shows: the f32 weights are written and read again, eight times the bytes of an int4.
"""  # noqa: E501

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import DTYPES
from convprof.integers import ceil_div
from convprof.strategies.plan import WEIGHTS, Buffer, Plan, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems import Gemm
    from convprof.strategies.kernels import Buffers, Words

DEQUANTISED = "b_f32"
TASK_ROWS = 64


def bytes_as_f32(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write tasks of ``dims[3]`` rows of ``b (k, n)`` times the scales of their groups."""
    b, scales, out = buffers[0], buffers[1], buffers[2]
    n, k, group = dims[0], dims[1], dims[2]
    for t in range(lo * dims[3], min(hi * dims[3], k)):
        for j in range(n):
            out[t * n + j] = scales[t // group * n + j] * b[t * n + j]


def halves_as_f32(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write tasks of ``dims[3]`` rows of ``b (k, n)``, of which two share the bytes of a row."""
    b, scales, out = buffers[0], buffers[1], buffers[2]
    n, k, group = dims[0], dims[1], dims[2]
    for t in range(lo * dims[3], min(hi * dims[3], k)):
        shift = 4 * (t % 2)
        for j in range(n):
            whole = ((b[t // 2 * n + j] >> shift) & 15) - 8
            out[t * n + j] = scales[t // group * n + j] * whole


def bytes_from_zeros(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows as ``bytes_as_f32`` does, of distances from the zero points of their groups."""
    b, scales, zeros, out = buffers[0], buffers[1], buffers[2], buffers[3]
    n, k, group = dims[0], dims[1], dims[2]
    for t in range(lo * dims[3], min(hi * dims[3], k)):
        for j in range(n):
            place = t // group * n + j
            out[t * n + j] = scales[place] * (b[t * n + j] - zeros[place])


def halves_from_zeros(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Write rows as ``halves_as_f32`` does, of distances from the zero points of their groups."""
    b, scales, zeros, out = buffers[0], buffers[1], buffers[2], buffers[3]
    n, k, group = dims[0], dims[1], dims[2]
    for t in range(lo * dims[3], min(hi * dims[3], k)):
        shift = 4 * (t % 2)
        for j in range(n):
            place = t // group * n + j
            whole = ((b[t // 2 * n + j] >> shift) & 15) - zeros[place]
            out[t * n + j] = scales[place] * whole


_NESTS: dict[str, Callable[..., None]] = {
    "int8": bytes_as_f32,
    "int4": halves_as_f32,
    "uint8": bytes_from_zeros,
    "uint4": halves_from_zeros,
}
"""By type of the weights."""


def weights_buffer(g: Gemm) -> str:
    """Return the name of the buffer that has one number per weight."""
    return DEQUANTISED if g.grouped_weights else WEIGHTS


def with_dequantised(plan: Plan, g: Gemm) -> Plan:
    """Add the f32 weights, and the stage that writes them, if the product needs them."""
    if g.grouped_weights is None:
        return plan
    plan.workspaces[DEQUANTISED] = Buffer((g.k, g.n), DTYPES["f32"])
    plan.lendable_workspaces |= {DEQUANTISED}
    nest = _NESTS[g.grouped_weights.dtype]
    dims = (g.n, g.k, g.grouped_weights.group, TASK_ROWS)
    buffers = (WEIGHTS, *g.grouped_weights.factors, DEQUANTISED)
    stage = Stage("dequantise", nest, ceil_div(g.k, TASK_ROWS), buffers, dims, work_fraction=0.0)
    plan.steps.insert(0, stage)
    return plan
