"""ONNX Runtime on one operator of a file that convprof has no operation for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.errors import ConvprofError, RefusedError
from convprof.problems import Operation
from convprof.strategies import memory
from convprof.strategies.base import Prepared, Setting
from convprof.strategies.peers.first_use import first_use
from convprof.strategies.peers.onnx_nodes import bound, session
from convprof.strategies.peers.package import Library, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.ops.opaque import Opaque

    Array = np.ndarray[Any, Any]


class OnnxOperation(Library[Operation]):
    """The model of one node that an opaque operation has."""

    name = "onnxruntime"
    kind = "operation"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")
    summary = "ONNX Runtime: an operator of a file that nothing else here computes"
    dtypes = ("f32",)

    def cannot(self, problem: Operation, setting: Setting) -> str | None:
        """Refuse operations that have no model, and NHWC: ONNX has none."""
        if not problem.is_opaque:
            return f"{self.name} computes opaque operations here, not {problem.op.text}"
        if problem.has_layout and setting.layout != "nchw":
            return f"{self.name} computes nchw on CPUs, not {setting.layout}"
        return None

    def prepare(self, problem: Operation, setting: Setting) -> Prepared:
        """Import ONNX Runtime and allocate the result."""
        return OnnxOperationPrepared(problem, setting)


class OnnxOperationPrepared(Prepared):
    """A session with the node; its weights are constants of the model."""

    # The library does not report what it allocates: unknown, not none.
    workspace_bytes = None

    def __init__(self, problem: Operation, setting: Setting) -> None:
        """Allocate the result; ``TooLargeError`` if operands and copies do not fit."""
        self.problem = problem
        self.setting = setting
        self._specs = problem.operands(setting.layout, setting.types)
        result = problem.result(setting.layout, setting.types)
        needed = result.nbytes + 4 * sum(spec.nbytes for spec in self._specs)
        memory.require(needed, f"onnxruntime of {problem.descriptor}")
        self._y = memory.zeros(result.shape, np.float32)
        self._read: list[Array] = []
        self._call: Callable[[], None] | None = None

    def bind(self, *operands: Array) -> None:
        """Take the activations, and make the weights constants of the model."""
        op: Opaque = self.problem.op
        package, library = load("onnx"), load("onnxruntime")
        model = package.ModelProto.FromString(op.model)
        pairs = list(zip(operands, self._specs, strict=True))
        exact = [np.ascontiguousarray(a, np.float32).reshape(spec.shape) for a, spec in pairs]
        count = len(op.reads)
        self._read = exact[:count]
        del model.graph.input[count:]
        model.graph.initializer.extend(
            package.numpy_helper.from_array(array, f"w{place}")
            for place, array in enumerate(exact[count:])
        )
        start = time.perf_counter()
        with first_use(self, "onnxruntime"):
            try:
                loaded = session(library, model.SerializeToString(), self.setting.threads)
                named = {f"x{place}": array for place, array in enumerate(self._read)}
                self._call = bound(loaded, named, {"y": self._y})
                self._call()
            except Exception as error:  # the library has errors of its own
                reason = str(error).partition("\n")[0][:200]
                raise RefusedError(f"onnxruntime cannot run {op.operator}: {reason}") from error
        self.compile_s = time.perf_counter() - start

    def run(self) -> None:
        """Run the session."""
        if self._call is None:
            raise ConvprofError("nothing is bound yet: call bind(x) first")
        self._call()

    def output(self) -> Array:
        """Return the result of the last ``run()``."""
        return self._y

    def executed_flops(self) -> int:
        """Return 0: what the library executes is not counted."""
        return 0

    def bytes_moved(self) -> int:
        """Return 0: nothing is concluded from the bytes either."""
        return 0

    def memory(self) -> list[Array]:
        """Return operands and result."""
        return [*self._read, self._y]
