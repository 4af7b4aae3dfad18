"""A 2-D forward convolution: its shapes, its arithmetic and its least memory traffic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from convprof.errors import ProblemError
from convprof.problems import checks
from convprof.problems.axis import Axis
from convprof.problems.checks import check_name
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.formatting import format_conv2d


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2d:
    """x (n, c, h, w) * weights (k, c / groups, r, s) -> y (n, k, p, q), and its epilogue.

    ``pad`` is (rows, columns) or (top, left, bottom, right); it is stored as a pair whenever
    it is symmetric. Padding at the end that a stride makes unreachable is immaterial, so it is
    stored as the symmetric or else the least one: problems that compute the same are equal.
    A dilation of 1 means a dense filter. ``name`` takes no part in comparisons.

    Raises ProblemError for a shape that cannot be computed.
    """

    kind: ClassVar[str] = "conv2d"

    n: int = 1
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] | tuple[int, int, int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    epilogue: Epilogue = NO_EPILOGUE
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for key in ("n", "c", "h", "w", "k", "r", "s", "groups"):
            self._set(key, checks.size(key, getattr(self, key)))
        self._set("stride", checks.sizes("stride", self.stride, (2,), least=1))
        self._set("dilation", checks.sizes("dilation", self.dilation, (2,), least=1))
        self._set("pad", checks.sizes("pad", self.pad, (2, 4), least=0))
        check_name(self.name)
        self._check_groups()
        self._check_fit()
        self._settle_pad()
        for key in ("p", "q"):
            checks.size(key, getattr(self, key))
        for tensor, shape in (
            ("input", self.x_shape("nchw")),
            ("weights", self.weight_shape),
            ("output", self.y_shape("nchw")),
        ):
            checks.elements(tensor, shape)

    def _set(self, key: str, value: object) -> None:
        object.__setattr__(self, key, value)

    def _check_groups(self) -> None:
        for key in ("c", "k"):
            channels = getattr(self, key)
            if channels % self.groups:
                raise ProblemError(
                    f"groups={self.groups}: must divide {key}={channels}; "
                    f"change groups or {key} so that it does"
                )

    def _check_fit(self) -> None:
        top, left, bottom, right = self.pads
        for key, what, axis, begin, end in (
            ("r", "rows", self._rows, top, bottom),
            ("s", "columns", self._columns, left, right),
        ):
            room = axis.size + begin + end
            if axis.span > room:
                raise ProblemError(
                    f"{key}={axis.taps}: a filter of {axis.span} {what} (dilation {axis.dilation}) "
                    f"does not fit the padded input of {room} {what}; "
                    f"use a smaller filter or dilation, or more padding"
                )

    def _settle_pad(self) -> None:
        top, left, bottom, right = self.pads
        # `end_for` cannot be None here: the padding that was given does give this output.
        down = self._rows.end_for(self._rows.out(top, bottom), top) or 0
        across = self._columns.end_for(self._columns.out(left, right), left) or 0
        symmetric = (down, across) == (top, left)
        self._set("pad", (top, left) if symmetric else (top, left, down, across))

    @property
    def _rows(self) -> Axis:
        return Axis(self.h, self.r, self.stride[0], self.dilation[0])

    @property
    def _columns(self) -> Axis:
        return Axis(self.w, self.s, self.stride[1], self.dilation[1])

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Padding in elements: (top, left, bottom, right)."""
        top, left, *rest = self.pad
        bottom, right = rest or (top, left)
        return top, left, bottom, right

    @property
    def end_is_doubtful(self) -> bool:
        """Whether the padding at the end is such as only mistakes have: a text must name it."""
        top, left, bottom, right = self.pads
        return self._rows.is_doubtful(top, bottom) or self._columns.is_doubtful(left, right)

    @property
    def p(self) -> int:
        """Output height."""
        return self._rows.out(self.pads[0], self.pads[2])

    @property
    def q(self) -> int:
        """Output width."""
        return self._columns.out(self.pads[1], self.pads[3])

    @property
    def cg(self) -> int:
        """Input channels per group."""
        return self.c // self.groups

    @property
    def kg(self) -> int:
        """Output channels per group."""
        return self.k // self.groups

    @property
    def is_depthwise(self) -> bool:
        """Whether every group has exactly one input channel, and there are several groups."""
        return self.cg == 1 and self.groups > 1

    @property
    def is_pointwise(self) -> bool:
        """Whether the filter is 1x1, whatever the stride."""
        return self.r == self.s == 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates; products with padding count, as is usual in the field."""
        return self.n * self.k * self.p * self.q * self.cg * self.r * self.s

    @property
    def flops(self) -> int:
        """Floating-point operations: 1 MAC = 2 FLOPs, and the steps of the epilogue."""
        return 2 * self.macs + self.epilogue.steps * self.n * self.k * self.p * self.q

    def x_shape(self, layout: str) -> tuple[int, int, int, int]:
        """Return the input's shape in the layout ``nchw`` or ``nhwc``."""
        return _arranged(layout, self.n, self.c, self.h, self.w)

    def y_shape(self, layout: str) -> tuple[int, int, int, int]:
        """Return the output's shape in the layout ``nchw`` or ``nhwc``."""
        return _arranged(layout, self.n, self.k, self.p, self.q)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """The shape of the weights, the same in every layout: (k, c / groups, r, s)."""
        return self.k, self.cg, self.r, self.s

    def operand_shapes(self, layout: str) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the input in a layout, the weights, and the epilogue's operands."""
        bias = ((self.k,),) * self.epilogue.bias
        residual = (self.y_shape(layout),) * self.epilogue.add
        return self.x_shape(layout), self.weight_shape, *bias, *residual

    def result_shape(self, layout: str) -> tuple[int, ...]:
        """Return the shape of the output in a layout."""
        return self.y_shape(layout)

    def bytes_min(self, itemsize: int) -> int:
        """Return the minimum bytes that must cross the memory bus when no cache is warm.

        Every weight once, every output once, the epilogue's operands, and the input rows and
        columns that some filter tap reads, once. A strided 1x1 filter skips most of its input;
        padding is not read.
        """
        rows = self._rows.touched(self.p, self.pads[0])
        columns = self._columns.touched(self.q, self.pads[1])
        weights = self.k * self.cg * self.r * self.s
        outputs = self.n * self.k * self.p * self.q
        more = self.epilogue.bias * self.k + self.epilogue.add * outputs
        return (weights + outputs + self.n * self.c * rows * columns + more) * itemsize

    def dims(self) -> dict[str, Any]:
        """Return the sizes for JSON; ``pad`` has two or four numbers, as it is stored."""
        keys = ("n", "c", "h", "w", "k", "r", "s", "p", "q", "stride", "pad", "dilation", "groups")
        values = {key: getattr(self, key) for key in keys}
        sizes = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        return sizes | ({"epilogue": self.epilogue.text} if self.epilogue else {})

    @property
    def descriptor(self) -> str:
        """The canonical benchdnn text, e.g. ``mb1ic64ih56oc64oh56kh3ph1n"name"``."""
        return format_conv2d(self)

    def with_batch(self, n: int) -> Conv2d:
        """Return the same convolution of ``n`` images."""
        return replace(self, n=n)


def _arranged(layout: str, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
    if layout == "nchw":
        return n, c, h, w
    if layout == "nhwc":
        return n, h, w, c
    raise ProblemError(f"layout={checks.shown(layout)}: use nchw or nhwc")
