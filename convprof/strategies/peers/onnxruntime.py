"""ONNX Runtime: a model of one node, its weights constant, bound to our memory."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from convprof import units
from convprof.dtypes import COMMON, SHORT
from convprof.errors import RefusedError
from convprof.problems import Conv2d, Gemm
from convprof.problems.graph import INPUT
from convprof.problems.onnx_conv import all_attributes
from convprof.strategies import memory
from convprof.strategies.base import P
from convprof.strategies.peers import onnx_grouped, onnx_integers
from convprof.strategies.peers.exported import ExportedNetwork, ExportedPrepared
from convprof.strategies.peers.onnx_nodes import bound, converts, one_node, session
from convprof.strategies.peers.package import Library, LibraryPrepared, fastest, load

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]
    from convprof.problems import NetworkProblem
    from convprof.problems.grouped_weights import GroupedWeights


# A whole network in ONNX Runtime: one session with all optimisations, bound to our memory.
#
# As a competent user runs it: the session folds batch norms and fuses activations, converts images
# to its blocked layouts, and runs the operators one after the other, each on all threads.


class OnnxNetworkPrepared(ExportedPrepared):
    """A network in a session of ONNX Runtime."""

    rounds_sums = (True,)

    def build(self, exported: bytes, x: Array, y: Array) -> Callable[[], object]:
        """Return the session's run; loading it optimises the graph and packs the weights."""
        library = load("onnxruntime")
        loaded = session(library, exported, self.setting.threads)
        result = loaded.get_outputs()[0].name
        self.explanation = (f"ONNX Runtime {library.__version__}, all graph optimisations",)
        return bound(loaded, {INPUT: x}, {result: y})


class OnnxNetwork(ExportedNetwork):
    """A whole network in ONNX Runtime."""

    name = "onnxruntime"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")
    summary = "ONNX Runtime: one session, all graph optimisations, in f32 or int8"
    dtypes = ("f32", SHORT["int8"])

    def prepare(self, problem: NetworkProblem, setting: Setting) -> Prepared:
        """Import ONNX Runtime and count the bytes of the weights."""
        load("onnxruntime")
        return OnnxNetworkPrepared(self.name, problem, setting)


LARGEST_MODEL_BYTES = (1 << 31) - (1 << 20)
"""A protobuf message has less than 2 GiB; all but some hundred bytes are weights."""


BYTES = ("u8:s8:s32", "s8:s8:s32", "u8:s8:u8", "s8:s8:s8")
"""Types that ONNX Runtime has operators for; bytes from sums have the type of the source."""


class OnnxPrepared(LibraryPrepared):
    """A session with one node, which reads the operand and writes the result in place."""

    weight_copies: ClassVar[int] = 4  # model, serialised, parsed, packed

    def __init__(self, name: str, problem: Conv2d | Gemm, setting: Setting) -> None:
        super().__init__(name, problem, setting)
        self._onnx, self._ort = load("onnx"), load("onnxruntime")
        # Page-aligned: a result that starts inside a cache line takes up to 1.7 times as long.
        self._y = memory.zeros(self.y_spec.shape, self.y_spec.dtype.array_type)
        self._call: Callable[[], None] = lambda: None

    def build(self, x: Array, weights: Array) -> None:
        """Build the models and their sessions, which optimise them and pack the weights.

        RefusedError if this version has the operator in none of the forms.
        """
        start = time.perf_counter()
        models = [self._model(constants) for constants in self.forms(weights)]
        self.prepare_s = time.perf_counter() - start
        start = time.perf_counter()
        calls = []
        for model in models:
            try:
                loaded = session(self._ort, model, self.setting.threads)
            except self._ort.capi.onnxruntime_pybind11_state.NotImplemented:
                continue
            calls.append(bound(loaded, {"x": x}, {"y": self._y}))
            calls[-1]()
        if not calls:
            name = onnx_integers.operator(self.node()[0], self.setting.types)
            text = f"onnxruntime {self._ort.__version__} has no {name} of {self.setting.type_name}"
            raise RefusedError(text)
        self._call = calls[fastest(calls)]
        self.compile_s = time.perf_counter() - start
        operator, _ = self.node()
        if converts(operator, self.setting.types.source.name):
            self.note = f"computes {self.setting.type_name} in f32, between conversions"

    @abstractmethod
    def node(self) -> tuple[str, dict[str, Any]]:
        """Return the operator for floats, and its attributes."""

    def forms(self, weights: Array) -> list[dict[str, Array]]:
        """Return the constant operands of the operator, in each form to choose from."""
        return [onnx_integers.constants(weights, self.setting.types, self.more)]

    def run(self) -> None:
        """Run the session."""
        self._call()

    def result(self) -> Array:
        """Return the bound result."""
        return self._y

    def _model(self, constants: dict[str, Array]) -> bytes:
        name, attributes = self.node()
        operator = onnx_integers.operator(name, self.setting.types)
        ends = self.operands[0], self.y_spec
        return one_node(self._onnx, operator, attributes, constants, ends)


