"""``convprof study``: one idea on one page."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import options
from convprof.cli.driver import EXIT_FAILURE, EXIT_WRONG, NOTHING, Driver, Work, noise_watch
from convprof.cli.outputs import STDOUT, Outputs
from convprof.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.driver import Picture
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.render.progress import Step
    from convprof.studies.experiments.page import Page
    from convprof.studies.experiments.study import Options, Study

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
    chosen = _options(name, flags)
    outputs = Outputs.of(flags)
    _check_plot(flags["plot"], outputs)
    return Driver(outputs).run(_Work(name, chosen, flags))


def _options(name: str, flags: dict[str, Any]) -> Options:
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


class _Work(Work):
    """Measure one study; write and show its page."""

    def __init__(self, name: str, chosen: Options, flags: dict[str, Any]) -> None:
        module = importlib.import_module(f"convprof.studies.experiments.{name}")
        self._watch = noise_watch()
        self._flags = flags
        self._study: Study = getattr(module, name.title())(chosen, self._watch)
        self._study.check()
        self._page: Page | None = None
        self._interrupted = False

    def noise(self) -> NoiseWatch:
        """Return the watch."""
        return self._watch

    def ready(self) -> bool:
        """Whether there is a page."""
        return self._page is not None

    @property
    def page(self) -> Page:
        """The page; only where the work is ready."""
        if self._page is None:
            raise RuntimeError("there is no page")
        return self._page

    def steps(self) -> Iterator[Step]:
        """Measure; yield what progress shows."""
        for event in self._study.steps():
            yield f"measuring {event}" if isinstance(event, str) else event

    def complete(self, *, interrupted: bool) -> None:
        """Make the page."""
        self._interrupted = interrupted
        if self._study.ready and self._study.found.statuses:
            self._page = self._study.page()

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document and the rows of the page."""
        from convprof.render.experiments import page as view

        return {"json": self._to_json, "csv": lambda: view.to_csv(self.page)}

    def _to_json(self) -> str:
        from convprof.studies.document import document

        flags = self._flags
        settings = {"argv": sys.argv[1:], "budget_s": flags["budget"], "seed": flags["seed"]}
        made = document(self.page, settings, self._watch, interrupted=self._interrupted)
        return json.dumps(made, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def pictures(self) -> list[Picture]:
        """Return the chart of the page, if it was asked for."""
        plot = self._flags["plot"]
        return [] if plot is None else [(plot, lambda: _draw(self.page, plot))]

    def show(self, console: Console) -> None:
        """Print the page."""
        from convprof.render.experiments import page as view

        view.page_report(console, self.page)

    def so_far(self) -> str:
        """Return whether there is a page."""
        return "what was measured is above" if self.ready() else NOTHING

    def status(self) -> int:
        """Return 3 for a wrong result, 1 for a failed one or none, else 0."""
        statuses = self._study.found.statuses
        if "wrong" in statuses:
            return EXIT_WRONG
        return EXIT_FAILURE if "failed" in statuses or "ok" not in statuses else 0


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
