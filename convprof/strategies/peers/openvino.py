"""OpenVINO: a compiled model of one operation, its weights constant, on tensors in our memory."""

from __future__ import annotations

import functools
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.dtypes import SHORT, short_name
from convprof.errors import RefusedError
from convprof.machine import facts
from convprof.problems import Attention, Conv2d, Gemm
from convprof.strategies import memory
from convprof.strategies.base import P
from convprof.strategies.peers import openvino_grouped
from convprof.strategies.peers.exported import ExportedNetwork, ExportedPrepared
from convprof.strategies.peers.openvino_forms import Forms, precisions, shared
from convprof.strategies.peers.package import Library, LibraryPrepared, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    Node = Any

    from convprof.problems import NetworkProblem


# A whole network in OpenVINO: one compiled model, one inference at a time, on our memory.
#
# As a competent user runs it: the compiler folds batch norms and fuses activations, for the lowest
# latency, in true f32 or with the hint for bf16.


class OpenvinoNetworkPrepared(ExportedPrepared):
    """A network in a model that OpenVINO compiled."""

    rounds_sums = (False, True)

    def build(self, exported: bytes, x: Array, y: Array) -> Callable[[], object]:
        """Return the model's inference; compiling it fuses operations and packs the weights."""
        library, dtype = load("openvino"), short_name(self.setting.dtype)
        read = _core().read_model(exported)
        # The layers of bytes are in the model itself; the others stay f32.
        hint = "f32" if self.setting.types.accumulator.is_exact else dtype
        network = compiled(read, self.setting.threads, hint)
        version, *_ = library.__version__.split("-")  # the rest names the source of the build
        self.explanation = (f"OpenVINO {version}, compiled for latency, in {dtype}",)
        if dtype != "f32":
            computed = f"its layers in {' and '.join(sorted(set(precisions(network))))}"
            self.note = f"reads and writes f32, and computes {computed}"
        return inference(library, network, [x], y)


class OpenvinoNetwork(ExportedNetwork):
    """A whole network in OpenVINO."""

    name = "openvino"
    packages: ClassVar[tuple[str, ...]] = ("openvino", "onnx")
    summary = "OpenVINO: a model compiled for latency, in f32, bf16 or int8"
    dtypes = ("f32", "bf16", SHORT["int8"])

    def prepare(self, problem: NetworkProblem, setting: Setting) -> Prepared:
        """Import OpenVINO and count the bytes of the weights."""
        load("openvino")
        return OpenvinoNetworkPrepared(self.name, problem, setting)


TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


class OpenvinoPrepared(LibraryPrepared):
    """A compiled model, which reads the operands and writes the result in place."""

    def __init__(self, name: str, problem: Attention | Conv2d | Gemm, setting: Setting) -> None:
        super().__init__(name, problem, setting)
        self._openvino = load("openvino")
        self._operations = load("openvino.opset13")
        self._y = memory.zeros(self.y_spec.shape, self.y_spec.dtype.array_type)
        self._forms = Forms(self._openvino, self._operations, setting.types)
        self._call: Callable[[], object] = lambda: None

    def run(self) -> None:
        """Infer, and wait for the result."""
        self._call()

    def result(self) -> Array:
        """Return the bound result."""
        return self._y


class OpenvinoWeightsPrepared(OpenvinoPrepared):
    """A model of one operand; the weights are its constants."""

    weight_copies: ClassVar[int] = 2  # constant, packed

    def build(self, x: Array, weights: Array) -> None:
        """Compile the model; that packs the weights and generates the kernel."""
        start = time.perf_counter()
        if self.setting.types.requantises:
            self._forms.bind(self.more)
        parameter = self._forms.parameter(x.shape)
        result = self._forms.result(self.operation(self._forms.source(parameter), weights))
        model = self._openvino.Model([result], [parameter], "convprof")
        self.prepare_s = time.perf_counter() - start
        start = time.perf_counter()
        executable = compiled(model, self.setting.threads)
        self._call = inference(self._openvino, executable, [x], self._y)
        self._call()
        self.compile_s = time.perf_counter() - start
        self.note = self._note(executable)

    def _note(self, executable: Any) -> str | None:
        """Return in which other type the compiled model computes; None if there is no other."""
        return self._forms.note(executable)

    @abstractmethod
    def operation(self, x: Node, weights: Array) -> Node:
        """Return the operation on the input ``x``."""


