"""A whole network that a library loads as an ONNX model, as its users do.

The model holds the network as written, with its batch norms: the library folds and fuses when it
loads the model. In int8 the model has the scales, the weights and the layers in bytes of our chain.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.errors import ConvprofError, ProblemError
from convprof.networks.parameters import elements
from convprof.problems import NetworkProblem
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies import memory
from convprof.strategies.base import Prepared, Setting
from convprof.strategies.peers.first_use import first_use
from convprof.strategies.peers.mixed_types import without_mixed
from convprof.strategies.peers.package import Library, fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]

WEIGHT_COPIES = 4
"""The most further copies of the weights in memory: as tensors of the model, in its graph, in the
model itself, and serialised; later serialised, parsed and packed."""


class ExportedPrepared(Prepared):
    """A network in a library that computes images in NCHW, on our memory."""

    # The library does not report what it allocates: unknown, not none.
    workspace_bytes = None
    rounds_sums: ClassVar[tuple[bool, ...]]
    """The forms of a model in int8, of which the faster one is used: whether it rounds what a layer
    gives to a sum (see ``QuantisedWriter``)."""
    problem: NetworkProblem

    def __init__(self, name: str, whole: NetworkProblem, setting: Setting) -> None:
        """Count the bytes of weights and copies; ``TooLargeError`` if they do not fit."""
        self.problem = whole
        self.setting = setting
        self._library_name = name
        self._network = whole.network
        needed = (1 + WEIGHT_COPIES) * elements(self._network) * setting.types.weights.bytes
        memory.require(needed, f"{name} of {whole.descriptor}")
        self._x: Array = np.zeros(0, np.float32)
        # Page-aligned: a result that starts inside a cache line takes longer.
        self._y = memory.zeros(self._network.output, np.float32)
        self._call: Callable[[], object] | None = None

    def bind(self, x: Array, weights: Weights) -> None:  # type: ignore[override]
        """Take the input in the setting's layout, and the weights by layer and name.

        Images in NHWC are copied to NCHW here, once: a user of the library stores images in its
        layout, so ``run()`` does not include the copy.
        """
        shape = self.problem.operands(self.setting.layout, self.setting.types)[0].shape
        if np.shape(x) != shape:
            raise ProblemError(f"x has shape {np.shape(x)}; this network needs {shape}")
        self._call = None
        self._x = self._in_nchw(np.ascontiguousarray(x, dtype=np.float32))
        writers = self._writers(weights)
        start = time.perf_counter()
        models = [write() for write in writers]
        self.prepare_s = time.perf_counter() - start
        start = time.perf_counter()
        with first_use(self, self._library_name):
            calls = [self.build(exported, self._x, self._y) for exported in models]
            for call in calls:
                call()
            self._call = calls[fastest(calls)]
            self._call()
        self.compile_s = time.perf_counter() - start

    def _writers(self, weights: Weights) -> list[Callable[[], bytes]]:
        """Return the functions that write the models; in int8, of what the chain computes.

        The scales come from the chain's calibration, which is computed once for both.
        """
        # Imported late: the names of strategies must not need the ONNX modules.
        from convprof.networks.onnx import export
        from convprof.strategies.networks.recipe import recipe_for

        if not self.setting.types.accumulator.is_exact:
            return [lambda: export.model(self._network, weights)]
        recipe = recipe_for(self.problem, fuse=True)
        own = recipe.weights(weights)
        known = recipe.quantisation(self._x, weights, own, self.setting)

        def writer(*, rounds_sums: bool) -> Callable[[], bytes]:
            return lambda: export.quantised_model(recipe.inner, own, known, rounds_sums=rounds_sums)

        forms = self.rounds_sums if known.summed else self.rounds_sums[:1]
        return [writer(rounds_sums=form) for form in forms]

    @abstractmethod
    def build(self, exported: bytes, x: Array, y: Array) -> Callable[[], object]:
        """Return the call that runs the model on the setting's threads, from ``x`` to ``y``.

        ``x`` and ``y`` are contiguous, f32 and in the network's logical shapes (images: NCHW), and
        stay where they are.
        """

    def run(self) -> None:
        """Run the network once."""
        if self._call is None:
            raise ConvprofError("nothing is bound: call bind(x, weights) first")
        self._call()

    def output(self) -> Array:
        """Return the result of the last ``run()``, in the setting's layout."""
        if self._call is None:
            raise ConvprofError("nothing is bound: call bind(x, weights) and run() first")
        if self.setting.layout == "nhwc" and self.problem.gives_image:
            return np.ascontiguousarray(self._y.transpose(0, 2, 3, 1))
        return self._y

    def memory(self) -> list[Array]:
        """Return input and result; the library's weights and workspaces are out of reach."""
        return [] if self._call is None else [self._x, self._y]

    def close(self) -> None:
        """Delete the library's model and its threads; ``bind`` again to continue."""
        self._call = None

    def _in_nchw(self, x: Array) -> Array:
        if self.setting.layout == "nchw" or x.ndim != IMAGE_AXES:
            return x
        in_nchw = memory.zeros(self._network.input, np.float32)
        in_nchw[:] = x.transpose(0, 3, 1, 2)
        return in_nchw


class ExportedNetwork(Library[NetworkProblem]):
    """A library that runs whole networks from ONNX models."""

    kind = "network"
    dtypes: tuple[str, ...] = ("f32",)

    def cannot(self, problem: NetworkProblem, setting: Setting) -> str | None:
        """Refuse networks that no ONNX model can hold, and ids of tokens in short floats."""
        from convprof.networks.onnx.export import why_not

        reason = why_not(problem.network)
        if reason is not None:
            return f"{self.name} takes an ONNX model: {reason}"
        return without_mixed(self.name, problem, setting)
