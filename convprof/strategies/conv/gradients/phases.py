"""The gradient of the input as dense convolutions of dy, one per phase of the stride.

    dx[h]  =  sum over r with h + pad = p * stride + r * dilation  of  dy[p] * w[r]

Input rows at a distance of ``stride`` use the same taps: every (stride / gcd(stride, dilation))-th
tap of the filter. The rows of one phase are therefore a convolution of dy at stride 1 with that
part of the filter in reverse order. They are written with the stride as their distance. At stride 1
there is one phase.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.strategies.conv.regions import Output

if TYPE_CHECKING:
    import numpy as np

    from convprof.problems import Conv2d

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One phase of one axis."""

    first: int
    """The first input position."""
    count: int
    """The number of input positions; their distance is ``stride``."""
    before: int
    """Zeros before dy for the first tap; negative where the first elements of dy are not used."""
    taps: tuple[int, ...]
    """The taps of the filter, in the order of the elements of dy: from the last to the first."""
    dilation: int
    """Elements of dy from one tap to the next."""


def parts(size: int, taps: int, stride: int, dilation: int, pad: int) -> list[Part]:
    """Return the phases of one axis that has input positions."""
    common = math.gcd(stride, dilation)
    phases_of_axis = []
    for phase in range(stride):
        first = (phase - pad) % stride
        if first >= size:
            continue
        # Positions are numbered as in the padded image: first + pad = stride * start + phase.
        start = (first + pad - phase) // stride
        used = [r for r in range(taps) if (phase - r * dilation) % stride == 0]
        last = (phase - used[-1] * dilation) // stride if used else 0
        count = (size - 1 - first) // stride + 1
        phases_of_axis.append(
            Part(first, count, -(start + last), tuple(used[::-1]), dilation // common)
        )
    return phases_of_axis


@dataclass(frozen=True)
class Phase:
    """A convolution of dy at stride 1, with the names of ``Conv2d``: the sum runs over c."""

    epilogue: ClassVar[Epilogue] = NO_EPILOGUE

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    p: int
    q: int
    pads: tuple[int, int, int, int]
    """Zeros before and after the image; negative where elements at its edge are not used."""
    dilation: tuple[int, int]
    groups: int
    taps: tuple[tuple[int, ...], tuple[int, ...]]
    """The rows and columns of the filter in this phase, in the order of the phase."""
    output: Output
    """Where the pixels of the phase are in dx."""
    stride: tuple[int, int] = (1, 1)

    @property
    def cg(self) -> int:
        """Channels of dy per group."""
        return self.c // self.groups

    @property
    def kg(self) -> int:
        """Channels of dx per group."""
        return self.k // self.groups

    def filters(self, weights: Array) -> Array:
        """Return this phase's weights ``(k, c / groups, r, s)``, from the forward pass's weights.

        The result is a view if there is one group.
        """
        groups, kg, cg = self.groups, self.cg, self.kg  # the sum runs over the forward pass's kg
        chosen = weights[:, :, _slice(self.taps[0]), _slice(self.taps[1])]
        grouped = chosen.reshape(groups, kg, cg, self.r, self.s).transpose(0, 2, 1, 3, 4)
        return grouped.reshape(self.k, kg, self.r, self.s)


def _slice(taps: tuple[int, ...]) -> slice:
    """Return the slice of a filter's axis with these taps: equally far apart, the last first."""
    if not taps:
        return slice(0, 0)
    step = taps[0] - taps[1] if len(taps) > 1 else 1
    end = taps[-1] - step
    return slice(taps[0], end if end >= 0 else None, -step)


def phases(p: Conv2d) -> list[Phase]:
    """Return the phases; together they write every element of dx once."""
    top, left, _, _ = p.pads
    down = parts(p.h, p.r, p.stride[0], p.dilation[0], top)
    across = parts(p.w, p.s, p.stride[1], p.dilation[1], left)
    row = p.w * p.c
    return [
        Phase(
            n=p.n,
            c=p.k,
            h=p.p,
            w=p.q,
            k=p.c,
            r=len(i.taps),
            s=len(j.taps),
            p=i.count,
            q=j.count,
            pads=(i.before, j.before, 0, 0),
            dilation=(i.dilation, j.dilation),
            groups=p.groups,
            taps=(i.taps, j.taps),
            output=Output(
                start=i.first * row + j.first * p.c,
                pixel=p.stride[1] * p.c,
                row=p.stride[0] * row,
                image=p.h * row,
            ),
        )
        for i, j in itertools.product(down, across)
    ]
