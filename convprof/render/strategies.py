"""The output of ``strategies``: the strategies of a kind, or those that compute a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.console import hanging
from convprof.studies.strategies import INSTALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.studies.strategies import Listing

WORDS = {None: "", True: "takes it  ", False: "refuses   "}


def listing_report(console: Console, listing: Listing) -> None:
    """Print a line per strategy and reason: accepting strategies first, refusals dimmed."""
    console.print(Text(listing.kind, style="bold"))
    entries = sorted(listing.entries, key=lambda entry: entry.takes is False)
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        head = f"  {entry.name:{width}}  {WORDS[entry.takes]}"
        hanging(console, head, entry.text, style="dim" if entry.takes is False else "")


def absent_report(console: Console, listings: Sequence[Listing]) -> None:
    """Print the missing libraries in one line."""
    packages = dict.fromkeys(package for listing in listings for package in listing.absent)
    if packages:
        hanging(console, "not installed: ", f"{', '.join(packages)} ({INSTALL})", style="dim")
