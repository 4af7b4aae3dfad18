"""Problems from texts of their parts: input ``1x64x56x56``, kernel ``3``, pad ``same``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convprof.errors import DescriptorError, ProblemError
from convprof.problems.attention_text import PREFIX, parse_attention
from convprof.problems.axis import Axis
from convprof.problems.checks import MAX_SIZE, shown
from convprof.problems.conv2d import Conv2d
from convprof.problems.gemm import Gemm
from convprof.problems.matmul_text import parse_gemm

if TYPE_CHECKING:
    from convprof.problems.attention import Attention

_NUMBERS = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10})*")  # 2**31 - 1 has ten digits


def conv2d_from_flags(
    *,
    input: str,  # noqa: A002  # the field's name
    filters: int,
    kernel: str,
    stride: str = "1",
    pad: str = "0",
    dilation: str = "1",
    groups: int = 1,
) -> Conv2d:
    """Return the convolution that the texts mean.

    ``input`` is NxCxHxW; ``kernel``, ``stride`` and ``dilation`` are one number or two (height x
    width); ``pad`` is one, two or four (top x left x bottom x right), ``valid`` (none) or ``same``:
    ceil(size / stride) outputs with the extra padding at the end, as in TensorFlow.

    Raises DescriptorError naming the field and the value; ProblemError for impossible shapes.
    """
    n, c, h, w = _numbers("input", input, "NxCxHxW, e.g. 1x64x56x56", (4,))
    r, s = _pair("kernel", kernel)
    down, across = _pair("stride", stride)
    far, wide = _pair("dilation", dilation)
    rows, columns = Axis(h, r, down, far), Axis(w, s, across, wide)
    return Conv2d(
        n=n,
        c=c,
        h=h,
        w=w,
        k=_count("filters", filters),
        r=r,
        s=s,
        stride=(down, across),
        pad=_pads(pad, rows, columns),
        dilation=(far, wide),
        groups=_count("groups", groups),
    )


def gemm_from_flags(size: str) -> Gemm:
    """Return the product for ``MxNxK``, or for ``BxMxNxK``: B independent ones.

    ``MxK:KxN`` is a product as PROBLEM has it. Raises DescriptorError naming the field ``gemm`` and
    the value.
    """
    if ":" in size:
        try:
            return parse_gemm(size)
        except (DescriptorError, ProblemError) as error:
            raise DescriptorError(error.reason, field="gemm", value=_plain(size)) from None
    *batch, m, n, k = _numbers("gemm", size, "MxNxK or BxMxNxK, e.g. 1024x1024x1024", (3, 4))
    return Gemm(m=m, n=n, k=k, batch=batch[0] if batch else 1)


def attention_from_flags(size: str) -> Attention:
    """Return the attention for ``BATCHxHEADSxTOKENSxDIM``, with keys and a mask as in PROBLEM.

    Raises DescriptorError naming the field ``attention`` and the value; ProblemError for impossible
    sizes.
    """
    try:
        return parse_attention(f"{PREFIX}{size}")
    except DescriptorError as error:
        reason = error.reason.removeprefix(f"{shown(size)}: ")
        raise DescriptorError(reason, field="attention", value=_plain(size)) from None


def _pads(text: str, rows: Axis, columns: Axis) -> tuple[int, int, int, int]:
    if text == "valid":
        return 0, 0, 0, 0
    if text == "same":
        (top, bottom), (left, right) = rows.same(), columns.same()
        return top, left, bottom, right
    form = "same, valid, or one, two or four numbers: 1, 1x0, 1x1x2x2 (top, left, bottom, right)"
    pads = _numbers("pad", text, form, (1, 2, 4), least=0)
    top, left, bottom, right = pads * (4 // len(pads))
    return top, left, bottom, right


def _pair(field: str, text: str) -> tuple[int, int]:
    numbers = _numbers(field, text, "one number or height x width, e.g. 3 or 3x5", (1, 2))
    return numbers[0], numbers[-1]


def _numbers(
    field: str, text: str, form: str, lengths: tuple[int, ...], least: int = 1
) -> list[int]:
    numbers = [int(part) for part in text.split("x")] if _NUMBERS.fullmatch(text) else []
    if len(numbers) not in lengths:
        raise DescriptorError(f"write {form}", field=field, value=_plain(text))
    for number in numbers:
        if not least <= number <= MAX_SIZE:
            raise DescriptorError(
                f"{number} must be between {least} and {MAX_SIZE}", field=field, value=_plain(text)
            )
    return numbers


def _count(field: str, value: int) -> int:
    if not 1 <= value <= MAX_SIZE:
        raise ProblemError(f"must be between 1 and {MAX_SIZE}", field=field, value=shown(value))
    return value


def _plain(text: str) -> str:
    """Return the value as the user typed it where that is one clean line, else quoted."""
    quoted = shown(text)
    return text if quoted == f"'{text}'" else quoted
