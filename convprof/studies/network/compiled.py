"""A network of an ONNX file with its weights, as the fastest chain of its plan: to be used.

It is the chain that ``network FILE --plan`` measures, with the same choices and the same code.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import F32, tolerance
from convprof.errors import ConvprofError, ProblemError, RefusedError
from convprof.problems import NetworkProblem
from convprof.problems.checks import shown
from convprof.problems.tensors import relative_error
from convprof.problems.whole_inputs import check
from convprof.strategies import memory
from convprof.strategies.networks.choice import settled
from convprof.strategies.networks.quantised import in_bytes
from convprof.strategies.networks.strategy import Chained
from convprof.studies.network import saved_plan
from convprof.studies.network.file_operands import operands_of
from convprof.studies.network.options import Options
from convprof.studies.network.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convprof.measure.settings import Settings
    from convprof.networks.onnx import Imported
    from convprof.problems.network import RealOperands
    from convprof.problems.shapes import Shape
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

LAYOUT = "nchw"
"""Input and result are in the order of the file."""
_REAL = "fiub"
"""The kinds of NumPy's types whose numbers may be an input."""


class Compiled:
    """A network that is ready to run. Several threads may call ``run``: one at a time runs."""

    def __init__(
        self, imported: Imported, real: RealOperands, chain: Chained, setting: Setting
    ) -> None:
        """Allocate, compile, and compare the result of an input with the float64 reference.

        ConvprofError where the result is wrong.
        """
        network = imported.network
        self.inputs: dict[str, Shape] = dict(imported.inputs.shapes)
        """Names and shapes of the inputs."""
        self.outputs: dict[str, Shape] = dict(imported.outputs.shapes)
        """Names and shapes of the results."""
        self._whole = network.whole
        self._ends = imported.inputs, imported.outputs
        self.setting = setting
        self._plan = saved_plan.to_json(network, chain, setting)
        self._lock = threading.Lock()
        # Weights, input and reference are released with the caller's problem.
        self._prepared = chain.prepare(NetworkProblem(network), setting)
        self._x = memory.zeros(network.input, np.float32)
        np.copyto(self._x, real.x)
        operands: tuple[Any, ...] = self._x, real.weights  # of a network: weights by name
        self._prepared.bind(*operands)
        self.max_rel_error = self._verified(imported, real)
        """max|y - y64| / max|y64| of the input that was compared."""

    def _verified(self, imported: Imported, real: RealOperands) -> float:
        """Return the largest error; ConvprofError if rounding does not explain the error."""
        self._prepared.run()
        results = imported.outputs.split(self._prepared.output())
        expected = imported.outputs.split(real.reference)
        error = max(relative_error(results[name], expected[name]) for name in results)
        limit = tolerance(F32, NetworkProblem(imported.network).terms)
        if not error <= limit:  # NaN is wrong too
            raise ConvprofError(
                f"{imported.path}: the chain computes a wrong result: "
                f"max_rel_error {error:.2g} is over {limit:.2g}"
            )
        return error

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the results by name for the inputs by name; ProblemError for inputs that misfit.

        Inputs are converted to f32; a result is a new array.
        """
        self._check_names(inputs)
        arrays = {name: self._checked(name, inputs[name]) for name in self.inputs}
        read, written = self._ends
        with self._lock:
            for name, x in arrays.items():
                rows = read.rows(self._x, name)
                casting: Any = "same_kind" if x.dtype.kind == "f" else "unsafe"
                np.copyto(rows, x.reshape(rows.shape), casting=casting)
            check(self._whole, self._x)
            self._prepared.run()
            return {
                name: np.array(result)
                for name, result in written.split(self._prepared.output()).items()
            }

    def _check_names(self, inputs: object) -> None:
        if not isinstance(inputs, Mapping):
            first = next(iter(self.inputs))
            raise ProblemError(f"the inputs are a mapping of names to arrays: {{{first!r}: array}}")
        if set(inputs) != set(self.inputs):
            own = sorted(map(str, inputs))  # names may be of any types
            names, known = (", ".join(map(shown, each)) for each in (own, self.inputs))
            raise ProblemError(f"the inputs are {names or 'none'}; this network has {known}")

    def _checked(self, name: str, array: Array) -> Array:
        x = np.asarray(array)
        shape = self.inputs[name]
        if x.shape != shape:
            raise ProblemError(f"{name} has shape {x.shape}; this network needs {shape}")
        if x.dtype.kind not in _REAL:
            raise ProblemError(f"{name} has the type {x.dtype}; this network needs real numbers")
        return x

    def save(self, path: str | Path) -> None:
        """Write the choices for every layer as JSON, for ``convprof.load``.

        InputError where the file cannot be written.
        """
        saved_plan.write(path, self._plan)


def compile_network(imported: Imported, threads: int, tune: str, settings: Settings) -> Compiled:
    """Measure the plan of an ONNX file's network and return its fastest chain.

    RefusedError where no chain computes the network.
    """
    real = operands_of(imported, settings.seed)
    whole = NetworkProblem(imported.network, real)
    options = Options((), LAYOUT, threads, tune=tune, fuse=True)
    study = Plan(whole, options, settings, None, accuracy=False)
    try:
        for _ in study.events():
            pass
        fastest = study.fastest()
        if fastest is None:
            reasons = [m.reason for m in study.measurements() if m.status != "ok" and m.reason]
            reason = next(iter(reasons), "nothing was measured")
            raise RefusedError(f"{imported.path}: no plan: {reason}")
    finally:
        study.release()
    return Compiled(imported, real, _settled(fastest, options.setting), options.setting)


def _settled(chain: Chained, setting: Setting) -> Chained:
    """Return the chain with what ``auto`` has chosen in its place: a stored plan times nothing."""
    choices = [
        settled(in_bytes(step.problem, choice.dtype), choice, setting)
        for step, choice in zip(chain.recipe.steps, chain.choices, strict=True)
    ]
    return Chained(chain.name, chain.recipe, choices)


def load_plan(
    imported: Imported, plan: str | Path, seed: int, check_threads: Callable[[int], None]
) -> Compiled:
    """Return the chain of a stored plan; InputError for a plan of another model or machine."""
    real = operands_of(imported, seed)
    chain, setting = saved_plan.read(plan, imported.network, real, check_threads)
    return Compiled(imported, real, chain, setting)
