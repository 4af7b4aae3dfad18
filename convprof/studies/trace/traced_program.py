"""A program of the user, and the logs that its libraries write while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.studies.diagnose.program_time import ProgramTime
from convprof.studies.trace.loggers import LineLoggers, LogFile, TorchLogger
from convprof.studies.trace.program import Program, executable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class TracedProgram:
    """Runs a program with loggers; ``logs`` returns their files afterwards."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        torch: bool = False,
    ) -> None:
        """``folder``: for the logs. ``torch``: the profiler of PyTorch instead of lines.

        InputError if there is no such program.
        """
        executable(command)
        self._command, self._environment = command, environment
        self._loggers = TorchLogger(folder) if torch else LineLoggers(folder)
        self._running: Program | None = None
        self.lost: str | None = None
        """Why the log is not complete; None if it is."""

    def send(self, number: int) -> None:
        """Send a signal to the program that runs."""
        if self._running is not None:
            self._running.send(number)

    def run(self, output: int, *, overhead: bool = False) -> ProgramTime:
        """Run to the end, with stdout on a descriptor; for the overhead once before, unseen."""
        without = self._start(self._environment).run(None) if overhead else None
        program = self._start(self._loggers.environment(self._environment))
        if isinstance(self._loggers, LineLoggers):
            with LogFile(self._loggers.lines) as log:
                ended = program.run(output, log.write)
            self.lost = log.lost
        else:
            ended = program.run(output)
        same = without is not None and without.exit_code == ended.exit_code
        return ProgramTime(
            ended.exit_code, ended.seconds, without.seconds if without and same else None
        )

    def logs(self) -> list[Path]:
        """Return the logs; none if nothing was logged."""
        return self._loggers.logs()

    def _start(self, environment: Mapping[str, str]) -> Program:
        self._running = Program(self._command, environment)
        return self._running
