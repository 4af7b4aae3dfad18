"""JAX: one operation compiled by XLA, on a client whose number of threads is the setting's.

XLA takes the number of its threads from the variable NPROC when a client is created. JAX itself
creates one client with all CPUs; here every number of threads has a client of its own.
"""

from __future__ import annotations

import functools
import os
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.errors import RefusedError
from convprof.problems import Conv2d, Gemm
from convprof.strategies.base import P
from convprof.strategies.peers.package import Library, LibraryPrepared, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    Tensor = Any

THREADS = "NPROC"
"""The variable from which XLA takes the number of threads of a new client."""


class JaxPrepared(LibraryPrepared):
    """A compiled function of the activation and the weights, both in JAX's memory."""

    weight_copies: ClassVar[int] = 2  # in JAX's order, packed

    def __init__(self, name: str, problem: Conv2d | Gemm, setting: Setting) -> None:
        super().__init__(name, problem, setting)
        self._jax = load("jax")
        self._call: Callable[[Tensor, Tensor], Tensor] = lambda x, _: x
        self._arguments: tuple[Tensor, Tensor] = None, None
        self._y: Tensor = None

    def build(self, x: Array, weights: Array) -> None:
        """Copy the operands to JAX, compile the function and run it once."""
        start = time.perf_counter()
        client = device(self.setting.threads)
        ordered = np.ascontiguousarray(self.ordered(weights))
        self._arguments = tuple(self._jax.device_put(array, client) for array in (x, ordered))
        self.prepare_s = time.perf_counter() - start
        start = time.perf_counter()
        self._call = self._jax.jit(self.function()).lower(*self._arguments).compile()
        self.run()
        self.compile_s = time.perf_counter() - start

    @abstractmethod
    def function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the function of activation and weights that is compiled."""

    def ordered(self, weights: Array) -> Array:
        """Return the weights in the order of axes that the function takes."""
        return weights

    @property
    def how(self) -> dict[str, Any]:
        """The arguments that make XLA compute in the problem's types."""
        highest = self._jax.lax.Precision.HIGHEST
        return {"precision": highest, "preferred_element_type": self.y_spec.dtype.array_type}

    def run(self) -> None:
        """Call the compiled function, and wait for the result."""
        self._y = self._call(*self._arguments)
        self._y.block_until_ready()

    def result(self) -> Array:
        """Return the result's memory, which is read-only in JAX."""
        return np.asarray(self._y)


class JaxConvPrepared(JaxPrepared):
    """A convolution in the setting's layout."""

    problem: Conv2d

    def function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the convolution."""
        p, lax, how = self.problem, self._jax.lax, self.how
        top, left, bottom, right = p.pads
        axes = ("NHWC", "HWIO", "NHWC") if self._nhwc else ("NCHW", "OIHW", "NCHW")
        geometry = {
            "window_strides": p.stride,
            "padding": ((top, bottom), (left, right)),
            "rhs_dilation": p.dilation,
            "feature_group_count": p.groups,
            "dimension_numbers": axes,
        }
        return lambda x, weights: lax.conv_general_dilated(x, weights, **geometry, **how)

    def ordered(self, weights: Array) -> Array:
        """Return the weights with their channels last in NHWC."""
        return weights.transpose(2, 3, 1, 0) if self._nhwc else weights

    @property
    def _nhwc(self) -> bool:
        return self.setting.layout == "nhwc"


class JaxGemmPrepared(JaxPrepared):
    """A product, or a batch of products."""

    problem: Gemm

    def function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the product."""
        multiply, how = self._jax.numpy.matmul, self.how
        return lambda x, weights: multiply(x, weights, **how)


class _Jax(Library[P]):
    name = "jax"
    packages: ClassVar[tuple[str, ...]] = ("jax",)
    extra = "jax"


class JaxConv2d(_Jax[Conv2d]):
    """JAX's convolution."""

    kind = "conv2d"
    summary = "JAX: lax.conv_general_dilated, compiled by XLA"
    dtypes = ("f32", "bf16", "f16")

    def prepare(self, problem: Conv2d, setting: Setting) -> Prepared:
        """Import JAX and count the bytes of the operands."""
        return JaxConvPrepared(self.name, problem, setting)


class JaxGemm(_Jax[Gemm]):
    """JAX's product."""

    kind = "gemm"
    summary = "JAX: matmul, compiled by XLA"
    dtypes = ("f32", "bf16", "f16", "bf16:bf16:f32", "f16:f16:f32", "s8:s8:s32")

    def prepare(self, problem: Gemm, setting: Setting) -> Prepared:
        """Import JAX and count the bytes of the operands."""
        return JaxGemmPrepared(self.name, problem, setting)


@functools.cache
def device(threads: int) -> Any:
    """Return the device of a client with this number of threads; they end with the process."""
    clients = load("jaxlib.xla_client")
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(threads)
    try:
        return clients.make_cpu_client().devices()[0]
    except AttributeError as error:
        raise RefusedError("this version of jax cannot be limited to some threads") from error
    finally:
        del os.environ[THREADS]
        if before is not None:
            os.environ[THREADS] = before
