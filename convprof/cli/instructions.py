"""``convprof instructions``: latency and throughput of single instructions, in core cycles."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options, signals
from convprof.cli.driver import Driver
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
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
    driver = Driver(Outputs.of(flags))
    from convprof.machine import facts
    from convprof.machine.noise import NoiseWatch
    from convprof.studies.instructions import Instructions

    watch = NoiseWatch(facts().topology.logical_cpus or 1)
    study = Instructions(flags["match"])
    study.interrupted = driver.interrupts(lambda: _measure(study, driver))
    with signals.held():
        rows = study.rows()
        for row in rows:
            if row.core_hz:
                watch.see_clock(row.core_hz)
        _write(study, driver, study.to_json(rows, watch, {"argv": sys.argv[1:]}))
    signals.reopen()
    driver.show(lambda: _show(study, driver))
    driver.noise(watch)
    if study.interrupted:
        found = "what was measured until then is above" if rows else "nothing was measured yet"
        return driver.interrupted(found)
    return driver.code(0)


def _measure(study: Instructions, driver: Driver) -> None:
    from convprof.render.progress import Progress

    with Progress(driver.stderr, quiet=driver.outputs.quiet) as progress:
        for step in study.passes():
            progress.say(step)
            signals.check()


def _write(study: Instructions, driver: Driver, document: dict[str, Any]) -> None:
    from convprof.render import instructions as view

    found = view.View.of(study)
    driver.files(
        {
            "json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n",
            "csv": lambda: view.to_csv(found),
            "markdown": lambda: view.to_markdown(found),
        }
    )


def _show(study: Instructions, driver: Driver) -> None:
    from convprof.render import instructions as view

    view.instructions_report(driver.stdout, view.View.of(study))
