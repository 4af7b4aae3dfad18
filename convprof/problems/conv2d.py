"""A 2-D forward convolution: its shapes, its arithmetic and its least memory traffic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.errors import ProblemError
from convprof.problems import checks, requantisation
from convprof.problems.axis import Axis, all_pads
from convprof.problems.base import Trainable
from convprof.problems.checks import check_name, quoted
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.layouts import arranged
from convprof.problems.tensors import TensorSpec, activation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.base import Problem
    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2d(Trainable):
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
        return all_pads(self.pad)

    @property
    def end_is_doubtful(self) -> bool:
        """Whether the padding at the end looks like a mistake: a text must then name it."""
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

    def x_shape(self, layout: str) -> Shape:
        """Return the input's shape in the layout ``nchw`` or ``nhwc``."""
        return arranged((self.n, self.c, self.h, self.w), layout)

    def y_shape(self, layout: str) -> Shape:
        """Return the output's shape in the layout ``nchw`` or ``nhwc``."""
        return arranged((self.n, self.k, self.p, self.q), layout)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """The shape of the weights, the same in every layout: (k, c / groups, r, s)."""
        return self.k, self.cg, self.r, self.s

    @property
    def has_minibatch(self) -> bool:
        """It has: n."""
        return True

    @property
    def layer_kind(self) -> str:
        """``depthwise conv``, ``pointwise conv`` or ``conv``."""
        if self.is_depthwise:
            return "depthwise conv"
        return "pointwise conv" if self.is_pointwise else "conv"

    @property
    def layer_text(self) -> str:
        """``3x3 s2 64->128 in 32 groups``: filter, stride, channels."""
        down, across = self.stride
        step = f" s{down}" if down == across else f" s{down}x{across}"
        text = f"{self.r}x{self.s}{step if (down, across) != (1, 1) else ''} {self.c}->{self.k}"
        return text + (f" in {self.groups} groups" if self.groups > 1 else "")

    @property
    def has_layout(self) -> bool:
        """Its activations are images."""
        return True

    @property
    def terms(self) -> int:
        """The products behind an element of the output: c / groups, r, s."""
        return self.cg * self.r * self.s

    @property
    def channels(self) -> int:
        """The elements of a bias."""
        return self.k

    @property
    def data_terms(self) -> int:
        """The products behind an element of dx, at most: k / groups, r, s."""
        return self.kg * self.r * self.s

    @property
    def weights_terms(self) -> int:
        """The products behind an element of dw: n, p, q."""
        return self.n * self.p * self.q

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return the input, the weights and the epilogue's operands."""
        return (
            activation("x", self.x_shape("nchw"), layout, types.source),
            TensorSpec("weights", self.weight_shape, None, types.weights, constant=True),
            *self.epilogue.operands(self.k, self.result(layout, types), types),
            *requantisation.operands(self.k, self.terms, self.epilogue, types),
        )

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return the output."""
        return activation("y", self.y_shape("nchw"), layout, types.result)

    def bytes_min(self, types: Types) -> int:
        """Return the minimum bytes that must cross the memory bus when no cache is warm.

        Every weight once, every output once, the epilogue's operands, and the input rows and
        columns that some filter tap reads, once. A strided 1x1 filter skips most of its input;
        padding is not read.
        """
        rows = self._rows.touched(self.p, self.pads[0])
        columns = self._columns.touched(self.q, self.pads[1])
        _, *others = (*self.operands("nchw", types), self.result("nchw", types))
        read = self.n * self.c * rows * columns * types.source.bytes
        return read + sum(tensor.nbytes for tensor in others)

    def dims(self) -> dict[str, Any]:
        """Return the sizes for JSON; ``pad`` has two or four numbers, as it is stored."""
        keys = ("n", "c", "h", "w", "k", "r", "s", "p", "q", "stride", "pad", "dilation", "groups")
        values = {key: getattr(self, key) for key in keys}
        sizes = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        return sizes | ({"epilogue": self.epilogue.text} if self.epilogue else {})

    @property
    def descriptor(self) -> str:
        """``[g]mb ic ih[iw] oc oh[ow] kh[kw] [sh[sw]] ph[pw] [eh[ew]] [dh[dw]] [n"name"]``.

        benchdnn takes all widths from the heights or none, so a square problem names no width and
        any other names every one. Stride 1 and a dense filter are left out. The output size is
        always there. With the padding at the beginning it determines the padding at the end, which
        is named only where ``conv_text`` would take it for a mistake.
        """
        top, left, bottom, right = self.pads
        rows = (self.h, self.p, self.r, self.stride[0], top, self.dilation[0])
        columns = (self.w, self.q, self.s, self.stride[1], left, self.dilation[1])
        square = rows == columns

        def both(letter: str, height: int, width: int) -> str:
            return f"{letter}h{height}" if square else f"{letter}h{height}{letter}w{width}"

        parts = [
            f"g{self.groups}" if self.groups > 1 else "",
            f"mb{self.n}ic{self.c}",
            both("i", self.h, self.w),
            f"oc{self.k}",
            both("o", self.p, self.q),
            both("k", self.r, self.s),
            both("s", *self.stride) if self.stride != (1, 1) else "",
            both("p", top, left),
            both("e", bottom, right) if self.end_is_doubtful else "",
            both("d", *(d - 1 for d in self.dilation)) if self.dilation != (1, 1) else "",
            quoted(self.name),
        ]
        return "".join(parts)

    def with_epilogue(self, epilogue: Epilogue) -> Conv2d:
        """Return the same convolution with an epilogue."""
        return replace(self, epilogue=epilogue)

    def first_rows(self, rows: int) -> Conv2d:
        """Return the convolution of one image that gives ``rows`` rows of the output, or more."""
        reach = self.dilation[0] * (self.r - 1) + 1
        height = min(self.h, max(reach, rows * self.stride[0]))
        return replace(self, n=1, h=height, name="")

    def with_batch(self, n: int) -> Conv2d:
        """Return the same convolution of ``n`` images."""
        return replace(self, n=n)

    # The float64 reference, in the textbook way: pad, pick the patches out, contract.

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return the output in float64, (n, k, p, q), or its values at some points."""
        x, weights, *more = operands
        product = self._product(x, weights, points)
        return self.epilogue.reference(product, more, self.y_shape("nchw"), points)

    def _product(self, x: Array, weights: Array, points: Points | None = None) -> Array:
        """Return the convolution in float64, ``(n, k, p, q)``, or its values at some points.

        ``x (n, c, h, w)``, ``weights (k, c/groups, r, s)``; ``points`` are flat indices into the
        output, for which the result is one-dimensional.
        """
        import numpy as np  # late: `convprof --help` must not load it

        top, left, bottom, right = self.pads
        image = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
        filters = weights.astype(np.float64)
        # Row t of the patch matrix is (c, r, s): each index repeated for the ones inside it and
        # tiled for the ones outside it.
        channel = np.repeat(np.arange(self.cg), self.r * self.s)
        row = np.tile(np.repeat(np.arange(self.r) * self.dilation[0], self.s), self.cg)
        column = np.tile(np.arange(self.s) * self.dilation[1], self.cg * self.r)
        if points is not None:
            n, k, out_row, out_column = np.unravel_index(points, (self.n, self.k, self.p, self.q))
            first = k // self.kg * self.cg
            patches = image[
                n[:, None],
                first[:, None] + channel,
                (out_row * self.stride[0])[:, None] + row,
                (out_column * self.stride[1])[:, None] + column,
            ]
            values: Array = np.einsum("it,it->i", patches, filters.reshape(self.k, -1)[k])
            return values
        out_row = np.repeat(np.arange(self.p) * self.stride[0], self.q)
        out_column = np.tile(np.arange(self.q) * self.stride[1], self.p)
        result = np.empty((self.n, self.groups, self.kg, self.p * self.q))
        grouped = filters.reshape(self.groups, self.kg, -1)
        for item in range(self.n):  # image by image, so that the patch matrices stay small
            for group in range(self.groups):
                planes = image[item, group * self.cg : (group + 1) * self.cg]
                patches = planes[
                    channel[:, None], row[:, None] + out_row, column[:, None] + out_column
                ]
                result[item, group] = np.einsum("kt,ti->ki", grouped[group], patches, optimize=True)
        return result.reshape(self.n, self.k, self.p, self.q)

    def data_gradient(self, dy: Array, weights: Array, points: Points | None = None) -> Array:
        """Return dx in float64, ``(n, c, h, w)``, or its values at some flat indices of it.

        ``dy (n, k, p, q)``, ``weights (k, c/groups, r, s)``. Tap by tap: an input that a tap reads
        in the forward pass gets the gradient of the output that it is added to.
        """
        import numpy as np  # late: `convprof --help` must not load it

        if points is not None:
            return self._data_points(dy, weights, points)
        top, left, bottom, right = self.pads
        padded = np.zeros(
            (self.n, self.groups, self.cg, self.h + top + bottom, self.w + left + right)
        )
        gradient = dy.astype(np.float64).reshape(self.n, self.groups, self.kg, self.p, self.q)
        filters = weights.astype(np.float64).reshape(self.groups, self.kg, self.cg, self.r, self.s)
        for r, s in np.ndindex(self.r, self.s):
            spread = np.einsum("gkc,ngkpq->ngcpq", filters[..., r, s], gradient, optimize=True)
            padded[self._read_by(r, s)] += spread
        image = padded[..., top : top + self.h, left : left + self.w]
        return image.reshape(self.n, self.c, self.h, self.w)

    def _data_points(self, dy: Array, weights: Array, points: Points) -> Array:
        """Return dx at some flat indices: from the outputs that use each of them, tap by tap."""
        import numpy as np  # late: `convprof --help` must not load it

        n, c, row, column = np.unravel_index(points, (self.n, self.c, self.h, self.w))
        outputs = (c // self.cg * self.kg)[:, None] + np.arange(self.kg)
        values = np.zeros(len(points))
        for r, s in np.ndindex(self.r, self.s):
            out_row, rest_row = np.divmod(row + self.pads[0] - r * self.dilation[0], self.stride[0])
            out_column, rest_column = np.divmod(
                column + self.pads[1] - s * self.dilation[1], self.stride[1]
            )
            used = (rest_row == 0) & (rest_column == 0)
            used &= (out_row >= 0) & (out_row < self.p) & (out_column >= 0) & (out_column < self.q)
            at, k = n[used][:, None], outputs[used]
            gradient = dy[at, k, out_row[used][:, None], out_column[used][:, None]]
            factors = weights[k, (c % self.cg)[used][:, None], r, s]
            values[used] += np.einsum(
                "ik,ik->i", gradient.astype(np.float64), factors.astype(np.float64)
            )
        return values

    def weights_gradient(self, x: Array, dy: Array, points: Points | None = None) -> Array:
        """Return dw in float64, (k, c / groups, r, s), or its values at some points.

        For every tap: the inputs that it reads in the forward pass, times the gradients of the
        outputs that they are added to, summed over all images and pixels.
        """
        import numpy as np  # late: `convprof --help` must not load it

        top, left, bottom, right = self.pads
        border = ((0, 0), (0, 0), (top, bottom), (left, right))
        image = np.pad(x.astype(np.float64), border)
        if points is not None:
            values = np.empty(len(points))
            for i, point in enumerate(points):
                k, c, r, s = np.unravel_index(point, self.weight_shape)
                plane = image[:, k // self.kg * self.cg + c][:, *self._read_by(int(r), int(s))[1:]]
                values[i] = np.einsum("npq,npq->", plane, dy[:, k].astype(np.float64))
            return values
        grouped = image.reshape(self.n, self.groups, self.cg, *image.shape[2:])
        gradient = dy.astype(np.float64).reshape(self.n, self.groups, self.kg, self.p, self.q)
        result = np.empty((self.groups, self.kg, self.cg, self.r, self.s))
        for r, s in np.ndindex(self.r, self.s):
            read = grouped[self._read_by(r, s)]
            result[..., r, s] = np.einsum("ngkpq,ngcpq->gkc", gradient, read, optimize=True)
        return result.reshape(self.weight_shape)

    def _read_by(self, r: int, s: int) -> tuple[Any, ...]:
        """Return the index of the pixels that one tap reads of a padded image."""
        top, left = r * self.dilation[0], s * self.dilation[1]
        rows = slice(top, top + (self.p - 1) * self.stride[0] + 1, self.stride[0])
        columns = slice(left, left + (self.q - 1) * self.stride[1] + 1, self.stride[1])
        return ..., rows, columns


def as_convolution(problem: Problem) -> Conv2d:
    """Return the problem if it is a convolution; ProblemError otherwise."""
    if not isinstance(problem, Conv2d):
        kind = "a matrix product" if problem.kind == "gemm" else f"of kind {problem.kind}"
        raise ProblemError(
            f"{problem.descriptor} is {kind}; name a convolution, e.g. resnet50:layer1.0.conv2"
        )
    return problem
