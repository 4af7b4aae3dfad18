"""What the strategies that run in an installable library share: is it there, operands, choosing.

No module of this package imports its library before a problem is prepared.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convprof.codegen import affinity
from convprof.dtypes import listed
from convprof.errors import ConvprofError, ProblemError, RefusedError
from convprof.strategies import memory
from convprof.strategies.base import P, Prepared, Role, Setting, Strategy
from convprof.strategies.peers import precision
from convprof.strategies.peers.first_use import first_use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.problems import Attention, Backward, Conv2d, Gemm
    from convprof.problems.base import Trainable

    Array = np.ndarray[Any, Any]

EXTRA = "pip install 'convprof[peers]'"


class Library(Strategy[P]):
    """A strategy that needs packages which convprof itself does not."""

    parallel = True
    role = Role.LIBRARY
    packages: ClassVar[tuple[str, ...]]
    """What has to be importable, the library itself first."""
    hint: ClassVar[str] = ""
    """What else helps to install them."""

    def why_not(self, problem: P, setting: Setting) -> str | None:
        """Return why this strategy refuses: what it never does, then what is not installed."""
        if not self.fuses and problem.epilogue:
            return f"{self.name} is given no epilogue here; leave out the epilogue, or use torch"
        if problem.kind == self.kind and setting.dtype not in self.dtypes:
            return f"{self.name} computes {listed(self.dtypes, 'and')} here, not {setting.dtype}"
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
        return f"{lacking} is not installed: {EXTRA}{self.hint}"


class LibraryPrepared(Prepared):
    """Operands and result in memory of ours, where the library reads and writes them in place."""

    # Libraries keep their scratch memory and packed weights to themselves: unknown, not none.
    workspace_bytes = None
    weight_copies: ClassVar[int]
    """How often the weights lie in memory besides, while the library takes them over."""

    def __init__(
        self, name: str, problem: Attention | Backward[Trainable] | Conv2d | Gemm, setting: Setting
    ) -> None:
        """Weigh operands, result and packed weights; ``TooLargeError`` if they do not fit."""
        self.problem = problem
        self.setting = setting
        self._library_name = name.partition("-")[0]
        self._kind = setting.types.source.array_type
        operands = problem.operands(setting.layout, setting.types)
        result = problem.result(setting.layout, setting.types)
        self._shapes = [spec.shape for spec in operands]
        self._y_shape = result.shape
        needed = sum(spec.nbytes for spec in (*operands, result))
        needed += self.weight_copies * operands[1].nbytes
        memory.require(needed, f"{name} of {problem.descriptor}")
        self._bound: list[Array] = []
        self.more: list[Array] = []
        """What comes after the weights: the operands of an epilogue."""

    def bind(self, *operands: Array) -> None:
        """Take the operands and hand the weights to the library; see ``Prepared.bind``."""
        if len(operands) != len(self._shapes):
            raise ProblemError(f"{len(operands)} operands; this problem needs {len(self._shapes)}")
        taken = []
        for number, (given, shape) in enumerate(zip(operands, self._shapes, strict=True)):
            array = np.asarray(given)
            if array.shape != shape:
                key = ("x", "weights")[number] if number <= 1 else f"operand {number + 1}"
                raise ProblemError(f"{key} has shape {array.shape}; this problem needs {shape}")
            taken.append(np.ascontiguousarray(array, dtype=self._kind))
        self._bound = taken
        x, weights, *self.more = taken
        with first_use(self, self._library_name):
            self.build(x, weights)

    @abstractmethod
    def build(self, x: Array, weights: Array) -> None:
        """Make ready to run, on contiguous operands of the right shape and type."""

    def output(self) -> Array:
        """Return the result of the last ``run()``, in the setting's layout."""
        if not self._bound:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) and run() first")
        return self.result()

    @abstractmethod
    def result(self) -> Array:
        """Return the result where the library left it."""

    def memory(self) -> list[Array]:
        """Return operands and result; the library's own copies of the weights are out of reach."""
        return [*self._bound, self.result()] if self._bound else []


def load(package: str) -> Any:
    """Import a library, whatever it warns of; ``RefusedError`` if it is there but broken."""
    precision.set_aside(package)
    with affinity.kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import, other people's code about other people's code
        try:
            return importlib.import_module(package)
        except (ImportError, OSError) as error:
            text = str(error).partition("\n")[0]
            raise RefusedError(f"{package} is installed but cannot be imported: {text}") from error


ROUNDS = 20
PATIENCE_S = 0.1


def fastest(ways: Sequence[Callable[[], Any]]) -> int:
    """Return the index of the way with the shortest call, from interleaved calls.

    At most 20 calls of each, or as many as fit 0.1 s, and at least one. They have run before.
    """
    if len(ways) == 1:
        return 0
    best = [float("inf")] * len(ways)
    deadline = time.perf_counter() + PATIENCE_S
    for _ in range(ROUNDS):
        for index, way in enumerate(ways):
            start = time.perf_counter()
            way()
            best[index] = min(best[index], time.perf_counter() - start)
        if time.perf_counter() > deadline:
            break
    return best.index(min(best))
