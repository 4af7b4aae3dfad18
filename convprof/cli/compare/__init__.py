"""``convprof compare``: two ways of computing the same in the same rounds, or saved results."""

from __future__ import annotations

import click

from convprof.cli.compare.commands import commands
from convprof.cli.compare.dtypes import dtypes
from convprof.cli.compare.layouts import layouts
from convprof.cli.compare.mixers import mixers
from convprof.cli.compare.peers import peers
from convprof.cli.compare.results import results
from convprof.cli.help_page import Group


@click.group("compare", cls=Group)
def command() -> None:
    """Compare two ways of computing the same, in the same interleaved rounds; or saved results."""


for _subcommand in (layouts, peers, dtypes, mixers, results, commands):
    command.add_command(_subcommand)
