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
from convprof.studies.fleet import claim, hosts, request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.studies.fleet.request import Request

COMMAND = (sys.executable, "-P", "-m", "convprof.measure.isolated.attached")
MOST_BYTES = 12 << 20
"""Of a result: with its record it is a line of a journal."""


def measure(data: str) -> str:
    """Measure the problem of a request on this host; return the result document or a reason."""
    from distributed import get_worker

    try:
        order = request.read(data)
        here = hosts.read_identity(hosts.identity(order.by, get_worker().name)).host
        if here != order.host:
            raise InputError(f"the task came to {here}")
        reply = measured(order, environment())
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
            document = _document(path)
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
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    return decoded(data, MOST_BYTES)


def _without_document(code: int, line: str) -> dict[str, Any]:
    """Return how a process ended that wrote no result."""
    if code == EXIT_USAGE:
        return {"status": "refused", "reason": line.removeprefix("convprof: ")}
    why = ending(code, memory=False)
    return _failed(f"{why}: {line}" if line else why)


def _failed(reason: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason}
