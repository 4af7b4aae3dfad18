"""``convprof repro``: a measured call of a library as a program or a model of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.driver import Driver, Work, exit_code, noise_watch
from convprof.cli.help_page import Command
from convprof.cli.outputs import STDOUT, Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text
    from convprof.render.progress import Step
    from convprof.results import Document
    from convprof.studies.answer import Answer
    from convprof.studies.repro.study import Repro

_FORMATS = ("python", "benchdnn", "onnx")
_FIXED = {"isa": "native", "tune": "off", "retune": False, "cache": "hot", "rounds": None}
"""Settings of a measurement that a library's call does not have."""


@click.command("repro", cls=Command)
@options.problem_options
@options.layout_option("nchw", "nchw|nhwc", "Layout of a convolution's activations.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    default=_FORMATS[0],
    show_default=True,
    help="python: a program. benchdnn: a shape file for oneDNN's benchmark. onnx: a model.",
)
@click.option(
    "--output",
    "-o",
    metavar="FILE|-",
    default=STDOUT,
    show_default=True,
    help="The file of the reproducer; a model cannot go to stdout.",
)
@options.strategy_option("The library: torch, onnxruntime, openvino or blas.", ("torch",))
@options.threads_option("1", "N", "Number of threads.")
@options.dtype_option(default=None, help_text=options.OWN_TYPE_HELP)
@options.budget_option("call")
@options.seed_option("Seeds the operands.")
@options.wait_idle_option
@options.output_options()
def command(**flags: Any) -> int:
    """Write a standalone reproducer of a library's time: what a bug report needs.

    The library is measured once. The reproducer needs no convprof: it makes the same call on the
    same data, and has the measured figures and the machine as a comment. A program in Python is
    known for torch, onnxruntime and blas; a shape file for torch and openvino, which use oneDNN; a
    model for onnxruntime and openvino.

    \b
    Examples:
      convprof repro mb1ic64ih56oc64kh3ph1 -s torch --layout nhwc -t 2 > repro.py
      convprof repro 512x512:512x512 -s blas -o repro.py
      convprof repro resnet50:layer1.0.conv2 -s onnxruntime --format onnx -o repro.onnx
      convprof repro resnet50:layer1.0.conv2 -s torch --format benchdnn -o shapes
    """  # noqa: D301  # click reads the escape
    from convprof.render.files import check_writable
    from convprof.studies.repro.study import Repro

    path, form = flags["output"], flags["format_"]
    if form == "onnx" and path == STDOUT:
        raise InputError("a model is not text: name a file", field="output", value=path)
    check_writable(path, "--output")
    # Few strategies of a problem can be reproduced: the study checks the name and lists them.
    asked = from_flags.asked({**_FIXED, **flags, "strategy": ()}, every=True)
    names = from_flags.names_from(flags, "strategy")
    asked = replace(asked, choice=replace(asked.choice, strategies=names))
    _check_single(asked)
    outputs = Outputs.of(flags)
    if path == STDOUT and not outputs.tables:
        raise InputError("--output - cannot share stdout with a document: name a file")
    watch = noise_watch()
    (task,) = asked.tasks
    study = Repro(task.problem, asked.choice, asked.settings, asked.machine, form=form, watch=watch)
    driver = Driver(outputs, report_on_stderr=path == STDOUT)
    return driver.run(_Work(study, asked, path, watch))


def _check_single(asked: Asked) -> None:
    """Raise InputError unless there is one of everything."""
    choice = asked.choice
    if len(asked.tasks) != 1:
        raise InputError(f"a reproducer has one problem, not {len(asked.tasks)}")
    several = {"strategy": choice.strategies, "layout": choice.layouts, "threads": choice.threads}
    for field, values in several.items():
        if len(values) != 1:
            raise InputError("give one value", field=field, value=",".join(map(str, values)))


class _Work(Work):
    """Measure the call, write the reproducer."""

    def __init__(self, study: Repro, asked: Asked, path: str, watch: NoiseWatch) -> None:
        self._study, self._asked, self._path, self._watch = study, asked, path, watch
        self._document: Document | None = None

    def noise(self) -> NoiseWatch:
        """Return the watch for noise."""
        return self._watch

    def ready(self) -> bool:
        """Whether the call was measured."""
        return bool(self._study.measurements())

    def steps(self) -> Iterator[Step]:
        """Measure the peak and the call."""
        self._document = yield from self._asked.begin_document()
        yield from self._study.events()

    def complete(self, *, interrupted: bool) -> None:
        """Put the measurement into the document."""
        from convprof.studies import document

        if self._document is not None:
            self._document.measurements += self._study.measurements()
            self._document.interrupted = interrupted
            document.observe(self._document, self._watch, self._asked.machine)

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the result document and its table."""
        from convprof.render import export

        document = self._document
        if document is None:
            return {}
        return {
            "json": lambda: export.to_json(document),
            "csv": lambda: export.to_csv(document),
            "markdown": lambda: export.to_markdown(document),
        }

    def written(self, driver: Driver) -> None:
        """Write the reproducer, if the call was measured."""
        if self._study.measured is not None:
            driver.write("output", self._path, self._study.text)

    def show(self, console: Console) -> None:
        """Print the measurement."""
        from convprof.render.run import run_report

        run_report(console, self._study.measurements())

    def answer(self) -> Answer | None:
        """Return how to run the reproducer."""
        return self._study.answer("repro.py" if self._path == STDOUT else self._path)

    def status(self) -> int:
        """Return the exit code of the measurement."""
        return exit_code({m.status for m in self._study.measurements()})
