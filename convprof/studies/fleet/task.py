"""What runs on a worker: one problem in a process with a time limit. JSON in, JSON out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import EXIT_USAGE, ConvprofError, InputError
from convprof.json_checks import decoded
from convprof.measure.isolated.process import ending, last_line
from convprof.problems.from_json import problem_from
from convprof.studies.fleet import choices, claim, hosts, request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.studies.fleet.request import Request

COMMAND = (sys.executable, "-P", "-m", "convprof.measure.isolated.attached")
MOST_BYTES = 12 << 20
"""Of a result: with its record it is a line of a journal."""
_LINES_OF_POINT = 2
"""Of the file of a sweep with one point: the header and the point."""


def measure(data: str) -> str:
    """Measure the problem of a request on this host; return the result document or a reason."""
    from distributed import get_worker

    try:
        order = request.read(data)
        here = hosts.host_here(order.by, get_worker().name)
        if here != order.host:
            raise InputError(f"the task came to {here}")
        reply = measured(order, environment())
        if order.sends_choices:
            reply["choices"] = choices.of_problem(problem_from(order.problem))
    except (ConvprofError, OSError) as error:
        reply = {"status": "failed", "reason": str(error)}
    return json.dumps(reply)


def measured(order: Request, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the reply to a request, with the environment of the process that measures."""
    with claim.claimed() as lock, tempfile.TemporaryDirectory(prefix="convprof-") as folder:
        path = Path(folder) / "result.json"
        words = order.words()
        command = [*COMMAND, *words[:-2], "--quiet", "--json", str(path), *words[-2:]]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: S603  # our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=dict(variables),
                start_new_session=True,
                pass_fds=(lock,),
            )
            try:
                code = process.wait(order.limit_s)
            except subprocess.TimeoutExpired:
                return _failed(f"it took longer than {order.limit_s:g} s: its process was ended")
            finally:
                _end(process)
            document = _document(path) if order.point is None else _point(path)
            if code >= 0 and document is not None:
                return {"status": "finished", "document": document}
            return _without_document(code, last_line(errors))


def environment() -> dict[str, str]:
    """Return the environment without what Dask sets for its workers.

    Dask limits libraries to one thread each; ``convprof`` sets the number of threads itself.
    """
    import dask.config

    variables = dict(os.environ)
    of_dask = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    for name, value in of_dask.items():
        if variables.get(name) == str(value):
            del variables[name]
    return variables


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _document(path: Path) -> Any:
    """Return the JSON of a result; None if there is no file."""
    data = _content(path)
    return None if data is None else decoded(data, MOST_BYTES)


def _point(path: Path) -> Any:
    """Return the header and the only point of a sweep; None if there is no point."""
    lines = (_content(path) or b"").splitlines(keepends=True)
    if len(lines) < _LINES_OF_POINT or not lines[1].endswith(b"\n"):
        return None
    header, point = (decoded(line, MOST_BYTES) for line in lines[:_LINES_OF_POINT])
    return {"header": header, "point": point}


def _content(path: Path) -> bytes | None:
    """Return the bytes of a file, one more than a result may have if it is larger."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None


def _without_document(code: int, line: str) -> dict[str, Any]:
    """Return how a process ended that wrote no result."""
    if code == EXIT_USAGE:
        return {"status": "refused", "reason": line.removeprefix("convprof: ")}
    why = ending(code, memory=False)
    return _failed(f"{why}: {line}" if line else why)


def _failed(reason: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason}
