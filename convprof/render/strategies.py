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
    """Print a line per strategy: accepting strategies first, refusals dimmed."""
    console.print(Text(listing.title, style="bold"))
    entries = sorted(listing.entries, key=lambda entry: entry.takes is False)
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        head = f"  {entry.name:{width}}  {WORDS[entry.takes]}"
        text = "; ".join(filter(None, (entry.text, entry.but)))
        hanging(console, head, text, style="dim" if entry.takes is False else "")


def absent_report(console: Console, listings: Sequence[Listing]) -> None:
    """Print the missing packages in one line; with the number of strategies, if several."""
    packages: dict[str, set[str]] = {}
    absent = [each for listing in listings for each in listing.absent]
    for each in absent:
        packages.setdefault(each.package, set()).add(each.strategy)
    if absent:
        parts = [
            f"{package} ({len(names)} strategies)" if len(names) > 1 else package
            for package, names in packages.items()
        ]
        text = f"{', '.join(parts)}: {installation(absent)}"
        hanging(console, "not installed: ", text, style="dim")
