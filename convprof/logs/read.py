"""Read logs of any known form, recognised by their content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.logs import json_events, ort_profile, source, torch_trace
from convprof.logs.lines import LINES, LineReader
from convprof.logs.torch_trace import TorchTrace
from convprof.problems.batch_text import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

    from convprof.logs.operation import Call, Reading

_JSON = re.compile(rb'\A(?:\xef\xbb\xbf)?\s*(?:\[\s*(?:\{|\]|\Z)|\{\s*")')
FORMS = "ONEDNN_VERBOSE, MKL_VERBOSE, traces of torch.profiler, profiles of ONNX Runtime"


def read(paths: Sequence[str], reading: Reading, *, every_file: bool = True) -> Iterator[Call]:
    """Yield the calls of logs, one file after the other; InputError for a file without any.

    Unless ``every_file`` must have calls, InputError only if none has.
    """
    lines = LineReader(reading)
    for path in paths:
        before = reading.calls
        with source.opened(path) as file:
            yield from _events(file, reading) if _is_json(file) else lines.calls(file)
        if every_file and reading.calls == before:
            raise InputError(_nothing(path, reading))
    if not reading.calls:
        raise InputError("no operation was recognised in the logs")


def _is_json(file: BufferedReader) -> bool:
    """Whether it begins as a trace; a program may print JSON before the lines of a library."""
    begin = source.begin(file)
    return _JSON.match(begin) is not None and not any(name in begin for name in LINES)


def _nothing(path: str, reading: Reading) -> str:
    if reading.messages or reading.unread:
        return (
            f"{file_name(path)}: lines of a library, but no time of an operation in them. "
            "Run the program with ONEDNN_VERBOSE=profile"
        )
    return f"{file_name(path)}: no operation was recognised in it. Known logs are {FORMS}"


def _events(file: BufferedReader, reading: Reading) -> Iterator[Call]:
    """Yield the calls of a trace of PyTorch, or of a profile of ONNX Runtime."""
    torch = TorchTrace(reading)
    began = False
    for event in json_events.events(file, reading):
        category = event.get("cat")
        if category == torch_trace.CATEGORY:
            for call in torch.calls(event):
                reading.calls += 1
                yield call
        elif category in ("Node", "Session"):
            if not began:
                reading.begin(ort_profile.LIBRARY)
                began = True
            node = ort_profile.call_of(event, reading)
            if node is not None:
                reading.calls += 1
                yield node
        else:
            reading.foreign += 1
    for call in torch.rest():
        reading.calls += 1
        yield call
