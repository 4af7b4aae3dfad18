"""``convprof ceilings``: peak arithmetic and bandwidths of this machine."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.outputs import STDOUT, Outputs

if TYPE_CHECKING:
    from convprof.studies.ceilings import Measured


@click.command("ceilings")
@click.option(
    "--threads",
    "-t",
    metavar="N[,N]|all",
    default="1,all",
    show_default=True,
    help="Numbers of threads.",
)
@click.option(
    "--dtype",
    metavar="f32|f64|all",
    default="all",
    show_default=True,
    help="Element types of the peaks.",
)
@click.option("--again", is_flag=True, help="Measure anew, whatever is kept.")
@options.output_options
def command(**flags: Any) -> None:  # fmt: skip
    """Show what this machine can do: peak FLOP/s and the bandwidth of every memory level.

    Peaks by instruction set, vector width, element type and number of threads; load, store, copy
    and triad bandwidth of each cache and of memory. Measured once, in some ten seconds, then kept
    for this machine (in CONVPROF_CACHE_DIR or the user's cache folder).
    """
    dtypes = _dtypes(flags["dtype"])
    threads = options.threads_from(flags["threads"])
    outputs = Outputs.of(flags)
    from convprof.studies import ceilings

    found = ceilings.Measured(threads, again=flags["again"])
    measure(found, outputs)
    _show(found, dtypes, outputs)


def measure(found: Measured, outputs: Outputs) -> None:
    """Measure what is not kept, with progress and what disturbed it on stderr."""
    from convprof.machine import facts
    from convprof.machine.noise import NoiseWatch
    from convprof.render import console
    from convprof.render.progress import Progress

    stderr = console.stderr(outputs.color)
    watch = NoiseWatch(facts().topology.logical_cpus or 1)
    with Progress(stderr, quiet=outputs.quiet) as progress:
        for step in found.steps():
            progress.say(f"measuring this machine: {step}")
    if found.fresh and not outputs.quiet:
        for finding in watch.findings():
            text = f"noise: {finding.message}; {finding.hint}"
            stderr.print(text, style="yellow", soft_wrap=not stderr.is_terminal, markup=False)


def _show(found: Measured, dtypes: tuple[str, ...], outputs: Outputs) -> None:
    from convprof.render import ceilings as view
    from convprof.render import console
    from convprof.render.files import write_atomically
    from convprof.studies import ceilings

    sets, now = found.listed(), time.time()
    document = ceilings.document(sets, dtypes)
    key = document["machine"]["key"]
    if outputs.tables:
        view.ceilings_report(console.stdout(outputs.color), sets, dtypes, now=now, machine=key)
    forms = {
        "json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n",
        "csv": lambda: view.to_csv(document),
        "markdown": lambda: view.to_markdown(sets, dtypes, now=now, machine=key),
    }
    for flag, path in outputs.paths.items():
        if path == STDOUT:
            click.echo(forms[flag](), nl=False)
        else:
            write_atomically(path, forms[flag]())


def _dtypes(text: str) -> tuple[str, ...]:
    from convprof.studies.ceilings import DTYPES

    return DTYPES if text == "all" else (options.dtype_from(text),)
