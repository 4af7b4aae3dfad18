"""The common part of strategies that run in an installable library: packages, operands, choice.

No module of this folder imports its library before a problem is prepared.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.codegen import affinity
from convprof.dtypes import COMMON
from convprof.errors import ConvprofError, ProblemError, RefusedError, import_reason
from convprof.strategies import memory
from convprof.strategies.base import P, Prepared, Role, Setting, Strategy
from convprof.strategies.peers import precision
from convprof.strategies.peers.first_use import first_use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.problems import Attention, Backward, Conv2d, Gemm
    from convprof.problems.base import Trainable

    Array = np.ndarray[Any, Any]


PEERS = "peers"
"""The extra of the libraries that a comparison expects; others have an extra each."""


def install(*extras: str) -> str:
    """Return the command that installs some extras."""
    return f"pip install 'convprof[{','.join(extras)}]'"


class Library(Strategy[P]):
    """A strategy that needs packages beyond convprof's own dependencies."""

    parallel = True
    role = Role.LIBRARY
    extra = PEERS
    hint: ClassVar[str] = ""
    """A further hint for the installation."""

    def why_not(self, problem: P, setting: Setting) -> str | None:
        """Return why this strategy refuses: unsupported problems first, then missing packages."""
        if not self.fuses and problem.epilogue:
            torch = ", or use torch" if setting.dtype in COMMON else ""
            return f"{self.name} fuses no epilogue here; leave out the epilogue{torch}"
        if problem.kind == self.kind and setting.dtype not in self.dtypes:
            return f"{self.name} computes {self._types()} here, not {setting.type_name}"
        reason = super().why_not(problem, setting)
        return reason or self.cannot(problem, setting) or self._absent()

    def cannot(self, problem: P, setting: Setting) -> str | None:  # noqa: ARG002
        """Return why the library does not do this problem, in one line; else None."""
        return None

    def missing_package(self) -> str | None:
        """Return the first package that is not installed; None if all are."""
        missing = (name for name in self.packages if importlib.util.find_spec(name) is None)
        return next(missing, None)

    def _absent(self) -> str | None:
        package, library = self.missing_package(), self.packages[0]
        if package is None:
            return None
        lacking = package if package == library else f"{library} needs {package}, which"
        return f"{lacking} is not installed: {install(self.extra)}{self.hint}"


class LibraryPrepared(Prepared):
    """Operands and result in our memory; the library reads and writes them in place."""

    # Libraries do not report scratch memory and packed weights: unknown, not none.
    workspace_bytes = None
    weight_copies: ClassVar[int]
    """The number of further copies of the weights while the library loads them."""

    def __init__(
        self, name: str, problem: Attention | Backward[Trainable] | Conv2d | Gemm, setting: Setting
    ) -> None:
        """Count the bytes of operands, result and copies; ``TooLargeError`` if they do not fit."""
        self.problem = problem
        self.setting = setting
        self._library_name = name.partition("-")[0]
        self.operands = problem.operands(setting.layout, setting.types)
        self.y_spec = problem.result(setting.layout, setting.types)
        needed = sum(spec.nbytes for spec in (*self.operands, self.y_spec))
        needed += self.weight_copies * self.operands[1].nbytes
        memory.require(needed, f"{name} of {problem.descriptor}")
        self._bound: list[Array] = []
        self.more: list[Array] = []
        """The operands after the weights, which belong to an epilogue."""

    def bind(self, *operands: Array) -> None:
        """Take the operands and hand the weights to the library; see ``Prepared.bind``."""
        if len(operands) != len(self.operands):
            raise ProblemError(f"{len(operands)} operands; this problem needs {len(self.operands)}")
        taken = []
        for number, (operand, spec) in enumerate(zip(operands, self.operands, strict=True)):
            array = np.asarray(operand)
            if array.shape != spec.shape:
                key = ("x", "weights")[number] if number <= 1 else f"operand {number + 1}"
                shapes = f"has shape {array.shape}; this problem needs {spec.shape}"
                raise ProblemError(f"{key} {shapes}")
            taken.append(np.ascontiguousarray(array, dtype=spec.dtype.array_type))
        self._bound = taken
        x, weights, *self.more = taken
        with first_use(self, self._library_name):
            self.build(x, weights)

    @abstractmethod
    def build(self, x: Array, weights: Array) -> None:
        """Prepare the run, on contiguous operands of the right shape and type."""

    def output(self) -> Array:
        """Return the result of the last ``run()``, in the setting's layout."""
        if not self._bound:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) and run() first")
        return self.result()

    @abstractmethod
    def result(self) -> Array:
        """Return the result in the library's order."""

    def memory(self) -> list[Array]:
        """Return operands and result; the library's copies of the weights are not accessible."""
        return [*self._bound, self.result()] if self._bound else []


_loaded: dict[str, Any] = {}
"""The modules of libraries that were loaded here, by name."""


_import_seconds: list[float] = []
"""Of each library."""


_loaded_elsewhere: dict[str, str] = {}
"""The versions of libraries that were loaded in processes of contestants, by name."""


def versions() -> dict[str, str]:
    """Return the versions of the libraries that this process has loaded, by package."""
    by_package = {name: getattr(module, "__version__", None) for name, module in _loaded.items()}
    here = {name: str(version) for name, version in by_package.items() if version is not None}
    return {**_loaded_elsewhere, **here}


def note_versions(loaded: Mapping[str, str]) -> None:
    """Remember the versions of libraries that the process of a contestant has loaded."""
    _loaded_elsewhere.update(loaded)


def load(package: str) -> Any:
    """Import a library without its warnings; ``RefusedError`` if the import fails."""
    precision.set_aside(package)
    with affinity.restored(), warnings.catch_warnings():
        # warnings on import are about the library's own dependencies
        warnings.simplefilter("ignore")
        is_new, began_s = package not in sys.modules, time.perf_counter()
        try:
            _loaded[package] = importlib.import_module(package)
        except (ImportError, OSError) as error:
            raise RefusedError(
                f"{package} is installed but cannot be imported: {import_reason(error)}"
            ) from error
        finally:
            if is_new:
                _import_seconds.append(time.perf_counter() - began_s)
    return _loaded[package]


def import_seconds() -> float:
    """Return the seconds that this process has spent on importing libraries."""
    return sum(_import_seconds)


ROUNDS = 20
PATIENCE_S = 0.1


def fastest(calls: Sequence[Callable[[], Any]]) -> int:
    """Return the index of the fastest call, from interleaved calls.

    Each is called at most 20 times, or as often as fits 0.1 s, and at least once. All have run
    before.
    """
    if len(calls) == 1:
        return 0
    best = [float("inf")] * len(calls)
    deadline = time.perf_counter() + PATIENCE_S
    for _ in range(ROUNDS):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[index] = min(best[index], time.perf_counter() - start)
        if time.perf_counter() > deadline:
            break
    return best.index(min(best))
