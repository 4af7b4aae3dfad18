"""An epilogue in PyTorch: as eager code, and as arguments of oneDNN's fused calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.epilogue import Epilogue, Function

    Tensor = Any
    Call = Callable[[], Tensor]

ONEDNN: dict[Function | None, tuple[str, list[float], str]] = {
    None: ("none", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
    "gelu": ("gelu", [], "none"),
    "gelu_tanh": ("gelu", [], "tanh"),
    "silu": ("swish", [], ""),
    "sigmoid": ("sigmoid", [], ""),
    "tanh": ("tanh", [], ""),
    "hardsigmoid": ("hardsigmoid", [], ""),
    "hardswish": ("hardswish", [], ""),
}
"""The arguments of oneDNN's calls in torch.compile: a name, numbers, and a formula."""
AFTER_ADD: frozenset[Function | None] = frozenset((None, "relu"))
"""The functions that a convolution's call can fuse together with a residual."""


class TorchEpilogue:
    """The epilogue of one problem, with its operands as tensors of the result's shape."""

    def __init__(self, torch: Any, epilogue: Epilogue, operands: list[Tensor]) -> None:
        """Take the bias and the residual; None where the epilogue has none."""
        left = list(operands)
        self.bias: Tensor = left.pop(0) if epilogue.bias else None
        self.residual: Tensor = left.pop(0) if epilogue.add else None
        self.function = epilogue.function
        self._call = _eager(torch, epilogue.function) if epilogue.function else None

    def after(self, compute: Call) -> Call:
        """Return ``compute``, whose result includes the bias, followed by residual and function."""
        residual, call = self.residual, self._call
        if call is None:
            return compute if residual is None else lambda: compute().add_(residual)
        if residual is None:
            return lambda: call(compute())
        return lambda: call(compute().add_(residual))

    def then_function(self, compute: Call) -> Call:
        """Return ``compute``, whose result includes bias and residual, followed by the function."""
        call = self._call
        return compute if call is None else lambda: call(compute())

    def conv(self, operators: Any, image: Call, packed: Tensor, sizes: tuple[Any, ...]) -> Call:
        """Return oneDNN's convolution with the part of the epilogue that it can fuse.

        ``sizes``: padding, stride, dilation, groups.
        """
        if self.residual is None:
            single = operators._convolution_pointwise.default  # noqa: SLF001
            rest = (self.bias, *sizes, *ONEDNN[self.function])
            return lambda: single(image(), packed, *rest)
        both, residual = operators._convolution_pointwise.binary, self.residual  # noqa: SLF001
        together = self.function in AFTER_ADD
        name = self.function if together else None
        added = (self.bias, *sizes, "add", 1.0, name, [], "")
        compute: Call = lambda: both(image(), residual, packed, *added)  # noqa: E731
        return compute if together else self.then_function(compute)

    def linear(self, operators: Any, x: Tensor, packed: Tensor) -> Call:
        """Return oneDNN's product with the part of the epilogue that it can fuse."""
        if self.residual is None:
            single = operators._linear_pointwise.default  # noqa: SLF001
            rest = self.bias, *ONEDNN[self.function]
            return lambda: single(x, packed, *rest)
        both, residual = operators._linear_pointwise.binary, self.residual  # noqa: SLF001
        return self.then_function(lambda: both(x, residual, packed, self.bias, "add"))


def _eager(torch: Any, function: Function) -> Callable[[Tensor], Tensor]:
    """Return the function, in place where eager PyTorch has it."""
    of = torch.nn.functional
    calls: dict[Function, Callable[[Tensor], Tensor]] = {
        "relu": torch.relu_,
        "relu6": lambda y: of.relu6(y, inplace=True),
        "gelu": of.gelu,
        "gelu_tanh": lambda y: of.gelu(y, approximate="tanh"),
        "silu": lambda y: of.silu(y, inplace=True),
        "sigmoid": torch.sigmoid_,
        "tanh": torch.tanh_,
        "hardsigmoid": lambda y: of.hardsigmoid(y, inplace=True),
        "hardswish": lambda y: of.hardswish(y, inplace=True),
    }
    return calls[function]
