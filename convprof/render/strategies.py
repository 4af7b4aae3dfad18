"""The output of ``strategies``: the strategies of a kind, or those that compute a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from convprof.render.console import hanging
from convprof.studies.strategies import installation

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
    absent = dict.fromkeys(each for listing in listings for each in listing.absent)
    if absent:
        packages = ", ".join(dict.fromkeys(each.package for each in absent))
        command = installation(absent)
        hanging(console, "not installed: ", f"{packages} ({command})", style="dim")
