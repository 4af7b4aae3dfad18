"""``convprof trace``: run a program with the logs of its libraries, and diagnose them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convprof.cli import from_flags, options, signals, start_environment
from convprof.cli.diagnose import TOP, DiagnosisWork, diagnosis_options
from convprof.cli.driver import Driver
from convprof.cli.help_page import Command
from convprof.cli.outputs import STDOUT, Outputs
from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.measure.settings import Settings
    from convprof.studies.diagnose.study import Diagnosis
    from convprof.studies.trace.traced_program import TracedProgram

_OTHERS = "other libraries have profilers of their own (see 'convprof diagnose --help')"
_NOTHING = {
    False: (
        "no operation was logged: the program used neither oneDNN nor MKL, or printed nothing. "
        f"With --torch, PyTorch's own operators are recorded; {_OTHERS}"
    ),
    True: (
        "no operator was recorded: no Python process of the program imported torch, or none ended "
        "normally. Without --torch, the logs of oneDNN and MKL are read, which programs in other "
        f"languages use too; {_OTHERS}"
    ),
}
"""By whether --torch was given."""


@click.command(
    "trace",
    cls=Command,
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS] [--]",
)
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
@click.option(
    "--torch",
    is_flag=True,
    help="Record PyTorch's operators with its profiler, in every Python process that imports "
    "torch, instead of the logs of oneDNN and MKL.",
)
@click.option("--keep", metavar="FILE", help="Keep the log, for convprof diagnose.")
@click.option(
    "--overhead",
    is_flag=True,
    help="Run the program once more, before and without logs, to measure what the logs cost. Its "
    "output is dropped, and it reads nothing.",
)
@options.top_option("Rows to print, and problems to measure with --measure; files have all.", TOP)
@diagnosis_options
def command(**flags: Any) -> int:
    """Run a program with its libraries' logs switched on, then show where its time went.

    The program is not changed: stdin, stdout, stderr, signals and the exit code are its own. The
    lines that oneDNN and MKL print to stdout are taken out of it, byte by byte. The report goes to
    stderr when the program has ended; it is the report of convprof diagnose.

    Logs and recordings cost time; --overhead measures how much. Logs are written to the
    temporary folder; --torch keeps the trace in memory until the program ends. The exit code is the
    program's; it is 1 if that is 0 and nothing was logged.

    \b
    Examples:
      convprof trace -- python model.py
      convprof trace --torch --measure --top 5 -- python model.py --batch 8
      convprof trace --torch --trace timeline.json -- python model.py
      convprof trace --keep run.log --overhead -- ./program > output
    """  # noqa: D301  # click reads the escape
    from convprof.machine.model import MachineModel
    from convprof.render.files import check_writable
    from convprof.studies.diagnose.study import Diagnosis
    from convprof.studies.trace.traced_program import TracedProgram

    outputs = Outputs.of(flags)
    for flag, path in outputs.paths.items():
        if path == STDOUT:
            raise InputError(f"--{flag} -: stdout belongs to the program; name a file")
    if flags["keep"] is not None:
        check_writable(flags["keep"], "--keep", stdout=False)
    threads = from_flags.one_number_of_threads(flags["threads"])
    settings = from_flags.log_settings(flags)
    with tempfile.TemporaryDirectory(
        prefix="convprof-trace-", ignore_cleanup_errors=True
    ) as folder:
        program = TracedProgram(
            flags["program"], start_environment.variables(), Path(folder), torch=flags["torch"]
        )
        machine, timeline = MachineModel.here(), flags["trace_path"] is not None

        def study(paths: Sequence[str]) -> Diagnosis:
            return Diagnosis(paths, machine, threads, every_file=False, timeline=timeline)

        work = _Work(program, study, flags, settings)
        return Driver(outputs, report_on_stderr=True).run(work)


class _Work(DiagnosisWork):
    """Run the program, then do the work of ``diagnose``."""

    def __init__(
        self,
        program: TracedProgram,
        study: Callable[[Sequence[str]], Diagnosis],
        flags: dict[str, Any],
        settings: Settings | None,
    ) -> None:
        """``study``: makes the diagnosis of files."""
        super().__init__(study(()), flags["top"], settings)
        self._program, self._study_of = program, study
        self._overhead, self._keep = flags["overhead"], flags["keep"]
        self._torch = flags["torch"]
        self._exit_code = 0

    def measure(self, driver: Driver) -> None:
        """Run the program; then read its logs and measure what they are compared with."""
        with signals.forwarded(self._program.send):
            time = self._program.run(_descriptor(), overhead=self._overhead)
        self._exit_code = time.exit_code
        logs = self._program.logs()
        if self._program.lost is not None:
            driver.failure(f"the log is not complete: {self._program.lost}")
        kept: list[Path] = []
        if self._keep is not None and logs:
            driver.attempt(f"--keep {self._keep}", lambda: kept.extend(self._kept(logs)))
        self._study = self._study_of([str(log) for log in logs])
        self._study.program = time
        try:
            super().measure(driver)
        except InputError:
            if self._study.log.calls:
                raise
            driver.failure(_NOTHING[self._torch])
        # The others are in a folder that is gone when the command ends.
        self._study.paths = tuple(map(str, kept))

    def _kept(self, logs: list[Path]) -> list[Path]:
        from convprof.studies.trace.loggers import keep

        return keep(logs, Path(self._keep))

    def status(self) -> int:
        """Return the exit code of the program."""
        return self._exit_code


def _descriptor() -> int:
    """Return the descriptor of stdout; a closed one was replaced by the null device."""
    try:
        return sys.stdout.fileno()
    except (OSError, AttributeError):
        return 1
