"""``convprof sysinfo``: the facts and the abilities of this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import Driver, Work
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.render.files import Text
    from convprof.studies.answer import Answer


@click.command("sysinfo", cls=Command)
@options.json_option("Also write all of it as JSON; with '-' to stdout, and nothing else there.")
@options.report_option()
@options.color_option
@options.wait_idle_option
def command(**flags: Any) -> int:
    """Show what this machine is, and measure what it can do.

    Facts: CPU, vectors, cores and limits, caches, memory, system, software. Measured, within
    about a second: the core clock and the peak FLOP/s on one thread and on all cores.
    A fact that cannot be known is shown as unknown; in JSON it is null.
    """
    from convprof.studies.sysinfo import gather

    driver = Driver(Outputs.of(flags))
    driver.before_measuring()
    return driver.run(_Work(gather()))


class _Work(Work):
    """Show the document of this machine."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document."""
        return {"json": lambda: json.dumps(self._document, indent=2, allow_nan=False) + "\n"}

    def show(self, console: Console) -> None:
        """Print the facts, in boxes in a terminal."""
        from convprof.render import sysinfo

        sysinfo.show(console, self._document, boxed=console.is_terminal)

    def answer(self) -> Answer | None:
        """Return the peak and the bandwidth of this machine."""
        from convprof.machine import ceilings_store
        from convprof.studies.machine_answer import sysinfo_answer

        key = (self._document.get("machine") or {}).get("key")
        if key is None:
            return None
        stored = ceilings_store.load(key).values()
        return sysinfo_answer(self._document, [b for each in stored for b in each.bandwidths])
