"""The description of each tensor of a problem."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from convprof.problems.layouts import arranged

if TYPE_CHECKING:
    import numpy as np

    from convprof.dtypes import DType
    from convprof.problems.shapes import Shape

    Array: TypeAlias = np.ndarray[Any, Any]
    Points: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
    """Flat indices into a result in its logical order."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An operand or the result of a problem, as it is in memory."""

    name: str
    shape: Shape
    """The sizes in the order of memory, the outermost axis first."""
    layout: str | None
    """None where the tensor has the same order of axes in every layout."""
    dtype: DType
    constant: bool = False
    """Whether it stays the same between calls, so that it may be prepared beforehand."""
    positive: bool = False
    """Whether its elements must be above 0, as variances are."""
    limits: tuple[float, float] | None = None
    """Where its elements must be, if the type alone does not say it."""

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.elements * self.dtype.bytes


def activation(name: str, shape: Shape, layout: str | None, dtype: DType) -> TensorSpec:
    """Return the spec of an activation of this logical shape, stored in ``layout``."""
    return TensorSpec(name, arranged(shape, layout), layout, dtype)


def picked(values: Array, points: Points | None) -> Array:
    """Return all values, or those at flat indices."""
    return values if points is None else values.reshape(-1)[points]


def relative_error(y: Array, y64: Array) -> float:
    """Return ``max|y - y64| / max|y64|``; the numerator alone where the reference is 0."""
    import numpy as np  # late: `convprof --help` must not load it

    scale = float(np.max(np.abs(y64), initial=0.0)) or 1.0
    return float(np.max(np.abs(y - y64), initial=0.0)) / scale
