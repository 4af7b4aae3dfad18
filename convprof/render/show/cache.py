"""A saved list of what was stored on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.render.cache import cache_report
from convprof.render.show import Extent, SavedView
from convprof.studies import saved_cache

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the stored files by kind."""
    del extent  # all are shown
    stores = saved_cache.read(saved.fields)
    cleared = any(store.removed for store in stores)
    return SavedView(
        report=lambda console: cache_report(console, stores, cleared=cleared),
        answer=lambda: None,
    )
