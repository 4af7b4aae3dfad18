"""Problems as canonical benchdnn text; ``descriptor.parse`` reads it back unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems.checks import quoted

if TYPE_CHECKING:
    from convprof.problems.attention import Attention
    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm


def format_conv2d(problem: Conv2d) -> str:
    """Return ``[g]mb ic ih[iw] oc oh[ow] kh[kw] [sh[sw]] ph[pw] [eh[ew]] [dh[dw]] [n"name"]``.

    benchdnn takes all widths from the heights or none, so a square problem names no width
    and any other names every one. Stride 1 and a dense filter are left out. The output size
    is always there: together with the padding at the beginning it fixes the padding at the end,
    which is named only where ``conv_text`` would not believe it.
    """
    top, left, bottom, right = problem.pads
    rows = (problem.h, problem.p, problem.r, problem.stride[0], top, problem.dilation[0])
    columns = (problem.w, problem.q, problem.s, problem.stride[1], left, problem.dilation[1])
    square = rows == columns

    def both(letter: str, height: int, width: int) -> str:
        return f"{letter}h{height}" if square else f"{letter}h{height}{letter}w{width}"

    parts = [
        f"g{problem.groups}" if problem.groups > 1 else "",
        f"mb{problem.n}ic{problem.c}",
        both("i", problem.h, problem.w),
        f"oc{problem.k}",
        both("o", problem.p, problem.q),
        both("k", problem.r, problem.s),
        both("s", *problem.stride) if problem.stride != (1, 1) else "",
        both("p", top, left),
        both("e", bottom, right) if problem.end_is_doubtful else "",
        both("d", *(d - 1 for d in problem.dilation)) if problem.dilation != (1, 1) else "",
        quoted(problem.name),
    ]
    return "".join(parts)


def format_gemm(problem: Gemm) -> str:
    """Return ``MxK:KxN[n"name"]``, with a leading batch dimension only when it exceeds 1."""
    a, b = ("x".join(map(str, shape)) for shape in (problem.a_shape, problem.b_shape))
    return f"{a}:{b}{quoted(problem.name)}"


def format_attention(problem: Attention) -> str:
    """Return ``attention:BATCHxHEADSxTOKENSxDIM[n"name"]``."""
    return f"attention:{'x'.join(map(str, problem.shape))}{quoted(problem.name)}"
