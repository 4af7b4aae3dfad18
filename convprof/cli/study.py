"""``convprof study``: one idea on one page."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options, signals
from convprof.cli.driver import EXIT_FAILURE, EXIT_WRONG, Driver
from convprof.cli.outputs import STDOUT, Outputs
from convprof.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from convprof.machine.noise import NoiseWatch
    from convprof.studies.experiments.page import Page
    from convprof.studies.experiments.study import Study

LEAST_SIZE, MOST_SIZE = 2, 4096
MOST_SIZES = 32
LEAST_TILE_SIZE = 64
BUDGETS = {"tile": 0.03}
"""Where many variants take part."""


class _Studies(click.Group):
    """A group that knows what comes near to a name."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the study of that name; UnknownNameError if there is none."""
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise UnknownNameError.of("study", cmd_name, self.commands)
        return found


@click.group("study", cls=_Studies, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Put one idea to the test: what theory expects, what is measured, the difference.

    Without a study, list the studies.
    """
    if ctx.invoked_subcommand is None:
        from convprof.render import console
        from convprof.render.experiments.page import studies_report
        from convprof.studies.experiments import STUDIES

        studies_report(console.stdout(), STUDIES)


_dtype = click.option("--dtype", default="f32", show_default=True, metavar="f32|f64", help="Element type.")  # fmt: skip  # noqa: E501
_isa = click.option("--isa", default="native", show_default=True, metavar="sse|avx2|avx512|neon|native", help="Instruction set of the kernels.")  # fmt: skip  # noqa: E501


def _threads(default: str) -> Callable[..., Any]:
    return click.option("--threads", "-t", default=default, show_default=True, metavar="N|all", help="Threads, at most.")  # fmt: skip  # noqa: E501


def _size(text: str) -> Callable[..., Any]:
    return click.option("--size", metavar="N[,N]", help=text)


def _common(name: str) -> Callable[..., Any]:
    """Return the options that every study has."""

    def apply(made: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            (
                click.option("--budget", type=click.FloatRange(0.001, options.LARGEST_BUDGET_S), default=BUDGETS.get(name, 0.07), show_default=True, metavar="SECONDS", help="Measuring time per variant."),  # noqa: E501
                click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seeds the operands and the order of rounds."),  # noqa: E501
                click.option("--json", "json_path", metavar="FILE|-", help="Write as JSON."),
                click.option("--csv", "csv_path", metavar="FILE|-", help="Write as CSV."),
                click.option("--plot", metavar="FILE", help="Draw an .svg or .png; pip install 'convprof[plot]'."),  # noqa: E501
                options.color_option,
                click.option("--quiet", "-q", is_flag=True, help="No progress and no remarks on stderr."),  # noqa: E501
            )
        ):  # fmt: skip
            made = option(made)
        return made

    return apply


@command.command("unroll")
@_dtype
@_isa
@_common("unroll")
def unroll(**flags: Any) -> int:
    """Find how many independent sums and steps per turn it takes."""
    return _run("unroll", flags)


@command.command("simd")
@_dtype
@_common("simd")
def simd(**flags: Any) -> int:
    """Run one kernel in scalars and in vectors of every width."""
    return _run("simd", flags)


@command.command("fma")
@_dtype
@_common("fma")
def fma(**flags: Any) -> int:
    """Run multiplications and additions apart, and fused."""
    return _run("fma", flags)


@command.command("tile")
@_size("m = n = k of the product; default 1024.")
@_dtype
@_isa
@_threads("1")
@_common("tile")
def tile(**flags: Any) -> int:
    """Map the rate over the sizes of a cache tile."""
    return _run("tile", flags)


@command.command("threads")
@_size("m = n = k of the products; default 8 to 512.")
@_dtype
@_isa
@_threads("all")
@_common("threads")
def threads(**flags: Any) -> int:
    """Find what a launch costs and which product pays for it."""
    return _run("threads", flags)


@command.command("layout")
@_dtype
@_common("layout")
def layout(**flags: Any) -> int:
    """Compare NCHW with NHWC, and strides with each other."""
    return _run("layout", flags)


def _run(name: str, flags: dict[str, Any]) -> int:
    from convprof.machine import facts
    from convprof.machine.noise import NoiseWatch

    asked = _options(name, flags)
    module = importlib.import_module(f"convprof.studies.experiments.{name}")
    driver = Driver(Outputs.of(flags))
    _check_plot(flags["plot"], driver.outputs)
    watch = NoiseWatch(facts().topology.logical_cpus or 1)
    study: Study = getattr(module, name.title())(asked, watch)
    study.check()
    interrupted = driver.interrupts(lambda: _measure(study, driver))
    with signals.held():
        page = study.page() if study.ready and study.found.statuses else None
        if page is not None:
            _write(page, flags, driver, watch, interrupted=interrupted)
    signals.reopen()
    if page is not None:
        driver.show(lambda: _show(page, driver))
    driver.noise(watch)
    if interrupted:
        found = "nothing was measured yet" if page is None else "what was measured is above"
        return driver.interrupted(found)
    return driver.code(_exit_code(study.found.statuses))


def _options(name: str, flags: dict[str, Any]) -> Any:
    from convprof.studies.experiments.study import Options

    threads = options.threads_from(flags.get("threads") or "1")
    if len(threads) > 1:
        raise InputError(f"--threads {flags['threads']}: name one number, or 'all'")
    return Options(
        dtype=options.dtype_from(flags["dtype"]),
        isa=options.isa_from(flags.get("isa") or "native"),
        threads=threads[0],
        sizes=_sizes(name, flags.get("size")),
        budget_s=flags["budget"],
        seed=flags["seed"],
    )


def _sizes(name: str, text: str | None) -> tuple[int, ...]:
    """Return the sizes in ascending order."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise InputError(f"--size {text}: use numbers such as 64 or 64,256")
    least = LEAST_TILE_SIZE if name == "tile" else LEAST_SIZE
    found = sorted({int(word[:9]) for word in words})
    if not least <= found[0] <= found[-1] <= MOST_SIZE:
        raise InputError(f"--size {text}: use sizes from {least} to {MOST_SIZE}")
    most = 1 if name == "tile" else MOST_SIZES
    if len(found) > most:
        raise InputError(f"--size: {len(found)} sizes are given; {name} takes at most {most}")
    return tuple(found)


def _check_plot(plot: str | None, outputs: Outputs) -> None:
    if plot is None:
        return
    from convprof.render.charts import picture

    picture.require(plot)
    for flag, path in outputs.paths.items():
        if path != STDOUT and os.path.realpath(plot) == os.path.realpath(path):
            raise InputError(f"--plot {plot}: --{flag} writes there; name another file")


def _measure(study: Study, driver: Driver) -> None:
    from convprof.render.progress import Progress

    with Progress(driver.stderr, quiet=driver.outputs.quiet) as progress:
        for event in study.steps():
            if isinstance(event, str):
                progress.say(f"measuring {event}")
            else:
                progress.show(event)
            signals.check()


def _write(
    page: Page, flags: dict[str, Any], driver: Driver, watch: NoiseWatch, *, interrupted: bool
) -> None:
    from convprof.render.experiments import page as view
    from convprof.studies.document import document

    settings = {"argv": sys.argv[1:], "budget_s": flags["budget"], "seed": flags["seed"]}

    def to_json() -> str:
        made = document(page, settings, watch, interrupted=interrupted)
        return json.dumps(made, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    plot = flags["plot"]
    pictures = [] if plot is None else [(plot, lambda: _draw(page, plot))]
    driver.files({"json": to_json, "csv": lambda: view.to_csv(page)}, pictures)


def _show(page: Page, driver: Driver) -> None:
    from convprof.render.experiments import page as view

    view.page_report(driver.stdout, page)


def _draw(page: Page, path: str) -> None:
    """Draw the page's chart; a page has one section with a chart."""
    from convprof.machine import facts
    from convprof.render.charts import picture
    from convprof.render.experiments.chart import chart

    brand = facts().cpu.brand or "unknown CPU"
    caption = f"{brand} · median and 95 % interval · {time.strftime('%Y-%m-%d')}"
    for section in page.sections:
        made = chart(page, section, caption)
        if made is not None:
            picture.write(made, path)


def _exit_code(statuses: Collection[str]) -> int:
    if "wrong" in statuses:
        return EXIT_WRONG
    return EXIT_FAILURE if "failed" in statuses or "ok" not in statuses else 0
