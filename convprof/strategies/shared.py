"""Lists of tiles that several layers have in common: a network repeats its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from convprof.strategies.caches import l2_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from convprof.simd.tiles import TileList

_alive: WeakValueDictionary[Hashable, TileList] = WeakValueDictionary()
"""Gone with the last plan that holds them, so there is nothing to limit or to empty."""


def shared(key: Hashable, make: Callable[[], TileList]) -> TileList:
    """Return the list of tiles made for ``key`` if it is still in use, else that of ``make``.

    The key has all that the list depends on, but for the size of the cache. Nobody adds to a list
    that is shared.
    """
    key = (key, l2_bytes())
    found = _alive.get(key)
    if found is None:
        found = _alive[key] = make()
    return found
