"""``convprof network``: whole networks, and what of them the flags ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.outputs import Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    Mode = Callable[[dict[str, Any], Outputs], None]


@click.command("network")
@click.argument("name", required=False)
@click.option("--list", "list_", is_flag=True, help="List the networks.")
@click.option("--summary", is_flag=True, help="Show every layer's shape, parameters and MACs.")
@click.option("--image", type=int, metavar="SIZE", help="Side of the images; default as published.")
@click.option("--mb", type=int, metavar="N", help="Minibatch; default 1.")
@options.output_options
def command(**flags: Any) -> None:
    """Show a whole network, layer by layer.

    Layers have their published names: convprof run resnet50:layer1.0.conv2 measures one of them.
    """
    show = _mode(flags)
    show(flags, Outputs.of(flags))


def _mode(flags: dict[str, Any]) -> Mode:
    """Return what shows that which the flags ask for; InputError if they ask for nothing."""
    from convprof.cli import network_summary

    name = flags["name"]
    if flags["list_"]:
        given = [f"--{key}" for key in ("image", "mb") if flags[key] is not None]
        given += ["--summary"] if flags["summary"] else []
        if name is not None or given:
            raise InputError(
                f"--list shows every network as published: leave out {name or given[0]}"
            )
        return network_summary.show_list
    if name is None:
        raise InputError("name a network, e.g. resnet50 --summary, or use --list")
    if flags["summary"]:
        return network_summary.show_summary
    raise InputError(f"{name}: add --summary to see its layers' shapes, parameters and MACs")
