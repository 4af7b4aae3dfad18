"""A Halide pipeline, compiled for one problem and bound to our memory."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.codegen import executable
from convprof.errors import RefusedError
from convprof.strategies import memory
from convprof.strategies.peers.halide import algorithm, autoschedulers, ladder, tuned
from convprof.strategies.peers.package import LibraryPrepared, load

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.problems import Conv2d, Gemm
    from convprof.strategies.base import Setting
    from convprof.strategies.peers.halide.algorithm import Nest
    from convprof.strategies.peers.halide.forms import Form

    Array = np.ndarray[Any, Any]

REGISTERS_AVX2, REGISTERS_AVX512 = 16, 32
BITS_OF_AARCH64 = 64


class HalidePrepared(LibraryPrepared):
    """A compiled pipeline, which reads the operand and writes the result in place."""

    weight_copies: ClassVar[int] = 2  # padded to panels, arranged

    def __init__(self, name: str, problem: Conv2d | Gemm, setting: Setting, schedule: str) -> None:
        super().__init__(name, problem, setting)
        executable.require()
        self._hl = load("halide")
        start = time.perf_counter()
        try:
            self._compile(schedule)
        except self._hl.HalideError as error:
            text = " ".join(str(error).split())
            raise RefusedError(f"{name}: Halide cannot compile this: {text}") from error
        self.compile_s = time.perf_counter() - start
        self._y = memory.zeros(self.y_spec.shape, self.y_spec.dtype.array_type)
        self._arrays: list[Array] = []
        self._call: Callable[[], object] = lambda: None

    def _compile(self, schedule: str) -> None:
        """Compile the definition under a schedule: a step of the ladder, ``tuned`` or a plugin."""
        hl, setting = self._hl, self.setting
        target = hl.get_host_target()
        element = hl.Float(setting.types.source.bits)
        vector = target.natural_vector_size(element)
        self._shape = self._described()
        if schedule == "tuned":
            tile = tuned.chosen(self._shape, tuned.Core(vector, registers(hl, target)))
            self._form = tile.form
            nest = self._defined(self._form)
            func = tuned.scheduled(nest, tile, setting.threads, setting.types.weights)
            algorithm.fix(func.output_buffer(), self._shape.y, self._shape.sizes)
        else:
            self._form = self._shape.usual
            nest = self._defined(self._form)
            algorithm.fix(nest.sums.output_buffer(), self._shape.y, self._shape.sizes)
            if schedule in autoschedulers.PLUGINS:
                func = autoschedulers.scheduled(nest, schedule, setting.threads, target)
            else:
                step = ladder.Step[schedule.replace("-", "_").upper()]
                func = ladder.scheduled(nest, step, setting.threads, vector)
        arguments = [hl.Argument(item) for item in nest.inputs]
        self._callable = func.compile_to_callable(arguments, target)

    @abstractmethod
    def _described(self) -> algorithm.Shape:
        """Return the sizes and axes of the problem."""

    @abstractmethod
    def _defined(self, form: Form) -> Nest:
        """Return the definition, with weights in this form."""

    def build(self, x: Array, weights: Array) -> None:
        """Arrange the weights and bind the arrays."""
        start = time.perf_counter()
        shape = self._shape
        with_axes = weights.reshape([shape.sizes[axis] for axis in shape.weights])
        arranged = self._form.arranged(with_axes, shape.weights)
        self.prepare_s = time.perf_counter() - start
        # Halide refuses read-only arrays.
        read = [array if array.flags.writeable else array.copy() for array in (x, arranged)]
        self._arrays = [*read, self._y]
        forms = shape.x, self._form, shape.y
        x_buffer, w_buffer, y_buffer = (
            # Flat first: then axes of size 1 have the usual strides too.
            self._hl.Buffer(array.reshape(-1).reshape(form.shape(shape.sizes)))
            for array, form in zip(self._arrays, forms, strict=True)
        )
        call = self._callable
        self._call = lambda: call(x_buffer, w_buffer, y_buffer)

    def run(self) -> None:
        """Call the compiled pipeline."""
        self._call()

    def result(self) -> Array:
        """Return the bound result."""
        return self._y

    def memory(self) -> list[Array]:
        """Return the operands as they are read, and the result."""
        return list(self._arrays)


def registers(hl: Any, target: Any) -> int:
    """Return the number of vector registers of the target."""
    feature, arch = hl.TargetFeature, hl.TargetArch
    wide = target.has_feature(feature.AVX512) or target.has_feature(feature.AVX512_Skylake)
    many = wide or (target.arch == arch.ARM and target.bits == BITS_OF_AARCH64)
    return REGISTERS_AVX512 if many else REGISTERS_AVX2


class HalideConv(HalidePrepared):
    """A convolution."""

    problem: Conv2d

    def _described(self) -> algorithm.Shape:
        return algorithm.conv_shape(self.problem, self.setting.layout)

    def _defined(self, form: Form) -> Nest:
        return algorithm.conv2d(self._hl, self._shape, self.setting, form, self.problem)


class HalideGemm(HalidePrepared):
    """A product of matrices."""

    problem: Gemm

    def _described(self) -> algorithm.Shape:
        return algorithm.gemm_shape(self.problem)

    def _defined(self, form: Form) -> Nest:
        return algorithm.gemm(self._hl, self._shape, self.setting, form)


BY_KIND: dict[str, type[HalidePrepared]] = {"conv2d": HalideConv, "gemm": HalideGemm}
