"""PyTorch's backward passes, one gradient at a time: autograd's call, the other gradient masked.

``aten::convolution_backward`` has an output mask: only the requested gradient is computed. In NHWC
all tensors are ``channels_last``. The gradient of the weights keeps the order that oneDNN writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems import Backward, Conv2d, Gemm
from convprof.strategies.peers.torch.calls import TorchPrepared
from convprof.strategies.peers.torch.products import TorchLibrary

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Call = Callable[[], Tensor]


class _ConvGradient(TorchPrepared):
    """One gradient of a convolution; PyTorch pads both sides of an axis alike."""

    weight_copies: ClassVar[int] = 1
    mask: ClassVar[tuple[bool, bool, bool]]
    """Whether the gradient of the input, of the weights and of the bias is computed."""

    def __init__(self, name: str, problem: Backward[Conv2d], setting: Setting) -> None:
        super().__init__(name, problem, setting)
        self.forward = problem.forward
        top, left, bottom, right = self.forward.pads
        self.symmetric = (top, left) == (bottom, right)

    def gradients(self, dy: Tensor, image: Tensor, filters: Tensor) -> tuple[Tensor, ...]:
        """Call PyTorch; gradients outside of ``mask`` are None."""
        p = self.forward
        pad = p.pads[:2] if self.symmetric else (0, 0)
        call = self.torch.ops.aten.convolution_backward
        rest = None, p.stride, pad, p.dilation, False, (0, 0), p.groups, self.mask
        result: tuple[Tensor, ...] = call(dy, image, filters, *rest)
        return result

    @property
    def format(self) -> Any:
        """PyTorch's name of the setting's layout."""
        t = self.torch
        return t.channels_last if self.setting.layout == "nhwc" else t.contiguous_format

    def channels_first(self, x: Tensor) -> Tensor:
        """Return the view (n, c, h, w) of a tensor in the setting's layout."""
        return x.permute(0, 3, 1, 2) if self.setting.layout == "nhwc" else x


class ConvDataGradient(_ConvGradient):
    """The gradient of the input; with asymmetric padding, the middle of a larger one."""

    mask = True, False, False

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the only call."""
        p, t, fmt = self.forward, self.torch, self.format
        top, left, bottom, right = p.pads
        height, width = (p.h, p.w) if self.symmetric else (p.h + top + bottom, p.w + left + right)
        like = t.empty((p.n, p.c, height, width), dtype=x.dtype, memory_format=fmt)
        dy, filters = self.channels_first(x), weights.to(memory_format=fmt)
        if self.symmetric:
            return [lambda: self.gradients(dy, like, filters)[0]]
        rows, columns = slice(top, top + p.h), slice(left, left + p.w)
        return [lambda: self.gradients(dy, like, filters)[0][:, :, rows, columns]]

    def in_layout(self, call: Call) -> Call:
        """Return ``call``, with a conversion if dx has another layout."""
        if call().is_contiguous(memory_format=self.format):
            return call
        return lambda: call().contiguous(memory_format=self.format)

    def result(self) -> Array:
        """Return the memory of dx, its axes in the setting's order."""
        dx = super().result()
        return dx.transpose(0, 2, 3, 1) if self.setting.layout == "nhwc" else dx


class ConvWeightsGradient(_ConvGradient):
    """The gradient of the weights; with asymmetric padding, of an image within zeros."""

    mask = False, True, False

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the only call; the second operand is dy."""
        p, t = self.forward, self.torch
        image, dy = self.channels_first(x), self.channels_first(weights)
        filters = t.empty(p.weight_shape, dtype=x.dtype).to(memory_format=self.format)
        if self.symmetric:
            return [lambda: self.gradients(dy, image, filters)[1]]
        top, left, bottom, right = p.pads
        around, padded = (left, right, top, bottom), t.nn.functional.pad
        return [lambda: self.gradients(dy, padded(image, around), filters)[1]]


class _GemmGradient(TorchPrepared):
    """One gradient of a product, into a result that is allocated beforehand."""

    weight_copies: ClassVar[int] = 0

    def product(self, x: Tensor, y: Tensor) -> list[Call]:
        """Return the product of two tensors."""
        t = self.torch
        result = t.empty(self.problem.result("nchw", self.setting.types).shape, dtype=x.dtype)
        multiply = t.bmm if x.dim() > 2 else t.mm  # noqa: PLR2004  # a batch, or two matrices
        return [lambda: multiply(x, y, out=result)]


class GemmDataGradient(_GemmGradient):
    """dC B^T."""

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the product with a transposed view of B."""
        return self.product(x, weights.mT)


class GemmWeightsGradient(_GemmGradient):
    """A^T dC."""

    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the product with a transposed view of A."""
        return self.product(x.mT, weights)


class _ConvLibrary(TorchLibrary[Backward[Conv2d]]):
    computes: ClassVar[type[_ConvGradient]]

    def prepare(self, problem: Backward[Conv2d], setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the operands."""
        return self.computes(self.name, problem, setting)


class _GemmLibrary(TorchLibrary[Backward[Gemm]]):
    computes: ClassVar[type[_GemmGradient]]

    def prepare(self, problem: Backward[Gemm], setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the operands."""
        return self.computes(self.name, problem, setting)


class TorchConvData(_ConvLibrary):
    """PyTorch's gradient of the input."""

    kind = "conv2d-backward-data"
    summary = "PyTorch: convolution_backward, the gradient of the input only"
    computes = ConvDataGradient


class TorchConvWeights(_ConvLibrary):
    """PyTorch's gradient of the weights."""

    kind = "conv2d-backward-weights"
    summary = "PyTorch: convolution_backward, the gradient of the weights only"
    computes = ConvWeightsGradient


class TorchGemmData(_GemmLibrary):
    """PyTorch's gradient of the first operand."""

    kind = "gemm-backward-data"
    summary = "PyTorch: the product with a transposed view of B"
    computes = GemmDataGradient


class TorchGemmWeights(_GemmLibrary):
    """PyTorch's gradient of the second operand."""

    kind = "gemm-backward-weights"
    summary = "PyTorch: the product with a transposed view of A"
    computes = GemmWeightsGradient
