"""bf16, f16 and bytes in PyTorch; several calls, as none is always the fastest.

bf16 is computed by oneDNN. f16 is too where the CPU has instructions for it, else by loops of
PyTorch's own. Bytes are computed by the integer product of MKL, or, with weights packed beforehand,
by oneDNN, whose result is f32: a conversion to s32 belongs to the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import RefusedError
from convprof.strategies.peers.torch.calls import UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems import Conv2d, Gemm

    Tensor = Any
    Call = Callable[[], Tensor]

FLOATS = ("bf16", "f16")
UNSIGNED = "u8:s8:s32"
BYTES = (UNSIGNED, "s8:s8:s32")
DTYPES = (*FLOATS, *BYTES)
"""Types for which PyTorch has products on CPUs; none of them writes f32 from bf16 or f16."""


def calls(t: Any, g: Gemm, x: Tensor, weights: Tensor) -> list[Call]:
    """Return the calls that compute the product; the first one always works.

    ``t`` is PyTorch's module.
    """
    if x.dtype.is_floating_point:
        return _floats(t, g, x, weights)
    return _bytes(t, g, x, weights)


def _floats(t: Any, g: Gemm, x: Tensor, weights: Tensor) -> list[Call]:
    if g.batch > 1:
        c = t.empty(g.c_shape, dtype=x.dtype)
        return [lambda: t.bmm(x, weights, out=c)]
    linear, turned = t.nn.functional.linear, weights.t().contiguous()
    # Weights as nn.Linear stores them: in f16, PyTorch's own loops are 5 times as fast with these.
    plain: Call = lambda: linear(x, turned)  # noqa: E731
    if x.dtype == t.float16:
        return [plain, *_packed(t, g, x, turned)]
    c = t.empty(g.c_shape, dtype=x.dtype)
    return [plain, lambda: t.mm(x, weights, out=c), *_packed(t, g, x, turned)]


def _packed(t: Any, g: Gemm, x: Tensor, turned: Tensor) -> list[Call]:
    """Return oneDNN's product, as ``torch.compile`` uses it; none where oneDNN lacks the type."""
    try:
        packed = t.ops.mkldnn._reorder_linear_weight(turned, g.m)  # noqa: SLF001
    except UNSUPPORTED:
        return []
    linear = t.ops.mkldnn._linear_pointwise.default  # noqa: SLF001
    return [lambda: linear(x, packed, None, "none", [], "")]


def _bytes(t: Any, g: Gemm, x: Tensor, weights: Tensor) -> list[Call]:
    c = t.empty(g.c_shape, dtype=t.int32)
    product = t._int_mm  # noqa: SLF001
    turned = weights.t().contiguous()
    columns = turned.t()
    in_place: list[Call] = [
        lambda: product(x, weights, out=c),
        lambda: product(x, columns, out=c),
    ]
    return [*in_place, *(_packed_bytes(t, g, x, turned) if x.dtype == t.uint8 else [])]


def _packed_bytes(t: Any, g: Gemm, x: Tensor, turned: Tensor) -> list[Call]:
    """Return oneDNN's product with packed weights; for s8 oneDNN has a reference kernel only."""
    try:
        packed = t.ops.onednn.qlinear_prepack(turned, [g.m, g.k])
    except UNSUPPORTED:
        return []
    product = t.ops.onednn.qlinear_pointwise
    scales, zeros = t.ones(g.n), t.zeros(g.n, dtype=t.int32)
    rest: tuple[Any, ...] = (packed, scales, zeros, None, 1.0, 0, t.float32, "none", [], "")
    return [lambda: product(x, 1.0, 0, *rest).to(t.int32)]


def convolution(t: Any, p: Conv2d, image: Call, weights: Tensor, pad: tuple[int, int]) -> Call:
    """Return oneDNN's convolution of bytes with packed weights, as ``torch.compile`` uses it.

    ``image`` returns u8; PyTorch has no other. RefusedError if this version lacks the operators.
    """
    place = p.stride, pad, p.dilation, p.groups
    shape = list(image().shape)
    scales, zeros = t.ones(p.k), t.zeros(p.k, dtype=t.int32)
    try:
        operators = t.ops.onednn
        packed = operators.qconv_prepack(weights, scales, 1.0, 0, *place, shape)
        call = operators.qconv_pointwise.default
    except UNSUPPORTED as error:
        raise RefusedError("torch has no convolution of bytes in this version") from error
    rest: tuple[Any, ...] = (packed, scales, zeros, None, *place, 1.0, 0, t.float32, "none", [], "")
    return lambda: call(image(), 1.0, 0, *rest).to(t.int32)
