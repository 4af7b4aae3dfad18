"""Causal masks in PyTorch's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.problems.attention import CAUSAL
from convprof.strategies.peers.torch.state import torch

if TYPE_CHECKING:
    from convprof.problems import Attention


def causal(p: Attention) -> dict[str, Any]:
    """Return the arguments of ``scaled_dot_product_attention`` for a causal mask, if ``p`` has one.

    PyTorch's flag gives the first query the first key only; here the last query has every key.
    """
    if p.mask != CAUSAL:
        return {}
    if not p.earlier:
        return {"is_causal": True}
    t = torch().module
    return {"attn_mask": t.ones(p.tokens, p.keys, dtype=t.bool).tril(p.earlier)}
