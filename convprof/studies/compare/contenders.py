"""Which of our strategies take part where the best one is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.strategies import registry

if TYPE_CHECKING:
    from convprof.strategies.base import Strategy

CHOOSER = "auto"
"""The strategy that chooses the best one for a problem."""


def contenders(kind: str, dtype: str, *, grouped: bool = False) -> list[Strategy[Any]]:
    """Return ``auto``, or where ``auto`` does not take the type, what it would choose from.

    Strategies whose kernels are generated are the fastest; other strategies follow if no kernel is
    generated for the type. All of our strategies if no strategy takes it: each says why.
    """
    own = [s for s in registry.strategies(kind) if not s.role.is_peer]
    taking = [s for s in own if dtype in (s.grouped if grouped else s.dtypes)]
    chooser = [s for s in taking if s.name == CHOOSER]
    listed = [s for s in taking if s.role.is_listed]
    generated = [s for s in listed if s.generated]
    every = [] if grouped else [s for s in own if s.role.is_listed]
    return chooser or generated or listed or every
