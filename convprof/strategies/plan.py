"""A strategy written down as data: which buffers it needs and which stages run over them.

Nothing is allocated or compiled by a plan, so its memory can be weighed before it is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from convprof.strategies.memory import l2_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Array = np.ndarray[Any, Any]
    from collections.abc import Hashable

    from convprof.codegen.tile_list import TileList


X, WEIGHTS, Y = "x", "weights", "y"
"""Names of the operands (``a``, ``b`` and the product for a GEMM)."""
BIAS, RESIDUAL = "bias", "residual"
"""Names of what an epilogue reads."""


@dataclass(frozen=True)
class Native:
    """A stage function that exists as machine code already."""

    address: int
    keep: object = None
    """What must stay alive as long as the code may run."""


@dataclass(frozen=True)
class LateTable:
    """A table of integers that is built when its memory is there."""

    words: int
    build: Callable[[], Array]


@dataclass(frozen=True)
class Stage:
    """A compiled loop nest over ``tasks`` independent tasks."""

    phase: str
    """What the time is booked under; successive stages may share a phase."""
    kernel: Callable[..., None] | Native
    """A loop nest for numba to compile, or machine code."""
    tasks: int
    buffers: tuple[str, ...]
    dims: Sequence[int] | Array | LateTable
    """The kernel's integers."""
    fixed: bool = False
    """Whether every thread takes the same share of the tasks in each such stage, so that it finds
    in its own cache what it wrote in the stage before; otherwise whoever is free takes the next."""
    share: float = 1.0
    """How much of the problem's arithmetic is in it, at most: a long stage is run in slices."""


@dataclass(frozen=True)
class Call:
    """A phase that runs in somebody else's library: ``function(buffers by name)``."""

    phase: str
    function: Callable[[dict[str, Array]], None]


@dataclass(frozen=True)
class Packed:
    """A rearrangement of the weights, or of other ``sources``, that ``bind`` makes once."""

    shape: tuple[int, ...]
    rearrange: Callable[..., Array | None]
    """Of the arrays of ``sources``, in their order."""
    sources: tuple[str, ...] = (WEIGHTS,)
    into: bool = False
    """Whether ``rearrange`` takes the array to write to before the sources, and returns nothing:
    large weights are then moved once. What it does not write stays zero."""
    tables: tuple[Array, ...] = ()
    """The arrays that ``rearrange`` keeps for itself."""

    def fill(self, target: Array, *sources: Array) -> None:
        """Write the rearranged sources to ``target``."""
        if self.into:
            self.rearrange(target, *sources)
        else:
            target[...] = self.rearrange(*sources)


@dataclass
class Plan:
    """All that is needed to allocate, compile and run."""

    x_shape: tuple[int, ...]
    weights_shape: tuple[int, ...] | None
    """None: there is just one operand, or ``more`` names the others."""
    y_shape: tuple[int, ...]
    workspaces: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Scratch memory by name, zeroed once; a border that no stage writes stays zero."""
    reusable: frozenset[str] = frozenset()
    """Workspaces of which a run reads only what it wrote: others may use them between two runs."""
    packed: dict[str, Packed] = field(default_factory=dict)
    more: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of further operands by buffer name, in the order in which they are bound."""
    steps: list[Stage | Call] = field(default_factory=list)
    passes: int = 0
    """How often the whole result is read and written again, in place."""
    executed_flops: int | None = None
    """FLOPs that a run executes, where the definition has another number."""
    blas_threads: int | None = None
    """Threads that NumPy's BLAS may use in a run; None for a plan without calls of BLAS."""
    explanation: tuple[str, ...] = ()
    """What was chosen and why, where there was a choice."""
    chosen_s: float = 0.0
    """Seconds that the choice took."""

    @property
    def workspace_elements(self) -> int:
        """Elements beyond the operands and the result."""
        shapes = [*self.workspaces.values(), *(item.shape for item in self.packed.values())]
        return sum(math.prod(shape) for shape in shapes)

    @property
    def operand_elements(self) -> int:
        """Elements of the operands and the result."""
        shapes = (*self.operands.values(), self.y_shape)
        return sum(math.prod(shape) for shape in shapes)

    @property
    def operands(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the operands by buffer name, in the order in which they are bound."""
        weights = {} if self.weights_shape is None else {WEIGHTS: self.weights_shape}
        return {X: self.x_shape, **weights, **self.more}


# Lists of tiles that several layers have in common: a network repeats its layers.

_alive: WeakValueDictionary[Hashable, TileList] = WeakValueDictionary()
"""Gone with the last plan that holds them, so there is nothing to limit or to empty."""


def shared(key: Hashable, make: Callable[[], TileList]) -> TileList:
    """Return the list of tiles made for ``key`` if it is still in use, else that of ``make``.

    The key has all that the list depends on, but for the size of the cache. Nobody adds to a list
    that is shared.
    """
    key = (key, l2_bytes())
    found = _alive.get(key)
    if found is None:
        found = _alive[key] = make()
    return found