class OnnxConvPrepared(OnnxPrepared):
    """A Conv node."""

    problem: Conv2d

    def node(self) -> tuple[str, dict[str, Any]]:
        """Return the convolution with the problem's geometry."""
        return "Conv", all_attributes(self.problem)

    def forms(self, weights: Array) -> list[dict[str, Array]]:
        """Return the weights, and next to unsigned sources also the weights as u8.

        With AVX512_VNNI, ConvInteger took 2.0 ms with s8 and 0.44 ms with u8 (64 channels, 28x28,
        3x3).
        """
        (first,) = super().forms(weights)
        of = self.setting.types
        return [first, onnx_integers.unsigned(first, of)] if of.source.name == "u8" else [first]


class OnnxGemmPrepared(OnnxPrepared):
    """A MatMul node."""

    problem: Gemm

    def node(self) -> tuple[str, dict[str, Any]]:
        """Return the product."""
        return "MatMul", {}


class OnnxGroupedPrepared(OnnxPrepared):
    """A MatMulNBits node, which computes in f32: without an accuracy level nothing is rounded."""

    problem: Gemm

    def node(self) -> tuple[str, dict[str, Any]]:
        """Return the product."""
        g, of = self.problem, self._weights
        return onnx_grouped.OPERATOR, {"K": g.k, "N": g.n, "bits": of.bits, "block_size": of.group}

    def forms(self, weights: Array) -> list[dict[str, Array]]:
        """Return the weights in the operator's order, and their factors."""
        return [onnx_grouped.constants(self._weights, (weights, *self.more), self.problem.k)]

    @property
    def _weights(self) -> GroupedWeights:
        assert self.problem.grouped_weights is not None  # noqa: S101  # as prepare() looked
        return self.problem.grouped_weights


class _Onnx(Library[P]):
    name = "onnxruntime"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")

    def cannot(self, problem: P, setting: Setting) -> str | None:
        """Refuse weights that are too large for a model."""
        size = problem.operands(setting.layout, setting.types)[1].nbytes
        if size > LARGEST_MODEL_BYTES:
            return f"onnxruntime takes models of up to 2 GiB; the weights have {units.size(size)}"
        return None


class OnnxConv2d(_Onnx[Conv2d]):
    """ONNX Runtime's Conv."""

    kind = "conv2d"
    summary = "ONNX Runtime: Conv with constant weights, NCHW"
    dtypes = ("f32", "f16", *BYTES)

    def cannot(self, problem: Conv2d, setting: Setting) -> str | None:
        """Refuse NHWC: ONNX Runtime has no NHWC operators for f32 on CPUs."""
        if setting.layout != "nchw":
            return f"onnxruntime computes nchw on CPUs, not {setting.layout}"
        return super().cannot(problem, setting)

    def prepare(self, problem: Conv2d, setting: Setting) -> Prepared:
        """Import ONNX Runtime and allocate the result."""
        return OnnxConvPrepared(self.name, problem, setting)


class OnnxGemm(_Onnx[Gemm]):
    """ONNX Runtime's MatMul."""

    kind = "gemm"
    summary = "ONNX Runtime: MatMul with a constant b, packed beforehand"
    dtypes = (*COMMON, "f16", *BYTES)
    grouped = ("f32",)

    def cannot(self, problem: Gemm, setting: Setting) -> str | None:
        """Refuse groups of weights that the operator does not have."""
        of = problem.grouped_weights
        reason = onnx_grouped.why_not(of) if of else None
        return f"{self.name} takes {reason}" if reason else super().cannot(problem, setting)

    def prepare(self, problem: Gemm, setting: Setting) -> Prepared:
        """Import ONNX Runtime and allocate the result."""
        if problem.grouped_weights:
            return OnnxGroupedPrepared(self.name, problem, setting)
        return OnnxGemmPrepared(self.name, problem, setting)
