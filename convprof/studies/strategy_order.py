"""The order of strategies over all kinds of problems, for what must look the same everywhere."""

from __future__ import annotations

import functools

from convprof.strategies import registry


@functools.cache
def places() -> dict[str, int]:
    """Return each strategy's place in the registry; a name that several kinds have counts once."""
    names = (s.name for kind in registry.KINDS for s in registry.strategies(kind))
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
