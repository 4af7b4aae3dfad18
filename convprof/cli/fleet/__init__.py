"""``convprof fleet``: one suite on many hosts, and the table of the hosts."""

from __future__ import annotations

import click

from convprof.cli.fleet.run import run
from convprof.cli.fleet.sweep import sweep
from convprof.cli.fleet.table import table
from convprof.cli.help_page import Group


@click.group("fleet", cls=Group)
def command() -> None:
    """Run one suite on many hosts through Dask, and compare the hosts.

    pip install 'convprof[fleet]'. A Dask scheduler executes what its clients send: use TLS, or a
    closed network. docs/fleet.md has ssh, Slurm and Kubernetes.
    """


for _subcommand in (run, sweep, table):
    command.add_command(_subcommand)
