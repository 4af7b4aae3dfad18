"""The interface of every strategy, before and after it is bound to a problem.

The name, the summary and the reasons for refusing of a ``Strategy`` cost little: they need neither
numba nor a kernel. ``prepare`` turns it into a ``Prepared``, whose ``run()`` is what is timed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from convprof.codegen import isa as isas
from convprof.codegen.target import target
from convprof.dtypes import COMMON, listed, short_name, types
from convprof.results import NATIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from convprof.dtypes import Types
    from convprof.problems import Problem

NUMPY = "numpy"
"""The package that brings the BLAS of bundled strategies."""
P = TypeVar("P", bound="Problem")


@dataclass(frozen=True, slots=True)
class Setting:
    """How a problem is computed: everything about a contestant but its strategy."""

    layout: str = "nchw"
    dtype: str = "f32"
    threads: int = 1
    isa: str = NATIVE
    """Of generated kernels: ``sse``, ``avx2``, ``avx512``, ``neon``, or ``native`` (the widest)."""

    tune: str = "quick"
    """How ``auto`` chooses: ``off`` by the model, ``quick`` or ``full`` by timing."""
    max_error: float = 0.0
    """The ``added_error`` that ``auto`` may accept."""
    alone: bool = True
    """Whether the problem is a launch of its own. In a chain, threads without work wait at the same
    barriers, so ``auto`` uses all threads."""

    @property
    def types(self) -> Types:
        """The element types of the problem's tensors."""
        return types(self.dtype)

    @property
    def type_name(self) -> str:
        """The types for a message: ``int8`` for ``u8:s8:s32``."""
        return short_name(self.dtype)


class Prepared(ABC):
    """A strategy bound to a problem and a setting: memory allocated, code compiled."""

    problem: Problem
    setting: Setting
    prepare_s: float = 0.0
    """Seconds that ``bind`` spent on what depends on the weights alone."""
    compile_s: float = 0.0
    """Seconds spent compiling, or loading compiled code."""
    workspace_bytes: int | None = 0
    """Bytes of memory beyond the operands and the result; None where a library does not report
    it."""

    times_phases: bool = False
    """Whether its phases are measured even if a run takes long."""
    results_per_run: int = 1
    """Results that one ``run()`` computes: times and cycles are divided by it."""
    explanation: tuple[str, ...] = ()
    """The choice and its reason, where there was a choice."""
    note: str | None = None
    """What its row must say: the type in which a library computes, if not the setting's."""

    @abstractmethod
    def bind(self, *operands: np.ndarray[Any, Any]) -> None:
        """Take the operands; they are referenced, not copied, where dtype and order allow.

        For a conv2d ``x`` in the setting's layout and weights ``(k, c/groups, r, s)``; for a GEMM
        ``a`` and ``b``, row-major, with a leading batch axis only when ``batch > 1``; then the
        operands of the epilogue: the bias, the residual in the setting's layout. For attention
        ``q``, and ``k`` and ``v`` stacked, ``(2, batch, heads, tokens, dim)``. The number and the
        shapes are as in the problem's ``operands(layout, types)``; ``ProblemError`` otherwise.
        """

    @abstractmethod
    def run(self) -> None:
        """Compute once. The timed call: re-runnable, allocates nothing from Python."""

    @abstractmethod
    def output(self) -> np.ndarray[Any, Any]:
        """Return the result of the last ``run()``, in the setting's layout."""

    def executed_flops(self) -> int:
        """Return the FLOPs that ``run()`` executes; fewer than direct for fast algorithms."""
        return self.problem.flops

    def bytes_moved(self) -> int:
        """Return the bytes that ``run()`` moves at least: operands and result, each once.

        A strategy that certainly moves more adds these bytes. Bytes that come from a cache count
        too: the number belongs to the algorithm.
        """
        return self.problem.bytes_min(self.setting.types)

    def run_phases(self) -> Mapping[str, float]:
        """Run once with a clock between the phases: seconds by name; empty for one phase."""
        return {}

    def memory(self) -> list[np.ndarray[Any, Any]]:
        """Return every array that ``run()`` reads or writes: these are evicted for ``--cold``."""
        return []

    def inner_loops(self) -> list[tuple[str, str]]:
        """Return title and assembly of the inner loops of generated kernels; empty if none."""
        return []

    def loop_nests(self) -> list[str]:
        """Return the assembly of what was compiled from loop nests; empty if nothing was."""
        return []

    def close(self) -> None:  # noqa: B027  # most have nothing to give back
        """Restore settings of the whole process, such as a library's thread count."""


class Role(Enum):
    """Whose code computes, and when a strategy takes part without being named."""

    OWN = "own"
    """Code of convprof; measured by default."""
    CHOOSER = "chooser"
    """Chooses one of the other strategies; measured when named."""
    VARIANT = "variant"
    """Code of convprof for some CPUs only, or with another error; measured when named."""
    BUNDLED = "bundled"
    """A library that convprof needs anyway: measured like our own code, and a peer in
    comparisons."""
    LIBRARY = "library"
    """An installable library that people use: a peer in comparisons; measured when named."""
    COMPILER = "compiler"
    """Another compiler's code for a schedule or a graph: a peer only when named."""

    @property
    def is_peer(self) -> bool:
        """Whether a library or a compiler of other people computes."""
        return self in {Role.BUNDLED, Role.LIBRARY, Role.COMPILER}

    @property
    def is_compared(self) -> bool:
        """Whether a comparison with peers includes it when no peer is named."""
        return self in {Role.BUNDLED, Role.LIBRARY}

    @property
    def is_listed(self) -> bool:
        """Whether the strategy is measured by default."""
        return self in {Role.OWN, Role.BUNDLED}


