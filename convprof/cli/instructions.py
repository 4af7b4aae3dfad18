"""``convprof instructions``: latency and throughput of single instructions, in core cycles."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import EXIT_INTERRUPTED, options
from convprof.cli.outputs import STDOUT, Outputs

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.instructions import Instructions


@click.command("instructions")
@click.option("--match", metavar="REGEX", help="Keep the instructions whose name matches.")
@options.output_options
def command(**flags: Any) -> int:
    """Measure what single instructions cost on this core, in cycles.

    Latency from chains of dependent instructions, reciprocal throughput from independent ones:
    integers, floats, conversions and loads, scalars and vectors. Beside them stand published
    figures of known cores of this architecture; the last line says which one this machine
    resembles most.
    """
    outputs = Outputs.of(flags)
    from convprof.machine import facts
    from convprof.machine.noise import NoiseWatch
    from convprof.render import console
    from convprof.studies.instructions import Instructions

    watch = NoiseWatch(facts().topology.logical_cpus or 1)
    study = Instructions(flags["match"])
    stderr = console.stderr(outputs.color)
    _measure(study, outputs, stderr)
    rows = study.rows()
    for row in rows:
        if row.core_hz:
            watch.see_clock(row.core_hz)
    _show(study, outputs, study.to_json(rows, watch, {"argv": sys.argv[1:]}))
    if not outputs.quiet:
        for finding in watch.findings():
            _remark(stderr, f"noise: {finding.message}; {finding.hint}")
    if study.interrupted:
        found = "what was measured until then is above" if rows else "nothing was measured yet"
        _remark(stderr, f"interrupted: {found}")
        return EXIT_INTERRUPTED
    return 0


def _measure(study: Instructions, outputs: Outputs, stderr: Console) -> None:
    from convprof.render.progress import Progress

    with Progress(stderr, quiet=outputs.quiet) as progress:
        try:
            for step in study.passes():
                progress.say(step)
        except KeyboardInterrupt:
            study.interrupted = True


def _show(study: Instructions, outputs: Outputs, document: dict[str, Any]) -> None:
    from convprof.render import console
    from convprof.render import instructions as view
    from convprof.render.files import write_atomically

    found = view.View.of(study)
    if outputs.tables:
        view.instructions_report(console.stdout(outputs.color), found)
    forms = {
        "json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n",
        "csv": lambda: view.to_csv(found),
        "markdown": lambda: view.to_markdown(found),
    }
    for flag, path in outputs.paths.items():
        if path == STDOUT:
            click.echo(forms[flag](), nl=False)
        else:
            write_atomically(path, forms[flag]())


def _remark(stderr: Console, text: str) -> None:
    stderr.print(text, style="yellow", soft_wrap=not stderr.is_terminal, markup=False)
