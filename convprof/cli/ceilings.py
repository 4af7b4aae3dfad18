"""``convprof ceilings``: peak arithmetic and bandwidths of this machine."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.driver import NOTHING, Driver, Work, noise_watch
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.ceilings import Measured


@click.command("ceilings", cls=Command)
@options.threads_option()
@options.dtype_option("all", "f32|f64|bf16|int8|all", "Element types of the peaks.")
@click.option("--again", is_flag=True, help="Measure again, even what is in the store.")
@options.wait_idle_option
@options.plot_option("Draw peaks and bandwidths as .svg or .png")
@options.output_options(csv="Write one row per peak and bandwidth.")
def command(**flags: Any) -> int:  # fmt: skip
    """Show what this machine can do: peak FLOP/s and the bandwidth of every memory level.

    Peaks by instruction set, vector width, element type and number of threads; load, store, copy
    and triad bandwidth of each cache and of memory. On several threads also the latency between
    cores and the bandwidth of each NUMA node. Measured once, in some ten seconds, then stored
    for this machine (in CONVPROF_CACHE_DIR or the user's cache folder).
    """
    from convprof.studies import ceilings

    dtypes = _dtypes(flags["dtype"])
    threads = from_flags.threads_from(flags["threads"])
    outputs = Outputs.of(flags)
    measured = ceilings.Measured(threads, again=flags["again"])
    return Driver(outputs).run(_Work(measured, dtypes, outputs))


class _Work(Work):
    """Measure the ceilings that are not in the store; show all ceilings in the store."""

    def __init__(self, measured: Measured, dtypes: tuple[str, ...], outputs: Outputs) -> None:
        self._measured, self._dtypes, self._outputs = measured, dtypes, outputs
        self.measures = measured.lacking
        self._watch = noise_watch()

    def noise(self) -> NoiseWatch | None:
        """Return the watch for noise, if anything was measured now."""
        return self._watch if self._measured.measured_now else None

    def steps(self) -> Iterator[str]:
        """Measure; yield a text before each measurement."""
        return _steps(self._measured)

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, its rows and its tables."""
        from convprof.render import ceilings as view
        from convprof.studies import ceilings

        document = ceilings.document(self._measured.listed(), self._dtypes)
        return {
            "json": lambda: json.dumps(document, indent=2, allow_nan=False) + "\n",
            "csv": lambda: view.to_csv(document),
            "markdown": lambda: view.to_markdown(
                self._measured.listed(),
                self._dtypes,
                now=time.time(),
                machine=document["machine"]["key"],
                unkept_in=self._measured.unkept_in,
            ),
        }

    def pictures(self) -> list[Picture]:
        """Return the picture of the peaks and bandwidths."""
        from convprof.render.ceilings_chart import ceilings_chart

        return self._outputs.pictures(
            lambda dated: ceilings_chart(self._measured.listed(), self._dtypes, dated=dated)
        )

    def show(self, console: Console) -> None:
        """Print peaks and bandwidths."""
        from convprof.machine import facts
        from convprof.render import ceilings as view

        view.ceilings_report(
            console,
            self._measured.listed(),
            self._dtypes,
            now=time.time(),
            machine=facts().identity_key(),
            unkept_in=self._measured.unkept_in,
        )

    def answer(self) -> Answer | None:
        """Return the peak, the bandwidth of memory, and their balance."""
        from convprof.studies.machine_answer import ceilings_answer

        slowed = self._measured.measured_now and self._watch.is_slowed
        return ceilings_answer(self._measured.listed(), self._dtypes[0], slowed=slowed)

    def so_far(self) -> str:
        """Return whether anything was measured now."""
        return super().so_far() if self._measured.measured_now else NOTHING


def measure(measured: Measured, driver: Driver) -> None:
    """Measure the missing ceilings, for a command that compares its results with ceilings."""
    if measured.lacking:
        driver.before_measuring()
    watch = noise_watch()
    driver.follow(_steps(measured))
    if measured.measured_now:
        driver.noise(watch)


def _steps(measured: Measured) -> Iterator[str]:
    return (f"measuring this machine: {step}" for step in measured.steps())


def _dtypes(text: str) -> tuple[str, ...]:
    from convprof.machine.peaks import listed_types

    every = listed_types()
    return every if text == "all" else (from_flags.dtype_from(text, every),)
