"""The text of a problem, in benchdnn's language where that has one.

    mb1ic64ih56oc64oh56kh3ph1n"name"    a convolution (``conv_text``)
    1024x512:512x768n"name"             a matrix product (``gemm_text``)
    attention:1x12x197x64n"name"        attention (``attention_text``)

``parse(problem.descriptor) == problem`` holds for every problem, and the name survives too.
Rules: oneDNN, tests/benchdnn/doc, ``driver_conv.md`` and ``driver_matmul.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import DescriptorError, NotComputedError, ProblemError
from convprof.problems.attention_text import WORD, parse_attention
from convprof.problems.checks import MAX_NAME, shown
from convprof.problems.conv_text import parse_conv2d
from convprof.problems.matmul_text import parse_gemm

if TYPE_CHECKING:
    from convprof.problems.attention import Attention
    from convprof.problems.conv2d import Conv2d
    from convprof.problems.gemm import Gemm

MAX_TEXT = MAX_NAME + 300  # the longest canonical text without its name has under 290 characters


def parse(text: str) -> Conv2d | Gemm | Attention:
    """Return the problem that a descriptor means.

    Raises DescriptorError when the text cannot be read, NotComputedError when it means another kind
    of problem, ProblemError when the shape it means cannot be computed. All name the text, the
    field and the way out.
    """
    stripped = text.strip()
    if not stripped:
        raise DescriptorError(
            "empty descriptor: write e.g. mb1ic64ih56oc64kh3ph1 or 512x512:512x512"
        )
    if len(stripped) > MAX_TEXT:
        raise DescriptorError(
            f"{shown(stripped)}: {len(stripped)} characters; a descriptor has at most {MAX_TEXT}"
        )
    try:
        return _read(stripped)
    except NotComputedError as error:
        raise NotComputedError(f"{shown(stripped)}: {error}", error.group) from None
    except (DescriptorError, ProblemError) as error:
        raise type(error)(f"{shown(stripped)}: {error}") from None


def parse_product(text: str) -> Conv2d | Gemm:
    """Return the convolution or the matrix product that a descriptor means.

    Raises what ``parse`` raises, and NotComputedError for attention.
    """
    if text.startswith(WORD):
        raise NotComputedError(f"{shown(text)}: neither a convolution nor a product", "attention")
    if not text or len(text) > MAX_TEXT:
        raise DescriptorError("a descriptor is empty or too long")
    return parse_gemm(text) if text[0] in "0123456789" else parse_conv2d(text)


def _read(text: str) -> Conv2d | Gemm | Attention:
    if text.startswith(WORD):
        return parse_attention(text)
    return parse_gemm(text) if text[0] in "0123456789" else parse_conv2d(text)
