"""``convprof cache``: list or clear what is stored on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs
from convprof.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.render.files import Text
    from convprof.studies.cache import Store


@click.command("cache", cls=Command)
@click.option(
    "--clear",
    type=click.Choice(["choices", "ceilings", "kernels", "all"]),
    help="Remove the files of a kind, or of all kinds.",
)
@options.json_option("Write the list, with every file.")
@options.report_option()
@options.color_option
def command(**flags: Any) -> int:  # fmt: skip
    """List what convprof has stored on this machine, or clear it.

    choices: what auto chose by timing, and LLVM's scheduling model. ceilings: the peaks and
    bandwidths of `convprof ceilings`. kernels: code that numba compiled. What is missing is
    measured again when it is needed. The folder is CONVPROF_CACHE_DIR or the user's cache folder.
    """
    from convprof.studies import cache

    outputs = Outputs.of(flags)
    which = flags["clear"]
    stores = cache.stores() if which is None else cache.clear(which)
    return Driver(outputs).run(_Work(stores, cleared=which is not None))


class _Work(Work):
    """Show the stored files."""

    def __init__(self, stores: list[Store], *, cleared: bool) -> None:
        self._stores, self._cleared = stores, cleared

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document."""
        from convprof.studies import cache

        document = cache.document(self._stores)
        return {"json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n"}

    def show(self, console: Console) -> None:
        """Print a row per kind."""
        from convprof.render.cache import cache_report

        cache_report(console, self._stores, cleared=self._cleared)

    def remarks(self) -> list[str]:
        """Return the files that could not be removed."""
        return [error for store in self._stores for error in store.errors]

    def status(self) -> int:
        """Return 1 if a file could not be removed."""
        return EXIT_FAILURE if any(store.errors for store in self._stores) else 0
