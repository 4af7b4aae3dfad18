"""PyTorch's backward passes, one gradient at a time: what autograd calls, the other one masked.

``aten::convolution_backward`` has an output mask: only the gradient asked for is computed. In NHWC
all tensors are ``channels_last``. The gradient of the weights stays as oneDNN leaves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems import BackwardData, Conv2d, Gemm
from convprof.strategies.peers.torch.calls import TorchPrepared
from convprof.strategies.peers.torch.products import TorchLibrary

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.problems import Backward, Problem
    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Way = Callable[[], Tensor]


class TorchConvBackward(TorchPrepared):
    """One gradient of a convolution."""

    problem: Backward
    weight_copies: ClassVar[int] = 1

    def ways(self, x: Tensor, weights: Tensor) -> list[Way]:
        """Return the one call there is."""
        p, t, fmt = self._forward, self.torch, self._format
        data = isinstance(self.problem, BackwardData)
        call = t.ops.aten.convolution_backward
        top, left, bottom, right = p.pads
        even = (top, left) == (bottom, right)
        pad = (top, left) if even else (0, 0)
        rest = None, p.stride, pad, p.dilation, False, (0, 0), p.groups, [data, not data, False]
        if data:
            height, width = (p.h, p.w) if even else (p.h + top + bottom, p.w + left + right)
            like = t.empty((p.n, p.c, height, width), dtype=x.dtype, memory_format=fmt)
            dy, filters = self._channels_first(x), weights.to(memory_format=fmt)
            rows, columns = slice(top, top + p.h), slice(left, left + p.w)
            if even:
                return [lambda: call(dy, like, filters, *rest)[0]]
            return [lambda: call(dy, like, filters, *rest)[0][:, :, rows, columns]]
        image, dy = self._channels_first(x), self._channels_first(weights)
        filters = t.empty(p.weight_shape, dtype=x.dtype).to(memory_format=fmt)
        if even:
            return [lambda: call(dy, image, filters, *rest)[1]]
        around, padded = (left, right, top, bottom), t.nn.functional.pad
        return [lambda: call(dy, padded(image, around), filters, *rest)[1]]

    def in_layout(self, way: Way) -> Way:
        """Return ``way``, with a conversion of dx if that has another layout."""
        fmt = self._format
        if not isinstance(self.problem, BackwardData) or way().is_contiguous(memory_format=fmt):
            return way
        return lambda: way().contiguous(memory_format=fmt)

    def result(self) -> Array:
        """Return the result's memory, the axes of dx in the setting's order."""
        result = super().result()
        turned = isinstance(self.problem, BackwardData) and self.setting.layout == "nhwc"
        return result.transpose(0, 2, 3, 1) if turned else result

    @property
    def _forward(self) -> Conv2d:
        forward = self.problem.forward
        if not isinstance(forward, Conv2d):
            raise TypeError(f"{self.problem.kind} is no backward pass of a convolution")
        return forward

    @property
    def _format(self) -> Any:
        t = self.torch
        return t.channels_last if self.setting.layout == "nhwc" else t.contiguous_format

    def _channels_first(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2) if self.setting.layout == "nhwc" else x


class TorchGemmBackward(TorchPrepared):
    """One gradient of a product."""

    problem: Backward
    weight_copies: ClassVar[int] = 0

    def ways(self, x: Tensor, weights: Tensor) -> list[Way]:
        """Return the product with the transposed view, into a result made beforehand."""
        t, forward = self.torch, self.problem.forward
        if isinstance(self.problem, BackwardData):
            weights = weights.mT
        else:
            x = x.mT
        result = t.empty(self.problem.result_shape("nchw"), dtype=x.dtype)
        batched = isinstance(forward, Gemm) and forward.batch > 1
        multiply = t.bmm if batched else t.mm
        return [lambda: multiply(x, weights, out=result)]


class _Backward(TorchLibrary):
    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Import PyTorch and weigh the operands."""
        backward: Backward = problem  # type: ignore[assignment]  # why_not refused other kinds
        made = TorchConvBackward if isinstance(backward.forward, Conv2d) else TorchGemmBackward
        return made(self.name, backward, setting)


class TorchConvData(_Backward):
    """PyTorch's gradient of the input."""

    kind = "conv2d-backward-data"
    summary = "PyTorch: convolution_backward, the gradient of the input only"


class TorchConvWeights(_Backward):
    """PyTorch's gradient of the weights."""

    kind = "conv2d-backward-weights"
    summary = "PyTorch: convolution_backward, the gradient of the weights only"


class TorchGemmData(_Backward):
    """PyTorch's gradient of the first operand."""

    kind = "gemm-backward-data"
    summary = "PyTorch: the product with a transposed view of B"


class TorchGemmWeights(_Backward):
    """PyTorch's gradient of the second operand."""

    kind = "gemm-backward-weights"
    summary = "PyTorch: the product with a transposed view of A"