class Strategy(ABC, Generic[P]):
    """One named way of computing a kind of problem."""

    name: str
    kind: str
    """The ``kind`` of the problems ``P``: ``conv2d``, ``gemm``, ..."""
    summary: str
    """One line: what the strategy does; for a rung, what changed from the rung before."""
    parallel: bool = False
    """Whether it can use more than one thread."""
    least_threads: int = 1
    """Fewer threads are refused: the code would be the code of ``on_one_thread``."""
    on_one_thread: str = ""
    """The strategy with the same code on one thread, where one thread is refused."""
    role: Role = Role.OWN
    added_error: float = 0.0
    """The largest relative error that the algorithm may add to rounding in the element type."""
    dtypes: tuple[str, ...] = COMMON
    """The element types, and mixtures of them, that it computes."""
    grouped: tuple[str, ...] = ()
    """The types of activations that it multiplies with weights of 8 and 4 bits."""
    generated: bool = False
    """Whether kernels are generated for the setting's ``isa``; other strategies ignore it."""
    fuses: bool = False
    """Whether the strategy fuses a problem's epilogue."""
    extra: str = ""
    """The extra of convprof that brings the packages that it needs beyond convprof's own."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The packages, beyond convprof's own, that must be importable: the library itself first."""

    fixes_threads: bool = False
    """Whether the library keeps, in a process, the number of threads that it has begun with."""

    @property
    def library(self) -> str | None:
        """The package whose code computes; None for code of convprof."""
        if not self.role.is_peer:
            return None
        return self.packages[0] if self.packages else NUMPY

    def why_not(self, problem: P, setting: Setting) -> str | None:
        """Return why this strategy refuses, in one line that starts with its name; else None."""
        if problem.kind != self.kind:
            return f"{self.name} computes {self.kind}, not {problem.kind}"
        reason = self._lacks(problem, setting)
        if reason is not None:
            return reason
        if setting.threads > 1 and not self.parallel:
            return f"{self.name} runs on one thread, not {setting.threads}"
        if not self.fuses and problem.epilogue:
            return f"{self.name} fuses no epilogue; use {self.name}+passes"
        if setting.threads < self.least_threads:
            least = f"needs at least {self.least_threads} threads"
            return f"{self.name} {least}; on one thread {self.on_one_thread} is the same"
        return None

    def searches(self, problem: P, setting: Setting) -> frozenset[str]:  # noqa: ARG002
        """Return the keys of the timed searches that preparing would make: none, if not tuned."""
        return frozenset()

    def _lacks(self, problem: P, setting: Setting) -> str | None:
        """Return why the strategy does not take the element types, or None."""
        if setting.dtype not in self.dtypes:
            return f"{self.name} computes {self._types()}, not {setting.type_name}"
        if setting.types.has("f16") and not self._converts_f16(setting):
            what = setting.isa if self.generated and setting.isa != NATIVE else "this CPU"
            return f"{self.name} needs F16C for f16, which {what} does not have"
        if problem.grouped_weights and setting.dtype not in self.grouped:
            if self.grouped:
                types = listed(self.grouped, "and")
                reason = f"weights of 8 and 4 bits with activations of {types} only"
            else:
                reason = "no weights of 8 or 4 bits"
            return f"{self.name} takes {reason}"
        return self._cannot_end(problem, setting.types)

    def _types(self) -> str:
        """Return the element types for a message."""
        return listed(map(short_name, self.dtypes), "and")

    def _cannot_end(self, problem: Problem, types: Types) -> str | None:
        """Return why sums of whole numbers cannot end as the problem says, or None."""
        ends = problem.epilogue
        if ends and types.result.is_exact and not types.requantises:
            name = short_name(types.name)
            return f"{self.name} computes no epilogue of {name}: use bytes, as in u8:s8:u8"
        in_bytes = types.requantises and types.result.is_exact
        if in_bytes and ends.function not in {None, "relu"}:
            return f"{self.name} computes relu in {types.name}, not {ends.function}"
        reason = problem.why_not_in(types)
        if reason is not None:
            return f"{self.name} {reason}"
        return None

    def _converts_f16(self, setting: Setting) -> bool:
        """Whether the code may use instructions between f16 and f32: without, LLVM calls C."""
        return isas.find(setting.isa).converts_f16 if self.generated else target().converts_f16

    def missing_package(self) -> str | None:
        """Return the first package that is not installed and without which nothing runs."""
        return None

    def streams(self, threads: int) -> int:  # noqa: ARG002  # the same for most strategies
        """Return how many results are computed at the same time on these threads."""
        return 1

    @abstractmethod
    def prepare(self, problem: P, setting: Setting) -> Prepared:
        """Allocate and compile. ``TooLargeError`` if memory is short."""
