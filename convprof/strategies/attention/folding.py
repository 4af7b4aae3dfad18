"""Queries that share keys as queries of one head."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.problems.attention import CAUSAL, NO_MASK, OF_KEYS

if TYPE_CHECKING:
    from convprof.problems import Attention


def folded(p: Attention) -> Attention:
    """Return the same problem with the queries that share keys as queries of one head.

    A vector of queries is then filled by fewer tokens. It is the same memory. Where queries of one
    head have different masks, the problem stays as it is.
    """
    if p.mask == CAUSAL and p.tokens == 1:
        p = replace(p, mask=NO_MASK)  # the only query has all keys
    if p.sharing == 1 or p.mask not in (NO_MASK, OF_KEYS):
        return p
    return replace(p, heads=p.key_heads, tokens=p.sharing * p.tokens)
