"""bf16, f16 and bytes in PyTorch; several calls, as none is always the fastest.

bf16 is computed by oneDNN. f16 is too where the CPU has instructions for it, else by loops of
PyTorch's own. Bytes are computed by the integer product of MKL, or, with weights packed beforehand,
by oneDNN, whose result is f32: a conversion to s32 belongs to the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from convprof.errors import RefusedError
from convprof.strategies.peers.torch.calls import UNSUPPORTED
from convprof.strategies.peers.torch.state import from_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from convprof.dtypes import Types
    from convprof.problems import Conv2d, Gemm

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Call = Callable[[], Tensor]

FLOATS = ("bf16", "f16")
UNSIGNED = ("u8:s8:s32", "u8:s8:u8", "u8:s8:s8")
"""Types for which oneDNN has kernels; with signed sources it has none."""
BYTES = (*UNSIGNED, "s8:s8:s32")
DTYPES = (*FLOATS, *BYTES)
"""Types for which PyTorch has products on CPUs; none of them writes f32 from bf16 or f16."""


class Ends(NamedTuple):
    """How sums of bytes end."""

    scale: Tensor
    """One per output channel."""
    zeros: tuple[int, int] = (0, 0)
    """Of source and result."""
    result: str = ""
    """The name of PyTorch's type of bytes; empty for s32."""

    def rest(self, t: Any) -> tuple[Any, ...]:
        """Return the last arguments of oneDNN's calls: the result, and nothing fused."""
        output = getattr(t, self.result) if self.result else t.float32
        return 1.0, self.zeros[1], output, "none", [], ""

    def after(self, t: Any, call: Call) -> Call:
        """Return a call whose f32 sums become s32, where they do."""
        return call if self.result else lambda: call().to(t.int32)


def ends(t: Any, of: Types, channels: int, more: Sequence[Array]) -> Ends:
    """Return how sums end. ``more``: the operands of requantisation, scales and zero points."""
    if not of.requantises:
        return Ends(t.ones(channels))
    scale, zeros = more
    return Ends(from_array(scale), (int(zeros[0]), int(zeros[2])), of.result.numpy)


def calls(t: Any, g: Gemm, x: Tensor, weights: Tensor, end: Ends) -> list[Call]:
    """Return the calls that compute the product; the first one always works.

    ``t`` is PyTorch's module.
    """
    if x.dtype.is_floating_point:
        return _floats(t, g, x, weights)
    return _bytes(t, g, x, weights, end)


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


def _bytes(t: Any, g: Gemm, x: Tensor, weights: Tensor, end: Ends) -> list[Call]:
    turned = weights.t().contiguous()
    if end.result:
        return _packed_bytes(t, g, x, turned, end)
    c = t.empty(g.c_shape, dtype=t.int32)
    product = t._int_mm  # noqa: SLF001
    columns = turned.t()
    in_place: list[Call] = [
        lambda: product(x, weights, out=c),
        lambda: product(x, columns, out=c),
    ]
    return [*in_place, *(_packed_bytes(t, g, x, turned, end) if x.dtype == t.uint8 else [])]


def _packed_bytes(t: Any, g: Gemm, x: Tensor, turned: Tensor, end: Ends) -> list[Call]:
    """Return oneDNN's product with packed weights; for s8 oneDNN has a reference kernel only."""
    try:
        packed = t.ops.onednn.qlinear_prepack(turned, [g.m, g.k])
    except UNSUPPORTED:
        return []
    product, source_zero = t.ops.onednn.qlinear_pointwise, end.zeros[0]
    zeros = t.zeros(g.n, dtype=t.int32)
    rest = (packed, end.scale, zeros, None, *end.rest(t))
    return [end.after(t, lambda: product(x, 1.0, source_zero, *rest))]


def convolution(t: Any, p: Conv2d, image: Call, weights: Tensor, end: Ends) -> Call:
    """Return oneDNN's convolution of bytes with packed weights, as ``torch.compile`` uses it.

    ``image`` returns u8, with the border that PyTorch cannot add itself. RefusedError if this
    version lacks the operators.
    """
    top, left, bottom, right = p.pads
    pad = (top, left) if (top, left) == (bottom, right) else (0, 0)
    place = p.stride, pad, p.dilation, p.groups
    shape = list(image().shape)
    zeros, source_zero = t.zeros(p.k, dtype=t.int32), end.zeros[0]
    try:
        operators = t.ops.onednn
        packed = operators.qconv_prepack(weights, end.scale, 1.0, source_zero, *place, shape)
        call = operators.qconv_pointwise.default
    except UNSUPPORTED as error:
        raise RefusedError("torch has no convolution of bytes in this version") from error
    rest = (packed, end.scale, zeros, None, *place, *end.rest(t))
    return end.after(t, lambda: call(image(), 1.0, source_zero, *rest))
