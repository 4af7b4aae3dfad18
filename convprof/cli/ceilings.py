"""``convprof ceilings``: peak arithmetic and bandwidths of this machine."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options, signals
from convprof.cli.driver import Driver
from convprof.cli.outputs import Outputs

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
def command(**flags: Any) -> int:  # fmt: skip
    """Show what this machine can do: peak FLOP/s and the bandwidth of every memory level.

    Peaks by instruction set, vector width, element type and number of threads; load, store, copy
    and triad bandwidth of each cache and of memory. Measured once, in some ten seconds, then kept
    for this machine (in CONVPROF_CACHE_DIR or the user's cache folder).
    """
    dtypes = _dtypes(flags["dtype"])
    threads = options.threads_from(flags["threads"])
    driver = Driver(Outputs.of(flags))
    from convprof.machine.noise import NoiseWatch
    from convprof.studies import ceilings

    found = ceilings.Measured(threads, again=flags["again"])
    watch = NoiseWatch(_cores())
    interrupted = driver.interrupts(lambda: _measure(found, driver))
    with signals.held():
        _write(found, dtypes, driver)
    signals.reopen()
    driver.show(lambda: _show(found, dtypes, driver))
    if found.fresh:
        driver.noise(watch)
    if interrupted:
        text = (
            "what was measured until then is above" if found.fresh else "nothing was measured yet"
        )
        return driver.interrupted(text)
    return driver.code(0)


def measure(found: Measured, driver: Driver) -> None:
    """Measure what is not kept, with progress and what disturbed it on stderr."""
    from convprof.machine.noise import NoiseWatch

    watch = NoiseWatch(_cores())
    _measure(found, driver)
    if found.fresh:
        driver.noise(watch)


def _measure(found: Measured, driver: Driver) -> None:
    from convprof.render.progress import Progress

    with Progress(driver.stderr, quiet=driver.outputs.quiet) as progress:
        for step in found.steps():
            progress.say(f"measuring this machine: {step}")
            signals.check()


def _cores() -> int:
    from convprof.machine import facts

    return facts().topology.logical_cpus or 1


def _write(found: Measured, dtypes: tuple[str, ...], driver: Driver) -> None:
    from convprof.render import ceilings as view
    from convprof.studies import ceilings

    document = ceilings.document(found.listed(), dtypes)
    key = document["machine"]["key"]
    driver.files(
        {
            "json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n",
            "csv": lambda: view.to_csv(document),
            "markdown": lambda: view.to_markdown(
                found.listed(), dtypes, now=time.time(), machine=key
            ),
        }
    )


def _show(found: Measured, dtypes: tuple[str, ...], driver: Driver) -> None:
    from convprof.machine import facts
    from convprof.render import ceilings as view

    view.ceilings_report(
        driver.stdout,
        found.listed(),
        dtypes,
        now=time.time(),
        machine=facts().identity_key(),
    )


def _dtypes(text: str) -> tuple[str, ...]:
    from convprof.dtypes import DTYPES

    return tuple(DTYPES) if text == "all" else (options.dtype_from(text),)
