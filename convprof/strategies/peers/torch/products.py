"""PyTorch: oneDNN and MKL as eager code calls them, or with packed weights as in ``torch.compile``.

Several calls compute the same, and none is always the fastest. ``torch.convolution`` repacks the
weights in every call; for 7x7 images of 512 channels this adds half of the time. oneDNN's call with
packed weights, which ``torch.compile`` uses when it freezes a model, has 30 µs more overhead and
needs NHWC. ``bind`` chooses the fastest call for each problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.dtypes import COMMON
from convprof.machine import software
from convprof.problems import Attention, Conv2d, Gemm
from convprof.strategies.base import P
from convprof.strategies.peers.package import Library
from convprof.strategies.peers.torch import grouped_weights, short_types
from convprof.strategies.peers.torch.calls import TorchPrepared
from convprof.strategies.peers.torch.epilogue import TorchEpilogue
from convprof.strategies.peers.torch.masks import causal
from convprof.strategies.peers.torch.state import from_array, to_array

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Call = Callable[[], Tensor]


class TorchConvPrepared(TorchPrepared):
    """A convolution; in NHWC on ``channels_last`` tensors."""

    problem: Conv2d

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the plain call and the call with packed weights, both in the right layout."""
        p, t = self.problem, self.torch
        if self.setting.layout == "nhwc":
            x = x.permute(0, 3, 1, 2)
        top, left, bottom, right = p.pads
        pad, image = (top, left), _constant(x)
        if pad != (bottom, right):
            border = int(self.more[-1][0]) if self.setting.types.requantises else 0
            pad, image = (0, 0), _padded(t, x, (left, right, top, bottom), border)
        if x.dtype == t.uint8:
            end = short_types.ends(t, self.setting.types, p.k, self.more)
            return [short_types.convolution(t, p, image, weights, end)]
        plain, filters = t.convolution, weights.to(memory_format=self._format)
        last = pad, p.dilation, False, (0, 0), p.groups
        epilogue = self._epilogue()
        bias = epilogue.bias

        def pack() -> Call:
            operators = t.ops.mkldnn
            shape = list(image().shape)
            packed = operators._reorder_convolution_weight(  # noqa: SLF001
                weights, pad, p.stride, p.dilation, p.groups, shape
            )
            return epilogue.conv(operators, image, packed, (pad, p.stride, p.dilation, p.groups))

        eager = epilogue.after(lambda: plain(image(), filters, bias, p.stride, *last))
        return [eager, *self.packed(pack)]

    def _epilogue(self) -> TorchEpilogue:
        """Return the epilogue, its residual with its axes in PyTorch's order."""
        tensors = [from_array(array) for array in self.more]
        if self.setting.layout == "nhwc" and self.problem.epilogue.add:
            tensors[-1] = tensors[-1].permute(0, 3, 1, 2)
        return TorchEpilogue(self.torch, self.problem.epilogue, tensors)

    def in_layout(self, call: Call) -> Call:
        """Return ``call``, with a conversion if its result has another layout."""
        fmt = self._format
        if call().is_contiguous(memory_format=fmt):
            return call
        return lambda: call().contiguous(memory_format=fmt)

    def result(self) -> Array:
        """Return the result's memory, its axes in the setting's order."""
        y = super().result()
        return y.transpose(0, 2, 3, 1) if self.setting.layout == "nhwc" else y

    @property
    def _format(self) -> Any:
        t = self.torch
        return t.channels_last if self.setting.layout == "nhwc" else t.contiguous_format


class TorchGemmPrepared(TorchPrepared):
    """A product of two matrices, or of a batch of them."""

    problem: Gemm

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the product into an allocated result, and MKL's product with a packed operand."""
        g, t = self.problem, self.torch
        if g.grouped_weights:
            return [grouped_weights.call(t, g, x, (to_array(weights), *self.more))]
        if self.setting.dtype not in COMMON:
            end = short_types.ends(t, self.setting.types, g.n, self.more)
            return short_types.calls(t, g, x, weights, end)
        c = t.empty(g.c_shape, dtype=x.dtype)
        epilogue = TorchEpilogue(t, g.epilogue, [from_array(array) for array in self.more])
        bias = epilogue.bias
        if g.batch > 1:
            plain = (
                (lambda: t.bmm(x, weights, out=c))
                if bias is None
                else (lambda: t.baddbmm(bias, x, weights, out=c))
            )
            return [epilogue.after(plain)]

        def pack() -> Call:
            turned = weights.t().contiguous()
            packed = t.ops.mkl._mkl_reorder_linear_weight(turned, g.m)  # noqa: SLF001
            call = t.ops.mkl._mkl_linear.default  # noqa: SLF001
            return epilogue.after(lambda: call(x, packed, turned, bias, g.m))

        def fuse() -> Call:
            operators = t.ops.mkldnn
            turned = weights.t().contiguous()
            packed = operators._reorder_linear_weight(turned, g.m)  # noqa: SLF001
            return epilogue.linear(operators, x, packed)

        plain = (
            (lambda: t.mm(x, weights, out=c))
            if bias is None
            else (lambda: t.addmm(bias, x, weights, out=c))
        )
        fused = self.packed(fuse) if g.epilogue else []
        return [epilogue.after(plain), *self.packed(pack), *fused]


