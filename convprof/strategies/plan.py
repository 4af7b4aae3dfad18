"""A strategy as data: the buffers that it needs, and the stages that run over them.

A plan allocates and compiles nothing, so its memory can be counted before it is allocated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

from convprof.strategies.memory import l2_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Array = np.ndarray[Any, Any]
    from collections.abc import Hashable

    from convprof.codegen.tile_list import TileList
    from convprof.dtypes import DType
    from convprof.problems.tensors import TensorSpec


X, WEIGHTS, Y = "x", "weights", "y"
"""Names of the buffers of the first operand, of the second one and of the result."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory of a plan beyond the operands and the result."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.bytes


@dataclass(frozen=True)
class Native:
    """A stage function that exists as machine code already."""

    address: int
    keep: object = None
    """The object that must exist as long as the code may run."""


@dataclass(frozen=True)
class LateTable:
    """A table of integers that is built when its memory is allocated."""

    words: int
    build: Callable[[], Array]


@dataclass(frozen=True)
class Stage:
    """A compiled loop nest over ``tasks`` independent tasks."""

    phase: str
    """The phase that the time belongs to; successive stages may share a phase."""
    kernel: Callable[..., None] | Native
    """A loop nest for numba to compile, or machine code."""
    tasks: int
    buffers: tuple[str, ...]
    dims: Sequence[int] | Array | LateTable
    """The kernel's integers."""
    static_schedule: bool = False
    """Whether every thread takes the same share of the tasks in each such stage, so that the data
    that it wrote in the stage before is in its own cache. Otherwise a free thread takes the next
    task."""
    work_fraction: float = 1.0
    """The largest part of the problem's arithmetic in the stage: a long stage is run in slices."""

    def renamed(self, before: str, after: str) -> Stage:
        """Return the stage with the buffer ``after`` in each place of ``before``."""
        names = (after if name == before else name for name in self.buffers)
        return replace(self, buffers=tuple(names))


class Place(NamedTuple):
    """Where a repeated stage finds a buffer's elements, in bytes from the buffer's begin."""

    first: int = 0
    """In the first round."""
    step: int = 0
    """From one round to the next."""


@dataclass(frozen=True)
class Repeated:
    """Stages that run in turn, round after round, each time at other places of their buffers.

    All rounds of a stage read the same table, whose size does not depend on the number of rounds.
    """

    stages: tuple[Stage, ...]
    rounds: int
    places: tuple[tuple[Place, ...], ...]
    """For each stage, the places in its buffers."""

    @property
    def phase(self) -> str:
        """The phase of all stages."""
        return self.stages[0].phase

    def renamed(self, before: str, after: str) -> Repeated:
        """Return the stages with the buffer ``after`` in each place of ``before``."""
        return replace(self, stages=tuple(each.renamed(before, after) for each in self.stages))


@dataclass(frozen=True)
class Call:
    """A phase that runs in a library: ``function(arrays by buffer name)``."""

    phase: str
    function: Callable[[dict[str, Array]], None]


@dataclass(frozen=True)
class Packed:
    """A rearrangement of the weights, or of other ``sources``, by ``bind``."""

    buffer: Buffer
    """The memory that holds the result."""
    rearrange: Callable[..., Array | None]
    """A function of the arrays of ``sources``, in their order."""
    sources: tuple[str, ...] = (WEIGHTS,)
    into: bool = False
    """Whether ``rearrange`` takes the target array before the sources, and returns nothing: large
    weights are then moved once. Elements that it does not write stay zero."""
    tables: tuple[Array, ...] = ()
    """Arrays that belong to ``rearrange``."""

    def fill(self, target: Array, *sources: Array) -> None:
        """Write the rearranged sources to ``target``."""
        if self.into:
            self.rearrange(target, *sources)
        else:
            target[...] = self.rearrange(*sources)


@dataclass
class Plan:
    """The data to allocate, compile and run a strategy."""

    operands: tuple[str, ...] = (X, WEIGHTS)
    """Names of the buffers of the problem's first operands. The buffers of the operands after these
    have the names of their ``TensorSpec``. Shapes and types are the problem's."""
    workspaces: dict[str, Buffer] = field(default_factory=dict)
    """Scratch memory by name, zeroed once; a border that no stage writes stays zero."""
    lendable_workspaces: frozenset[str] = frozenset()
    """Workspaces without content from one run to the next: others may use them between two runs."""
    packed: dict[str, Packed] = field(default_factory=dict)
    steps: list[Stage | Repeated | Call] = field(default_factory=list)
    threads: int | None = None
    """The threads that take part, fewer than the setting's; None for all of them."""
    passes: int = 0
    """The number of passes that read and write the whole result again, in place."""
    unread_bytes: int = 0
    """Bytes of packed operands that no stage reads."""
    executed_flops: int | None = None
    """FLOPs that a run executes, if the definition has another number."""
    blas_threads: int | None = None
    """Threads that NumPy's BLAS may use in a run; None for a plan without calls of BLAS."""
    explanation: tuple[str, ...] = ()
    """The choice and its reason, if there was a choice."""
    chosen_s: float = 0.0
    """The seconds of the choice."""
    note: str | None = None
    """What its row must say: the type in which it multiplies, if not the setting's."""

    def stages(self) -> list[Stage]:
        """Return the stages, also the ones that are repeated, in order."""
        of_step = (step.stages if isinstance(step, Repeated) else (step,) for step in self.steps)
        return [each for several in of_step for each in several if isinstance(each, Stage)]

    def buffers(self) -> dict[str, Buffer]:
        """Return the workspaces and the packed buffers, by name."""
        return {**self.workspaces, **{key: packed.buffer for key, packed in self.packed.items()}}

    def named(self, specs: Sequence[TensorSpec]) -> dict[str, TensorSpec]:
        """Return a problem's operands by the names of their buffers, in the order of binding."""
        rest = (spec.name for spec in specs[len(self.operands) :])
        return dict(zip((*self.operands[: len(specs)], *rest), specs, strict=True))


# Lists of tiles that several layers share: a network repeats its layers.

_alive: WeakValueDictionary[Hashable, TileList] = WeakValueDictionary()
"""A list is freed with the last plan that holds it, so the cache needs no limit."""


def shared(key: Hashable, make: Callable[[], TileList]) -> TileList:
    """Return the list of tiles for ``key`` if it is still in use, else the list of ``make``.

    The list depends on the key and the size of the cache only. A shared list must not change.
    """
    key = (key, l2_bytes())
    tiles = _alive.get(key)
    if tiles is None:
        tiles = _alive[key] = make()
    return tiles
