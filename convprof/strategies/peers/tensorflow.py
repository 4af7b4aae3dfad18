"""TensorFlow: the operation as eager code calls it, or compiled by XLA, whichever is faster.

TensorFlow reads its number of threads when it first computes, and cannot change it afterwards:
another number is refused in the same process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.dtypes import COMMON
from convprof.errors import RefusedError
from convprof.problems import Conv2d, Gemm
from convprof.strategies.base import P
from convprof.strategies.peers.package import Library, LibraryPrepared, fastest, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Call = Callable[[], Tensor]

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_FATAL_ONLY = "3"
STDERR = 2
WAYS = ("eager", "tf.function(jit_compile=True)")
_fixed: list[int] = []
"""The number of threads of this process, once TensorFlow has computed."""


class TensorflowPrepared(LibraryPrepared):
    """Two calls on operands in TensorFlow's memory, and the faster one of them."""

    weight_copies: ClassVar[int] = 3  # in TensorFlow's order, and packed for each call

    def __init__(self, name: str, problem: Conv2d | Gemm, setting: Setting) -> None:
        super().__init__(name, problem, setting)
        self._tf = module(setting.threads)
        self._call: Call = lambda: None
        self._y: Tensor = None

    def build(self, x: Array, weights: Array) -> None:
        """Copy the operands, and choose a call."""
        start = time.perf_counter()
        tf, ordered = self._tf, np.ascontiguousarray(self.ordered(weights))
        with silent_stderr(), tf.device("CPU:0"):  # the first constant starts the threads
            operands = tf.constant(x), tf.constant(ordered)
        self.prepare_s = time.perf_counter() - start
        start = time.perf_counter()
        ways = {
            name: call
            for name, call in zip(WAYS, self._calls(*operands), strict=True)
            if _runs(call, tf.errors.OpError)
        }
        if not ways:
            raise RefusedError(f"tensorflow has no call for {self.problem.descriptor} on CPUs")
        names, calls = list(ways), list(ways.values())
        chosen = fastest(calls)
        self._call = calls[chosen]
        self.run()
        self.compile_s = time.perf_counter() - start
        self.explanation = (f"{names[chosen]}, the faster of {' and '.join(names)}",)

    def _calls(self, x: Tensor, weights: Tensor) -> Sequence[Call]:
        function = self.function()
        compiled = self._tf.function(function, jit_compile=True, autograph=False)
        return (lambda: function(x, weights)), (lambda: compiled(x, weights))

    @abstractmethod
    def function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the operation on activation and weights."""

    def ordered(self, weights: Array) -> Array:
        """Return the weights in the order of axes that the operation takes."""
        return weights

    def run(self) -> None:
        """Compute, and wait for the result: ``numpy()`` would copy it too."""
        self._y = np.asarray(self._call())

    def result(self) -> Array:
        """Return the result's memory."""
        array: Array = self._y
        return array


def is_depthwise(p: Conv2d) -> bool:
    """Whether TensorFlow's depthwise operation computes it: that takes equal strides only."""
    return p.groups == p.c > 1 and len(set(p.stride)) == 1


class TensorflowConvPrepared(TensorflowPrepared):
    """A convolution in NHWC."""

    problem: Conv2d

    def function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the convolution; a depthwise one has a call of its own."""
        p, nn = self.problem, self._tf.nn
        top, left, bottom, right = p.pads
        padding = [[0, 0], [top, bottom], [left, right], [0, 0]]
        strides = [1, *p.stride, 1]
        if is_depthwise(p):
            dilations = list(p.dilation)
            return lambda x, w: nn.depthwise_conv2d(x, w, strides, padding, dilations=dilations)
        return lambda x, w: nn.conv2d(x, w, strides, padding, dilations=[1, *p.dilation, 1])

    def ordered(self, weights: Array) -> Array:
        """Return the weights as ``(r, s, c/groups, k)``; depthwise ``(r, s, c, k/c)``."""
        p = self.problem
        if not is_depthwise(p):
            return weights.transpose(2, 3, 1, 0)
        return weights.reshape(p.c, p.kg, p.r, p.s).transpose(2, 3, 0, 1)


class TensorflowGemmPrepared(TensorflowPrepared):
    """A product, or a batch of products."""

    problem: Gemm

    def function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the product."""
        multiply: Callable[[Tensor, Tensor], Tensor] = self._tf.matmul
        return multiply


class _Tensorflow(Library[P]):
    name = "tensorflow"
    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)
    extra = "tensorflow"
    dtypes = (*COMMON, "bf16", "f16")
    fixes_threads = True

    def cannot(self, problem: P, setting: Setting) -> str | None:  # noqa: ARG002
        """Refuse another number of threads than the process has begun with."""
        if _fixed and setting.threads != _fixed[0]:
            return (
                f"tensorflow runs on {_fixed[0]} thread{'s' if _fixed[0] > 1 else ''} in this "
                f"process and cannot change that; measure {setting.threads} in a process of its own"
            )
        return None


class TensorflowConv2d(_Tensorflow[Conv2d]):
    """TensorFlow's convolution."""

    kind = "conv2d"
    summary = "TensorFlow: NHWC, eager or compiled by XLA, the faster one"

    def cannot(self, problem: Conv2d, setting: Setting) -> str | None:
        """Refuse NCHW: TensorFlow has no such convolutions on CPUs."""
        if setting.layout != "nhwc":
            return f"tensorflow computes nhwc on CPUs, not {setting.layout}"
        if setting.dtype == "f16" and is_depthwise(problem):
            return "tensorflow sums depthwise convolutions of f16 in f16; use f32 or bf16"
        return super().cannot(problem, setting)

    def prepare(self, problem: Conv2d, setting: Setting) -> Prepared:
        """Import TensorFlow and count the bytes of the operands."""
        return TensorflowConvPrepared(self.name, problem, setting)


class TensorflowGemm(_Tensorflow[Gemm]):
    """TensorFlow's product."""

    kind = "gemm"
    summary = "TensorFlow: matmul, eager or compiled by XLA, the faster one"

    def prepare(self, problem: Gemm, setting: Setting) -> Prepared:
        """Import TensorFlow and count the bytes of the operands."""
        return TensorflowGemmPrepared(self.name, problem, setting)


def module(threads: int) -> Any:
    """Return TensorFlow on this number of threads; RefusedError if it has another number."""
    os.environ.setdefault(_LOG_LEVEL, _FATAL_ONLY)
    with silent_stderr():
        library = load("tensorflow")
    if not _fixed:
        try:
            library.config.threading.set_intra_op_parallelism_threads(threads)
            library.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:  # the calling program has computed with it
            raise RefusedError("tensorflow has begun with its own number of threads") from error
        _fixed.append(threads)
    return library


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard what C++ code writes to stderr: TensorFlow greets there, whatever its log level."""
    sys.stderr.flush()
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)


def _runs(call: Call, error: type[Exception]) -> bool:
    try:
        call()
    except (error, TypeError, ValueError):
        return False
    return True
