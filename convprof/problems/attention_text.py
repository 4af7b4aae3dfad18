"""Read ``attention:BATCHxHEADSxTOKENSxDIM[n"name"]``; benchdnn has no text for attention."""

from __future__ import annotations

import re

from convprof.errors import DescriptorError
from convprof.problems.attention import Attention
from convprof.problems.checks import MAX_SIZE, read_name, shown

WORD = "attention"
"""How every text of attention begins."""
PREFIX = f"{WORD}:"
FORM = "BATCHxHEADSxTOKENSxDIM, e.g. attention:1x12x197x64"

_BODY = re.compile(r"[0-9x]*")
_SIZES = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){3}")  # 2**31 - 1 has ten digits


def parse_attention(text: str) -> Attention:
    """Return the attention that the text means.

    Raises DescriptorError naming the field; ProblemError when the sizes are impossible.
    """
    if not text.startswith(PREFIX):
        raise DescriptorError(f"write {FORM}")
    sizes = text.removeprefix(PREFIX)
    body = _BODY.match(sizes)
    assert body is not None  # noqa: S101  # the pattern matches the empty text
    rest = sizes[body.end() :].lstrip("_")
    if rest and not rest.startswith("n"):
        raise DescriptorError(f'{shown(rest)}: write {FORM}; only n"name" may follow')
    name = read_name(rest[1:]) if rest else ""
    if not _SIZES.fullmatch(body.group()):
        raise DescriptorError(f"{shown(body.group())}: write {FORM}")
    numbers = [int(part) for part in body.group().split("x")]
    for number in numbers:
        if not 1 <= number <= MAX_SIZE:
            raise DescriptorError(f"{number}: every dimension must be between 1 and {MAX_SIZE}")
    batch, heads, tokens, dim = numbers
    return Attention(batch=batch, heads=heads, tokens=tokens, dim=dim, name=name)
