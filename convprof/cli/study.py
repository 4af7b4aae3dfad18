"""``convprof study``: one idea on one page."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from convprof.cli import completion, from_flags, options, problem_flags
from convprof.cli.driver import EXIT_WRONG, NOTHING, Driver, Work, noise_watch
from convprof.cli.help_page import Group
from convprof.cli.number_types import Whole
from convprof.cli.outputs import Outputs
from convprof.dtypes import COMMON
from convprof.errors import EXIT_FAILURE, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.outputs import Picture
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.render.progress import Step
    from convprof.studies.answer import Answer
    from convprof.studies.study.base import Options, Study
    from convprof.studies.study.cores import Target
    from convprof.studies.study.page import Page

LEAST_SIZE, MOST_SIZE = 2, 4096
MOST_SIZES = 32
LEAST_TILE_SIZE = 64
USUAL_CORES = 32
"""Of a prediction, if the command line names no number."""


@click.group("study", cls=Group, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Put one idea to the test: what theory expects, what is measured, the difference.

    Without a study, list the studies.
    """
    if ctx.invoked_subcommand is None:
        from convprof.render import console
        from convprof.render.study.page import studies_report
        from convprof.studies.study import STUDIES

        studies_report(console.stdout(), STUDIES)


_isa = options.isa_option("Instruction set of the kernels.")


def _threads(default: str) -> options.Option:
    return options.threads_option(default, "N|all", "Threads, at most.")


def _size(text: str) -> options.Option:
    return click.option("--size", metavar="N[,N]", help=text)


def _common(budget_s: float = 0.07) -> options.Option:
    return options.stack(
        options.budget_option("variant", budget_s),
        options.seed_option(),
        options.json_option("Write as JSON."),
        options.csv_option("Write as CSV."),
        options.markdown_option("Write the page as Markdown."),
        options.report_option(),
        options.plot_option(),
        options.color_option,
        options.wait_idle_option,
        options.quiet_option(),
    )


@command.command("unroll")
@options.dtype_option()
@_isa
@_common()
def unroll(**flags: Any) -> int:
    """Find how many independent sums and steps per iteration it takes."""
    return _run("unroll", flags)


@command.command("simd")
@options.dtype_option()
@_common()
def simd(**flags: Any) -> int:
    """Run one kernel in scalars and in vectors of every width."""
    return _run("simd", flags)


@command.command("fma")
@options.dtype_option()
@_common()
def fma(**flags: Any) -> int:
    """Run multiplications and additions apart, and fused."""
    return _run("fma", flags)


@command.command("tile")
@_size("m = n = k of the product; default 1024.")
@options.dtype_option()
@_isa
@_threads("1")
@_common(budget_s=0.03)  # many variants take part
def tile(**flags: Any) -> int:
    """Map the rate over the sizes of a cache tile."""
    return _run("tile", flags)


@command.command("threads")
@click.argument("problem", required=False, shell_complete=completion.problems)
@_size("m = n = k of the products; default 8 to 512.")
@options.dtype_option()
@_isa
@_threads("all")
@click.option(
    "--cores",
    type=Whole(),
    metavar="N",
    help="Predict PROBLEM or a network on N cores, more than this machine may have.",
)
@options.strategy_option("The strategy whose work is divided, with --cores; default auto.")
@options.layout_option("nhwc", "nchw|nhwc", "Layout of a convolution's activations, with --cores.")
@_common()
def threads(**flags: Any) -> int:  # fmt: skip
    """Find what a launch costs and which product pays for it.

    With --cores, predict the speed-up of PROBLEM on N threads: each share runs alone, one after
    another, on one core. A network counts each layer as often as it occurs.
    """
    if flags["cores"] is None and flags["problem"] is None:
        return _run("threads", flags)
    return _predict(flags)


@command.command("layout")
@options.dtype_option()
@_common()
def layout(**flags: Any) -> int:
    """Compare NCHW with NHWC, and strides with each other."""
    return _run("layout", flags)


def _run(name: str, flags: dict[str, Any]) -> int:
    from convprof.machine.model import MachineModel

    chosen, outputs = _options(name, flags), Outputs.of(flags)
    module = importlib.import_module(f"convprof.studies.study.{name}")
    watch = noise_watch()
    study = getattr(module, name.title())(chosen, MachineModel.here(), watch)
    return Driver(outputs).run(_Work(study, watch, flags, outputs))


