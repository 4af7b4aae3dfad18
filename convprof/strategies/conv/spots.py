"""Where the pixels of a convolution's tiles lie in its input and its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from convprof.problems import Conv2d
    from convprof.strategies.conv.backward.phases import Phase
    from convprof.strategies.conv.regions import Pattern, Region

    Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Output:
    """Where the pixels of a result lie, in elements."""

    start: int
    """The first pixel."""
    pixel: int
    """From one pixel of a row to the next."""
    row: int
    image: int

    @classmethod
    def dense(cls, p: Conv2d | Phase) -> Output:
        """Return the output of a convolution, pixel after pixel."""
        return cls(0, p.k, p.q * p.k, p.p * p.q * p.k)


@dataclass(frozen=True)
class Spot:
    """The pixels at which one kernel runs: offsets in elements of its starts."""

    region: Region
    pattern: Pattern
    a: Integers
    c: Integers

    def image(self, n: int, p: Conv2d | Phase, output: Output) -> Spot:
        """Return the same pixels of the ``n``-th image."""
        a, c = self.a + n * p.h * p.w * p.c, self.c + n * output.image
        return Spot(self.region, self.pattern, a, c)

    def input_offsets(self, p: Conv2d | Phase) -> tuple[int, ...]:
        """Return where the pattern's pixels start in the input, from its first."""
        sh, sw = p.stride
        return tuple((i * sh * p.w + j * sw) * p.c for i, j in self.pattern)

    def output_offsets(self, output: Output) -> tuple[int, ...]:
        """Return where the pattern's pixels start in the output, from its first."""
        return tuple(i * output.row + j * output.pixel for i, j in self.pattern)
