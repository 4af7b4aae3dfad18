"""``convprof diagnose``: where the time of a logged program went, and how much of it was lost."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options
from convprof.cli.ceilings import measure as measure_ceilings
from convprof.cli.driver import NOTHING, Driver, Work, noise_watch
from convprof.cli.help_page import Command
from convprof.cli.outputs import Outputs
from convprof.cli.seconds_flags import LIBRARIES
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from convprof.logs.model_nodes import ModelNodes
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.settings import Settings
    from convprof.render.files import Text
    from convprof.studies.answer import Answer
    from convprof.studies.diagnose.study import Diagnosis

TOP = 20


diagnosis_options = options.stack(
    options.measure_option(),
    options.isolate_option(LIBRARIES),
    options.budget_option(),
    options.threads_option(
        None, "N|all", "Threads of the program; by default as the log says, else all cores."
    ),
    options.wait_idle_option,
    options.trace_option(),
    options.output_options(csv="Write one row per operation."),
)
"""Options of every command that diagnoses."""


@click.command("diagnose", cls=Command)
@click.argument("log", nargs=-1, required=True, metavar="LOG...")
@options.top_option("Rows to print, and problems to measure with --measure; files have all.", TOP)
@click.option(
    "--model",
    metavar="FILE.onnx",
    help="The model that ran: strides, pads and groups, which profiles of ONNX Runtime lack, and "
    "shapes, which OpenVINO's counters lack.",
)
@diagnosis_options
def command(**flags: Any) -> int:
    """Show which operations of a program took the time, and how much of it was lost.

    LOG is what a program printed or wrote, compressed or not; - is stdin. Its form is recognised:

    \b
      ONEDNN_VERBOSE=profile python model.py > run.log   (oneDNN, as PyTorch uses it)
      MKL_VERBOSE=1 python model.py > run.log            (matrix products of MKL)
      torch.profiler: export_chrome_trace("trace.json"), with record_shapes=True
      ONNX Runtime: SessionOptions.enable_profiling   (and --model)
      OpenVINO: benchmark_app -pc -report_type detailed_counters   (and --model)
      convprof run ... --json result.json   (or a saved run: NAME, NAME~1, last)

    A row is a problem, type, layout and implementation. Its time is compared with what this
    machine's peak and bandwidths allow; they are measured once and stored. Rows are sorted by the
    time that is lost. Conversions, element-wise and unknown operations have rows too, so that the
    rows add up to the time of the log.

    With --measure, convprof's choice and every installed library compute the problems of the first
    rows, all in the same rounds: what a call could take, by which way, and what the program saves.

    \b
    Examples:
      convprof diagnose run.log
      ONEDNN_VERBOSE=profile python model.py | convprof diagnose -
      convprof diagnose trace.json.gz --top 5 --threads 4
      convprof diagnose run.log --measure --top 5
      convprof diagnose profile.json --model model.onnx
      convprof diagnose run.log --json diagnosis.json --csv rows.csv
      convprof diagnose trace.json.gz --trace timeline.json
    """  # noqa: D301  # click reads the escape
    from convprof.machine.model import MachineModel
    from convprof.studies.diagnose.study import Diagnosis

    outputs = Outputs.of(flags)
    threads = from_flags.one_number_of_threads(flags["threads"])
    nodes = None if flags["model"] is None else _nodes(flags["model"])
    study = Diagnosis(
        flags["log"],
        MachineModel.here(),
        threads,
        model=nodes,
        timeline=flags["trace_path"] is not None,
    )
    settings = from_flags.log_settings(flags)
    return Driver(outputs).run(DiagnosisWork(study, flags["top"], settings, nodes))


def _nodes(path: str) -> ModelNodes:
    """Return the nodes of a model; InputError if it has neither convolutions nor products."""
    from convprof.networks.onnx.model_nodes import model_nodes

    nodes = model_nodes(path)
    if not nodes:
        raise InputError("the model has no convolution and no product", field="model", value=path)
    return nodes


class DiagnosisWork(Work):
    """Read the logs, get the ceilings, show the rows."""

    measures = False
    """Reading needs no idle machine; the ceilings do, if they are not stored."""

    def __init__(
        self,
        study: Diagnosis,
        top: int,
        settings: Settings | None,
        model: ModelNodes | None = None,
    ) -> None:
        """Without ``settings`` only ceilings are measured."""
        self._study, self._top, self._settings = study, top, settings
        self._model = model
        self._watch = noise_watch() if settings is not None else None

    def noise(self) -> NoiseWatch | None:
        """Return the watch for noise, if faster ways were measured."""
        return self._watch

    def ready(self) -> bool:
        """Whether a call was read."""
        return self._study.log.calls > 0

    def measure(self, driver: Driver) -> None:
        """Read; then measure the ceilings that are not stored."""
        from convprof.studies.ceilings import Measured

        driver.follow(self._study.reading())
        if not self._study.compares:
            self._measure_faster(driver)
            return
        ceilings = Measured([self._study.threads])
        measure_ceilings(ceilings, driver)
        self._study.machine.adopt(ceilings.listed(), ceilings.fresh)
        driver.before_measuring()
        driver.follow(self._study.ceilings())
        self._measure_faster(driver)

    def _measure_faster(self, driver: Driver) -> None:
        """Measure faster ways, if they were asked for."""
        if self._settings is not None and self._watch is not None:
            driver.follow(self._study.measuring(self._top, self._settings, self._watch))

    def remarks(self) -> list[str]:
        """Return a remark if the model is another one than the one that ran."""
        if self._model is None or self._model.found:
            return []
        return ["--model: no operation of the log has a name of this model"]

    def complete(self, *, interrupted: bool) -> None:
        """Note whether all was read and measured."""
        self._study.interrupted = interrupted

    def forms(self) -> dict[str, Callable[[], Text]]:
        """Return the document, its rows and its table."""
        from convprof.render import diagnose as view
        from convprof.render import timeline

        study = self._study
        settings = {"argv": sys.argv[1:]}
        return {
            "json": lambda: json.dumps(study.to_json(settings), indent=2, allow_nan=False) + "\n",
            "csv": lambda: view.to_csv(study.result()),
            "markdown": lambda: view.to_markdown(study.result()),
            "trace": lambda: timeline.to_json(study.tracks()),
        }

    def show(self, console: Console) -> None:
        """Print the table and the findings."""
        from convprof.render.diagnose import diagnosis_report

        diagnosis_report(console, self._study.result(), top=self._top)

    def answer(self) -> Answer | None:
        """Return how much is lost, and where most."""
        return self._study.result().answer()

    def so_far(self) -> str:
        """Return what an interrupted command leaves."""
        return "what was read until then is above" if self.ready() else NOTHING
