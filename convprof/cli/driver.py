"""The ending that every command has: files first, then what is printed, then remarks.

No part of the ending can cost another one: each failure is one line on stderr, and exit code 1.
"""

from __future__ import annotations

import functools
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.cli import signals
from convprof.cli.flags import message
from convprof.errors import ConvprofError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from convprof.cli.outputs import Outputs
    from convprof.machine.noise import NoiseWatch
    from convprof.render.files import Text

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_WRONG = 3
STDOUT = "-"

Picture = tuple[str, "Callable[[], None]"]
"""A file, and what draws it."""


class Driver:
    """What one command writes, prints and remarks, and whether any of it failed."""

    def __init__(self, outputs: Outputs) -> None:
        from convprof.render import console

        self.outputs = outputs
        self.stdout = console.stdout(outputs.color)
        self.stderr = console.stderr(outputs.color)
        self._failed = False
        self._written: set[str] = set()

    def files(
        self, forms: Mapping[str, Callable[[], Text]], pictures: Iterable[Picture] = ()
    ) -> None:
        """Write every file that was asked for, then the document for stdout, if one was.

        ``forms``: by flag, what makes its text, the same at every call. A signal waits until all
        are written.
        """
        with signals.held():
            to_files = {f: path for f, path in self.outputs.paths.items() if path != STDOUT}
            for flag, path in to_files.items():
                if self.attempt(f"--{flag} {path}", functools.partial(_write, path, forms[flag])):
                    self._written.add(flag)
            self.pictures(pictures)
            for flag in self.outputs.paths.keys() - to_files.keys():
                self.attempt(f"--{flag} -", functools.partial(_print, flag, forms[flag]))

    def pictures(self, pictures: Iterable[Picture]) -> None:
        """Draw every picture; a signal waits until all are written."""
        with signals.held():
            for path, draw in pictures:
                self.attempt(f"--plot {path}", draw)

    def written(self, flag: str) -> bool:
        """Whether the file of a flag was written."""
        return flag in self._written

    def interrupts(self, work: Callable[[], None]) -> bool:
        """Measure; return whether a signal ended it.

        An error that nobody expected is a line: what was measured before it is still written.
        """
        try:
            work()
        except KeyboardInterrupt:
            return True
        except ConvprofError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            self.failure(reason(error))
        return False

    def unread(self) -> bool:
        """Whether nobody will see what else is measured: stdout has failed, no file is named."""
        from convprof.render.streams import stdout_lost

        return stdout_lost() and not self.outputs.files

    def show(self, work: Callable[[], None]) -> None:
        """Print tables; not where stdout belongs to a document."""
        if self.outputs.tables:
            self.attempt("the tables", work)

    def noise(self, watch: NoiseWatch) -> None:
        """Say what disturbed the measurement."""
        if not self.outputs.quiet:
            self.attempt("the remarks on noise", lambda: self._noise(watch))

    def _noise(self, watch: NoiseWatch) -> None:
        for finding in watch.findings():
            self.remark(f"noise: {finding.message}; {finding.hint}")

    def interrupted(self, text: str) -> int:
        """Say what an interrupted command leaves; return its exit code."""
        name = signals.name()
        self.remark(f"interrupted{f' by {name}' if name else ''}: {text}", always=True)
        return signals.exit_code()

    def remark(self, text: str, *, always: bool = False) -> None:
        """Print a line on stderr; with ``--quiet`` only one that is ``always`` printed."""
        if always or not self.outputs.quiet:
            whole = not self.stderr.is_terminal
            self.stderr.print(text, style="yellow", soft_wrap=whole, markup=False)

    def attempt(self, what: str, work: Callable[[], object]) -> bool:
        """Do a part of the ending; one that fails is a line, and the others go on."""
        try:
            work()
        except ConvprofError as error:
            self.failure(message(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest must not be lost
            self.failure(f"{what}: {reason(error)}")
        else:
            return True
        return False

    def failure(self, text: str) -> None:
        """Say that something failed; the exit code will not be 0."""
        self._failed = True
        self.remark(f"convprof: {text}", always=True)

    def code(self, status: int) -> int:
        """Return the exit code of the results; 1 if they are fine and part of the ending failed."""
        return status or (EXIT_FAILURE if self._failed else 0)


def reason(error: BaseException) -> str:
    """Return an unexpected error in one line, with the place in the program that raised it."""
    if isinstance(error, MemoryError) and not str(error):
        return "out of memory"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "convprof" in Path(frame.filename).parts] or frames
    return f"{text} ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else text


def exit_code(statuses: set[str]) -> int:
    """Return the exit code of results: 3 wrong, 1 failed, 2 nothing but refusals, else 0."""
    if "wrong" in statuses:
        return EXIT_WRONG
    if "failed" in statuses:
        return EXIT_FAILURE
    return 0 if "ok" in statuses else EXIT_USAGE


def _write(path: str, form: Callable[[], Text]) -> None:
    from convprof.render.files import write_atomically

    write_atomically(path, form())


def _print(flag: str, form: Callable[[], Text]) -> None:
    """Print a text; JSON is in ASCII as a whole if stdout lacks one of its characters."""
    from convprof.render.characters import encodable, json_in_ascii
    from convprof.render.files import parts

    encoding = sys.stdout.encoding
    lacking = flag == "json" and any(encodable(p, encoding) != p for p in parts(form()))
    for part in parts(form()):
        sys.stdout.write(json_in_ascii(part) if lacking else part)
    sys.stdout.flush()
