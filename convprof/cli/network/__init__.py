"""``convprof network``: a whole network, in the mode that the flags select."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convprof.cli import completion, options
from convprof.cli.help_page import Command
from convprof.cli.network import chain_options
from convprof.cli.number_types import Whole
from convprof.cli.outputs import Outputs
from convprof.errors import InputError
from convprof.problems.gradients import PASSES

if TYPE_CHECKING:
    from collections.abc import Callable

    Mode = Callable[[dict[str, Any], Outputs], int | None]


@click.command("network", cls=Command)
@click.argument("name", required=False, shell_complete=completion.problems)
@click.option("--list", "list_", is_flag=True, help="List the networks.")
@click.option("--summary", is_flag=True, help="Show every layer's shape, parameters and MACs.")
@click.option("--pass", "pass_", type=click.Choice(PASSES), help="Time this pass of every convolution and product; training: all three.")  # noqa: E501  # fmt: skip
@click.option(
    "--image", type=Whole(), metavar="SIZE", help="Side of the images; default as published."
)
@click.option("--mb", type=Whole(), metavar="N", help="Minibatch; default 1.")
@click.option("--dim", multiple=True, metavar="NAME=SIZE", help="Set a dimension that an ONNX file leaves open: sequence=128.")  # noqa: E501  # fmt: skip
@click.option("--output", multiple=True, metavar="NAME", help="One of an ONNX file's outputs, or any other value in it, instead of all its outputs; once for each.")  # noqa: E501  # fmt: skip
@chain_options.measure_options
@options.output_options(
    csv="Write one row per layer; with --pass per layer and pass, with --list per network.",
    saves=True,
)
def command(**flags: Any) -> int | None:
    """Run a whole network, layer by layer and as a chain.

    NAME is one of --list, an ONNX file (extra onnx), or SCRIPT.py:FUNCTION. The script is run: its
    function returns a PyTorch module, or a module and an example input. With --plan: the strategies
    and layouts that make the chain fastest; with --pass: the passes of training; with --summary:
    nothing is measured.
    Layers have their published names: convprof run resnet50:layer1.0.conv2 measures one of them.
    """
    show = _mode(flags)
    return show(flags, Outputs.of(flags))


def _mode(flags: dict[str, Any]) -> Mode:
    """Return the function for the requested mode; InputError for invalid combinations of flags."""
    from convprof.cli.network import passes, run, summary

    name = flags["name"]
    if flags["save"] is not None and (flags["list_"] or flags["summary"]):
        raise InputError("nothing is measured, so nothing is saved", field="save")
    if flags["exports"] and (flags["list_"] or flags["summary"]):
        raise InputError("--export: nothing is measured, so nothing is exported")
    if flags["list_"]:
        flags_given = [f"--{key}" for key in ("image", "mb") if flags[key] is not None]
        flags_given += [f"--{key}" for key in ("output", "dim", "summary") if flags[key]]
        flags_given += chain_options.given(("pass_", *chain_options.FLAGS))
        if name is not None or flags_given:
            raise InputError(
                f"--list shows every network as published: leave out {name or flags_given[0]}"
            )
        return summary.show_list
    if name is None:
        raise InputError("name a network, e.g. resnet50 --summary, or use --list")
    if flags["summary"]:
        measuring = chain_options.given(("pass_", *chain_options.FLAGS))
        if measuring:
            raise InputError(f"--summary measures nothing: leave out {measuring[0]}")
        return summary.show_summary
    if flags["pass_"] is not None:
        if flags["trace_path"] is not None:
            raise InputError(f"--trace {flags['trace_path']}: passes have no timeline")
        return passes.measure
    return run.plan if flags["plan"] else run.measure