class TorchAttentionPrepared(TorchPrepared):
    """Attention by the kernel that PyTorch chooses; on a CPU the tiled one of Dao et al. 2022."""

    problem: Attention
    weight_copies: ClassVar[int] = 0

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the only call; K and V are views of the second operand."""
        attend = self.torch.nn.functional.scaled_dot_product_attention
        p, (k, v) = self.problem, weights
        settings = causal(p) | ({"enable_gqa": True} if p.sharing > 1 else {})
        if p.mask_shape is not None:
            settings["attn_mask"] = from_array(self.more[0])
        return [lambda: attend(x, k, v, **settings)]


def _constant(x: Tensor) -> Call:
    return lambda: x


def _padded(module: Any, x: Tensor, around: tuple[int, int, int, int], border: int) -> Call:
    """Return a copy of ``x`` with a border: PyTorch's own padding is symmetric."""
    pad = module.nn.functional.pad
    return lambda: pad(x, around, value=border)


class TorchLibrary(Library[P]):
    """A strategy that needs PyTorch."""

    name = "torch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    hint: ClassVar[str] = " (the CPU build is enough)"

    def cannot(self, problem: P, setting: Setting) -> str | None:
        """Refuse epilogues of short types."""
        if problem.epilogue and setting.dtype not in COMMON:
            return f"torch computes epilogues here in f32 and f64, not {setting.type_name}"
        return super().cannot(problem, setting)


class TorchConv2d(TorchLibrary[Conv2d]):
    """PyTorch's convolution."""

    fuses = True
    kind = "conv2d"
    summary = "PyTorch: oneDNN, weights packed beforehand where that pays"
    dtypes = (*COMMON, *short_types.FLOATS, *short_types.UNSIGNED)

    def prepare(self, problem: Conv2d, setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the operands."""
        return TorchConvPrepared(self.name, problem, setting)


class TorchGemm(TorchLibrary[Gemm]):
    """PyTorch's product."""

    fuses = True
    kind = "gemm"
    summary = "PyTorch: MKL or oneDNN, b packed beforehand where that pays"
    dtypes = (*COMMON, *short_types.DTYPES)
    grouped = grouped_weights.FLOATS

    def cannot(self, problem: Gemm, setting: Setting) -> str | None:
        """Refuse batches of integers, and groups of weights, for which PyTorch has no call."""
        of = problem.grouped_weights
        reason = grouped_weights.why_not(of, problem.k) if of else None
        if reason is not None:
            return f"torch takes {reason}"
        if problem.batch > 1 and setting.types.accumulator.is_exact:
            return f"torch has no call for a batch of products in {setting.type_name}"
        return super().cannot(problem, setting)

    def prepare(self, problem: Gemm, setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the operands."""
        return TorchGemmPrepared(self.name, problem, setting)


FIRST_SHARED = (2, 5)
"""The first version of PyTorch with ``enable_gqa``."""


class TorchAttention(TorchLibrary[Attention]):
    """PyTorch's attention."""

    kind = "attention"
    summary = "PyTorch: scaled_dot_product_attention"
    dtypes = (*COMMON, *short_types.FLOATS)

    def cannot(self, problem: Attention, setting: Setting) -> str | None:
        """Refuse shared heads of keys where PyTorch is too old."""
        if problem.sharing > 1 and software.numbers("torch", FIRST_SHARED) < FIRST_SHARED:
            first = ".".join(map(str, FIRST_SHARED))
            return f"torch shares heads of keys from version {first} on"
        return super().cannot(problem, setting)

    def prepare(self, problem: Attention, setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the operands."""
        return TorchAttentionPrepared(self.name, problem, setting)