def _predict(flags: dict[str, Any]) -> int:
    from convprof.machine.model import MachineModel
    from convprof.studies.study.cores import Cores

    for name in ("size", "threads"):
        source = click.get_current_context().get_parameter_source(name)
        if source is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name}: this is for the study on this machine, without --cores")
    chosen, outputs = _options("threads", flags), Outputs.of(flags)
    watch = noise_watch()
    study = Cores(chosen, MachineModel.here(), watch, _target(flags))
    return Driver(outputs).run(_Work(study, watch, flags, outputs))


def _target(flags: dict[str, Any]) -> Target:
    from convprof.studies.selection import select
    from convprof.studies.study.cores import Target

    text = flags["problem"] or problem_flags.DEFAULT_PROBLEM
    selection = select([text])
    names = from_flags.names_from(flags, "strategy") or ("auto",)
    layouts = from_flags.layouts_from(flags["layout"])
    if len(names) > 1 or len(layouts) > 1:
        raise InputError("--cores predicts one strategy in one layout: name one of each")
    cores = USUAL_CORES if flags["cores"] is None else flags["cores"]
    times = {each.problem.descriptor: count for each, count in selection.counts.items()}
    return Target(selection.problems, times, cores, names[0], layouts[0], text)


def _options(name: str, flags: dict[str, Any]) -> Options:
    from convprof.studies.study.base import Options

    threads = from_flags.threads_from(flags.get("threads") or "1")
    if len(threads) > 1:
        raise InputError(f"--threads {flags['threads']}: name one number, or 'all'")
    return Options(
        dtype=from_flags.dtype_from(flags["dtype"], COMMON),
        isa=from_flags.isa_from(flags.get("isa") or "native"),
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
    sizes = sorted({int(word[:9]) for word in words})
    if not least <= sizes[0] <= sizes[-1] <= MOST_SIZE:
        raise InputError(f"--size {text}: use sizes from {least} to {MOST_SIZE}")
    most = 1 if name == "tile" else MOST_SIZES
    if len(sizes) > most:
        raise InputError(f"--size: {len(sizes)} sizes are given; {name} takes at most {most}")
    return tuple(sizes)


class _Work(Work):
    """Measure one study; write and show its page."""

    def __init__(
        self, study: Study, watch: NoiseWatch, flags: dict[str, Any], outputs: Outputs
    ) -> None:
        self._study, self._watch = study, watch
        self._flags, self._outputs = flags, outputs
        self._study.check()
        self._page: Page | None = None
        self._interrupted = False

    def noise(self) -> NoiseWatch:
        """Return the watch for noise."""
        return self._watch

    def ready(self) -> bool:
        """Whether there is a page."""
        return self._page is not None

    @property
    def page(self) -> Page:
        """The page, if the work is ready."""
        if self._page is None:
            raise RuntimeError("there is no page")
        return self._page

    def steps(self) -> Iterator[Step]:
        """Measure; yield the texts and events for progress."""
        for event in self._study.steps():
            yield f"measuring {event}" if isinstance(event, str) else event

    def complete(self, *, interrupted: bool) -> None:
        """Make the page."""
        self._interrupted = interrupted
        if self._study.ready and self._study.results.statuses:
            self._page = self._study.page()

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, the rows and the page."""
        from convprof.render.study import page as view

        return {
            "json": self._to_json,
            "csv": lambda: view.to_csv(self.page),
            "markdown": lambda: view.to_markdown(self.page, self.answer()),
        }

    def _to_json(self) -> str:
        from convprof.studies.document import document

        flags = self._flags
        settings = {"argv": sys.argv[1:], "budget_s": flags["budget"], "seed": flags["seed"]}
        content = document(self.page, settings, self._watch, interrupted=self._interrupted)
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def pictures(self) -> list[Picture]:
        """Return the chart of the page, if requested."""
        from convprof.render.study.chart import page_chart

        return self._outputs.pictures(lambda dated: page_chart(self.page, dated=dated))

    def show(self, console: Console) -> None:
        """Print the page."""
        from convprof.render.study import page as view

        view.page_report(console, self.page)

    def answer(self) -> Answer | None:
        """Return the advice of the page; nothing follows from times in doubt."""
        from convprof.studies.study.advice import answer

        return answer(self.page)

    def so_far(self) -> str:
        """Return whether there is a page."""
        return "what was measured is above" if self.ready() else NOTHING

    def status(self) -> int:
        """Return 3 for a wrong result, 1 for a failed one or none, else 0."""
        statuses = self._study.results.statuses
        if "wrong" in statuses:
            return EXIT_WRONG
        return EXIT_FAILURE if "failed" in statuses or "ok" not in statuses else 0
