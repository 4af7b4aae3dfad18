"""``convprof sysinfo``: what this machine is, and what it can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from convprof.cli.driver import Driver
from convprof.cli.options import color_option
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from convprof.render.console import Color


@click.command("sysinfo")
@click.option(
    "--json",
    "json_path",
    metavar="FILE|-",
    help="Also write all of it as JSON; with '-' to stdout, and nothing else there.",
)
@color_option
def command(json_path: str | None, color: Color) -> int:
    """Show what this machine is, and measure what it can do.

    Facts: CPU, vectors, cores and limits, caches, memory, system, software. Measured, within
    about a second: the core clock and the peak FLOP/s on one thread and on all cores.
    A fact that cannot be known is shown as unknown; in JSON it is null.
    """
    from convprof.render import sysinfo
    from convprof.studies.sysinfo import gather

    driver = Driver(Outputs.of({"json_path": json_path, "color": color}))
    document = gather()
    driver.files({"json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n"})
    boxed = driver.stdout.is_terminal
    driver.show(lambda: sysinfo.show(driver.stdout, document, boxed=boxed))
    return driver.code(0)