class OpenvinoConvPrepared(OpenvinoWeightsPrepared):
    """A convolution; in NHWC between two transpositions, which OpenVINO removes."""

    problem: Conv2d

    def operation(self, x: Node, weights: Array) -> Node:
        """Return the (grouped) convolution in the setting's layout."""
        if self.setting.layout == "nchw":
            return self._convolution(x, weights)
        y = self._convolution(self._transposed(x, TO_NCHW), weights)
        return self._transposed(y, TO_NHWC)

    def _convolution(self, x: Node, weights: Array) -> Node:
        p, operations, constant = self.problem, self._operations, self._forms.weights
        top, left, bottom, right = p.pads
        geometry = list(p.stride), [top, left], [bottom, right], list(p.dilation)
        if p.groups == 1:
            return operations.convolution(x, constant(weights), *geometry)
        grouped = weights.reshape(p.groups, p.kg, p.cg, p.r, p.s)
        return operations.group_convolution(x, constant(grouped), *geometry)

    def _transposed(self, x: Node, order: tuple[int, ...]) -> Node:
        operations = self._operations
        return operations.transpose(x, operations.constant(np.array(order, dtype=np.int64)))


class OpenvinoGemmPrepared(OpenvinoWeightsPrepared):
    """A product, or a batch of products."""

    problem: Gemm

    def operation(self, x: Node, weights: Array) -> Node:
        """Return the product with the constant second operand."""
        of, operations = self.problem.grouped_weights, self._operations
        if of is None:
            return operations.matmul(x, self._forms.weights(weights), False, False)
        stored = weights, *self.more
        columns = openvino_grouped.matrix(self._openvino, operations, of, stored, self.problem.k)
        return operations.matmul(x, columns, False, True)

    def _note(self, executable: Any) -> str | None:
        """Return whether weights of 8 or 4 bits are made f32 beforehand, where there are such."""
        of = self.problem.grouped_weights
        if of is None:
            return super()._note(executable)
        others = set(precisions(executable)) - {openvino_grouped.stored_type(of)}
        return f"computes with weights of {' and '.join(sorted(others))}" if others else None


DTYPES = (
    *("f32", "bf16", "f16", "u8:s8:s32", "s8:s8:s32"),
    *("u8:s8:u8", "u8:s8:s8", "s8:s8:u8", "s8:s8:s8"),
)
"""The types of products and convolutions; f64 is converted to f32 on CPUs."""


class _Openvino(Library[P]):
    name = "openvino"
    packages: ClassVar[tuple[str, ...]] = ("openvino",)
    dtypes = DTYPES


class OpenvinoConv2d(_Openvino[Conv2d]):
    """OpenVINO's convolution."""

    kind = "conv2d"
    summary = "OpenVINO: a compiled model with constant weights"

    def prepare(self, problem: Conv2d, setting: Setting) -> Prepared:
        """Import OpenVINO and allocate the result."""
        return OpenvinoConvPrepared(self.name, problem, setting)


class OpenvinoGemm(_Openvino[Gemm]):
    """OpenVINO's product."""

    kind = "gemm"
    summary = "OpenVINO: a compiled model with a constant b"
    grouped = ("f32",)

    def cannot(self, problem: Gemm, setting: Setting) -> str | None:
        """Refuse a last group that is shorter than the others."""
        of = problem.grouped_weights
        reason = openvino_grouped.why_not(of, problem.k) if of else None
        return f"{self.name} takes {reason}" if reason else super().cannot(problem, setting)

    def prepare(self, problem: Gemm, setting: Setting) -> Prepared:
        """Import OpenVINO and allocate the result."""
        return OpenvinoGemmPrepared(self.name, problem, setting)


@functools.cache
def _core() -> Any:
    """Return OpenVINO's core, one for the process.

    A core gives the thread a stack for signals, and restores the stack before when it ends. If two
    cores end in another order, a freed stack stays, and Ctrl-C ends the process (2026.4).
    """
    return load("openvino").Core()


def compiled(model: Any, threads: int, precision: str = "f32") -> Any:
    """Compile for one inference at a time, on exactly ``threads`` threads.

    f32 and f16 are computed in f32: on its own OpenVINO computes f16 in bf16, and rounds integers
    between operations. bf16 in the model stays bf16. ``RefusedError`` if
    OpenVINO would use another number of threads, or does not compile the model.
    """
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        # Without this setting OpenVINO uses at most as many threads as cores.
        "ENABLE_HYPER_THREADING": threads > facts().topology.usable_cores,
        "INFERENCE_PRECISION_HINT": precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # else activations next to int4 become int8
        "EXECUTION_MODE_HINT": "ACCURACY" if precision == "f32" else "PERFORMANCE",
    }
    try:
        executable = _core().compile_model(model, "CPU", options)
    except RuntimeError as error:  # places in OpenVINO's source, then the reason
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RefusedError(f"openvino cannot compile this: {(lines or [''])[-1]}") from error
    actual = executable.get_property("INFERENCE_NUM_THREADS")
    if actual != threads:
        raise RefusedError(f"openvino would run on {actual} threads here, not {threads}")
    return executable


def inference(library: Any, model: Any, inputs: Sequence[Array], y: Array) -> Callable[[], object]:
    """Return the call that runs a compiled model from its inputs to ``y``, in place."""
    request = model.create_infer_request()
    for number, x in enumerate(inputs):
        request.set_input_tensor(number, shared(library, x))
    request.set_output_tensor(shared(library, y))
    return lambda: request.infer(share_outputs=True)  # else the result is copied
