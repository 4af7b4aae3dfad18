"""The variables that switch the loggers of libraries on, and the files that the loggers write."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Self

from convprof.studies.trace import torch_hook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PROFILE = "2"
"""Times of creations and calls: the number that every version of oneDNN takes."""
_SILENT = "99"
"""The profiler of PyTorch reports its begin and its end on stderr at lower levels."""
_LINES = "lines.log"
_MKL = "mkl.log"


class LogFile:
    """A log on disk; after the first error the rest is dropped, and the program goes on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.lost: str | None = None
        """Why the log is not complete; None if it is."""

    def write(self, data: bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view and self.lost is None:
            try:
                view = view[self._file.write(view) or 0 :]
            except OSError as error:
                self.lost = error.strerror or str(error)

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


class LineLoggers:
    """oneDNN prints lines to stdout; MKL writes its lines to a file, old versions to stdout."""

    def __init__(self, folder: Path) -> None:
        self.lines = folder / _LINES
        self._mkl = folder / _MKL

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the program."""
        onednn = dict.fromkeys(("ONEDNN_VERBOSE", "DNNL_VERBOSE", "MKLDNN_VERBOSE"), _PROFILE)
        onednn["ONEDNN_VERBOSE_TIMESTAMP"] = "1"
        return {**own, **onednn, "MKL_VERBOSE": "1", "MKL_VERBOSE_OUTPUT_FILE": str(self._mkl)}

    def logs(self) -> list[Path]:
        """Return the files that the loggers have written."""
        return [path for path in (self.lines, self._mkl) if _has_content(path)]


class TorchLogger:
    """torch.profiler in every Python process of the program that imports torch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the program; write the module that Python runs first."""
        hook = self._folder / "python"
        hook.mkdir()
        shutil.copyfile(torch_hook.__file__, hook / f"{torch_hook.MODULE}.py")
        path = os.pathsep.join(filter(None, (str(hook), own.get("PYTHONPATH"))))
        variables = {"PYTHONPATH": path, torch_hook.FOLDER: str(self._folder)}
        return {"KINETO_LOG_LEVEL": _SILENT, **own, **variables}

    def logs(self) -> list[Path]:
        """Return a trace for each process, the largest first."""
        traces = filter(_has_content, self._folder.glob("trace-*.json"))
        return sorted(traces, key=lambda path: -path.stat().st_size)


def keep(logs: list[Path], target: Path) -> list[Path]:
    """Copy the logs of a program to a file that ``diagnose`` reads; return the files.

    Logs of lines become one file. A second trace has a number behind its name.
    """
    if all(path.suffix == ".log" for path in logs):
        with target.open("wb") as file:
            for log in logs:
                with log.open("rb") as part:
                    shutil.copyfileobj(part, file)
        return [target]
    targets = [target.with_name(_numbered(target.name, number)) for number in range(len(logs))]
    for log, path in zip(logs, targets, strict=True):
        shutil.copyfile(log, path)
    return targets


def _numbered(name: str, number: int) -> str:
    return f"{name}.{number + 1}" if number else name


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
