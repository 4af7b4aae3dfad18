"""The output of ``cache``: a row per kind of stored files, and the removed files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from convprof import units
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.tables import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.studies.cache import Store


def cache_report(console: Console, stores: Sequence[Store], *, cleared: bool) -> None:
    """Print the stored files, their folder, and the files that were just removed."""
    print_table(console, "stored on this machine", _columns(), stores)
    for store in stores:
        folders = ", ".join(str(folder) for folder in store.folders)
        say(console, f"{store.kind.name}: {store.kind.what}; in {folders}", style="dim")
    console.print()
    say(console, _removed(stores) if cleared else _stored(stores), style="bold")


def _stored(stores: Sequence[Store]) -> str:
    """Return how many files there are, and their size."""
    number = sum(len(store.entries) for store in stores)
    size = units.size(sum(store.size_bytes for store in stores))
    return f"{number:,} file{'' if number == 1 else 's'}, {size} in all"


def _removed(stores: Sequence[Store]) -> str:
    """Return how many files were removed, and of how many if some could not be."""
    removed = sum(store.removed for store in stores)
    failed = sum(len(store.errors) for store in stores)
    of = f" of {removed + failed:,}" if failed else ""
    return f"removed {removed:,}{of} file{'' if removed + failed == 1 else 's'}"


def _columns() -> list[Column[Store]]:
    return [
        Column("kind", lambda s: s.kind.name, 1, "left", key=True),
        Column("files", lambda s: f"{len(s.entries):,}", 2),
        Column("size", lambda s: units.size(s.size_bytes), 3),
        Column("newest", _date, 4, "left"),
    ]


def _date(store: Store) -> str:
    if store.newest_s is None:
        return NOTHING
    return datetime.fromtimestamp(store.newest_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
