"""Read ``attention:BATCHxHEADSxTOKENSxDIM[:kvHEADSxKEYS][:MASK][n"name"]``.

benchdnn has no text for attention.
"""

from __future__ import annotations

import re

from convprof.errors import DescriptorError
from convprof.problems.attention import MASKS, NO_MASK, Attention
from convprof.problems.checks import MAX_SIZE, read_name, shown

WORD = "attention"
"""How every text of attention begins."""
PREFIX = f"{WORD}:"
FORM = "BATCHxHEADSxTOKENSxDIM, e.g. attention:1x12x197x64"
PARTS = (
    f':kvHEADSxKEYS, one of {", ".join(f":{mask}" for mask in MASKS[1:])}, and n"name" may follow'
)

_NUMBER = "[0-9]{1,10}"  # 2**31 - 1 has ten digits
_SIZES = re.compile(f"{_NUMBER}(?:x{_NUMBER}){{3}}")
_BODY = re.compile(rf"([0-9x]*)(?::kv({_NUMBER}x{_NUMBER}))?(?::({'|'.join(MASKS)}))?")


def parse_attention(text: str) -> Attention:
    """Return the attention that the text means.

    Raises DescriptorError naming the field; ProblemError when the sizes are impossible.
    """
    if not text.startswith(PREFIX):
        raise DescriptorError(f"write {FORM}")
    body = _BODY.match(text, len(PREFIX))
    assert body is not None  # noqa: S101  # the pattern matches the empty text
    sizes, shared, mask = body.groups()
    rest = text[body.end() :].lstrip("_")
    if rest and not rest.startswith("n"):
        raise DescriptorError(f"{shown(rest)}: write {FORM}; {PARTS}")
    name = read_name(rest[1:]) if rest else ""
    if not _SIZES.fullmatch(sizes):
        raise DescriptorError(f"{shown(sizes)}: write {FORM}")
    batch, heads, tokens, dim = _numbers(sizes)
    key_heads, keys = _numbers(shared) if shared else (heads, tokens)
    return Attention(
        batch=batch,
        heads=heads,
        tokens=tokens,
        dim=dim,
        key_heads=key_heads,
        keys=keys,
        mask=mask or NO_MASK,
        name=name,
    )


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split("x")]
    for number in numbers:
        if not 1 <= number <= MAX_SIZE:
            raise DescriptorError(f"{number}: every dimension must be between 1 and {MAX_SIZE}")
    return numbers
