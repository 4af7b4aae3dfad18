"""A transposed convolution as convolutions: one for each position of a result within a stride.

Along an axis, result o is a sum over pixels i and taps t with stride i + dilation t = o + padding.
With a stride of s, result o = s j + e reads the taps a, a + s, a + 2 s, ... with a = (e + padding)
mod s, and the pixels j + (e + padding) // s, the one before it, and so on: a convolution with the
taps reversed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.shapes import Shape

_IMAGE = 4
_UNSUPPORTED = (
    "only 2-D transposed convolutions whose stride or dilation is 1, and whose windows are not "
    "smaller than the stride have a strategy here"
)


@dataclass(frozen=True, slots=True)
class Phase:
    """The convolution that computes the results at one position within a stride, along an axis."""

    first: int
    """The first tap; every ``step``-th tap follows."""
    step: int
    count: int
    before: int
    after: int
    """The padding of the convolution."""
    dilation: int


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of the image (``pixels``), the filter (``taps``) and the result."""

    pixels: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int
    """Padding: what the result loses."""
    more: int
    """What the result has more at its end."""

    @property
    def size(self) -> int:
        """The size of the result."""
        whole = self.stride * (self.pixels - 1) + (self.taps - 1) * self.dilation + 1
        return whole + self.more - self.before - self.after

    @property
    def is_apart(self) -> bool:
        """Whether the windows touch, and neither overlap nor leave anything out."""
        plain = (self.dilation, self.before, self.after, self.more) == (1, 0, 0, 0)
        return plain and self.stride == self.taps

    def phases(self) -> list[Phase]:
        """Return the phases in the order of their results; some may be impossible."""
        if self.stride == 1:
            before = self.dilation * (self.taps - 1) - self.before
            after = self.size + self.before - self.pixels
            return [Phase(0, 1, self.taps, before, after, self.dilation)]
        phases = []
        for place in range(self.stride):
            shift, first = divmod(place + self.before, self.stride)
            count = len(range(first, self.taps, self.stride))
            after = ceil_div(self.size, self.stride) + shift - self.pixels
            phases.append(Phase(first, self.stride, count, count - 1 - shift, after, 1))
        return phases

    @property
    def is_possible(self) -> bool:
        """Whether convolutions compute all results."""
        return self.stride <= self.taps if self.dilation == 1 else self.stride == 1

    def computed(self) -> Axis:
        """Return the axis without padding, if the padding is more than convolutions can leave out.

        The padding is cut off afterwards.
        """
        if all(min(phase.before, phase.after) >= 0 for phase in self.phases()):
            return self
        return replace(self, before=0, after=0)


@dataclass(frozen=True, slots=True)
class TransposedConvolution:
    """The sizes of a node."""

    k: int
    groups: int
    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, node: FileNode, x: Shape, weight: Shape) -> TransposedConvolution:
        """Return the sizes; UnsupportedNodeError for what no convolution computes."""
        groups = node.integer("group", 1)
        unsupported = node.unsupported(_UNSUPPORTED)
        if len(x) != _IMAGE or len(weight) != _IMAGE:
            raise unsupported
        if weight[0] != x[1] or groups < 1 or x[1] % groups:
            raise node.refused(f"weights of {weight} in {groups} groups do not fit {x[1]} channels")
        auto = node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        if auto or "output_shape" in node.attributes:
            raise unsupported
        rows, columns = (_axis(node, axis, x[2 + axis], weight[2 + axis]) for axis in (0, 1))
        if not (rows.is_possible and columns.is_possible):
            raise unsupported
        return cls(weight[1] * groups, groups, rows, columns)

    @property
    def is_apart(self) -> bool:
        """Whether every result reads one pixel: a product with a matrix computes the windows."""
        return self.groups == 1 and self.rows.is_apart and self.columns.is_apart


def _axis(node: FileNode, axis: int, pixels: int, taps: int) -> Axis:
    stride, dilation = (node.integers(key, (1, 1), 2)[axis] for key in ("strides", "dilations"))
    pads = node.integers("pads", (0, 0, 0, 0), 4)
    before, after = (0, 0) if node.text("auto_pad", "NOTSET") == "VALID" else pads[axis::2]
    more = node.integers("output_padding", (0, 0), 2)[axis]
    if min(stride, dilation) < 1 or min(before, after, more) < 0 or more >= max(stride, dilation):
        raise node.refused("its strides, dilations or paddings are impossible")
    sizes = Axis(pixels, taps, stride, dilation, before, after, more)
    if sizes.size < 1:
        raise node.refused("its padding leaves no result")
    return sizes


def phase_filter(array: Any, rows: Phase, columns: Phase, groups: int) -> Any:
    """Return (k, c, ...) of a convolution from the filters (groups x c, k / groups, r, s)."""
    taps = array[:, :, rows.first :: rows.step, columns.first :: columns.step][..., ::-1, ::-1]
    c, k, r, s = taps.shape
    grouped = taps.reshape(groups, c // groups, k, r, s).swapaxes(1, 2)
    return np.ascontiguousarray(grouped).reshape(groups * k, c // groups, r, s)
