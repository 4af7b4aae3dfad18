"""``convprof sysinfo``: what this machine is, and what it can do."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from convprof.cli.options import color_option

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
def command(json_path: str | None, color: Color) -> None:
    """Show what this machine is, and measure what it can do.

    Facts: CPU, vectors, cores and limits, caches, memory, system, software. Measured, within
    about a second: the core clock and the peak FLOP/s on one thread and on all cores.
    A fact that cannot be known is shown as unknown; in JSON it is null.
    """
    from convprof.render import files, sysinfo
    from convprof.render.console import stdout
    from convprof.studies.sysinfo import gather

    if json_path is not None:
        files.check_writable(json_path, "--json")
    document = gather()
    if json_path is not None:
        files.write_atomically(json_path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    if json_path != files.STDOUT:
        sysinfo.show(stdout(color), document, boxed=sys.stdout.isatty())
