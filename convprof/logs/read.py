"""Read logs of any known form, recognised by their content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.logs import json_events, openvino, ort_profile, own_results, source, torch_trace
from convprof.logs.lines import LINES, LineReader
from convprof.logs.torch_trace import TorchTrace
from convprof.problems.batch_text import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

    from convprof.logs.model_nodes import ModelNodes
    from convprof.logs.operation import Call, Reading

_JSON = re.compile(rb'\A(?:\xef\xbb\xbf)?\s*(?:\[\s*(?:\{|\]|\Z)|\{\s*")')
FORMS = (
    "ONEDNN_VERBOSE, MKL_VERBOSE, traces of torch.profiler, profiles of ONNX Runtime, performance "
    "counters of OpenVINO, and results of convprof"
)


def read(
    paths: Sequence[str],
    reading: Reading,
    *,
    model: ModelNodes | None = None,
    every_file: bool = True,
    stored: source.Stored | None = None,
) -> Iterator[Call]:
    """Yield the calls of logs, one file after the other; InputError for a file without any.

    ``model``: the nodes of the model that ran, which ONNX Runtime and OpenVINO name. Unless
    ``every_file`` must have calls, InputError only if none has. ``stored``: the content of a name
    that is no file.
    """
    lines = LineReader(reading)
    for path in paths:
        before = reading.calls
        with source.opened(path, stored) as file:
            yield from _calls(file, reading, lines, model)
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


def _calls(
    file: BufferedReader, reading: Reading, lines: LineReader, model: ModelNodes | None
) -> Iterator[Call]:
    if _is_json(file):
        return _events(file, reading, model)
    if openvino.HEAD.match(source.begin(file)):
        reading.begin(openvino.LIBRARY)
        return _counted(openvino.calls(file, reading, model), reading)
    return lines.calls(file)


def _counted(calls: Iterator[Call], reading: Reading) -> Iterator[Call]:
    for call in calls:
        reading.calls += 1
        yield call


def _events(file: BufferedReader, reading: Reading, model: ModelNodes | None) -> Iterator[Call]:
    return _counted(_calls_of_events(file, reading, model), reading)


def _calls_of_events(
    file: BufferedReader, reading: Reading, model: ModelNodes | None
) -> Iterator[Call]:
    """Yield the calls of a JSON document of any known form, event by event."""
    torch = TorchTrace(reading)
    begun: set[str] = set()

    def begin(library: str) -> None:
        if library not in begun:
            begun.add(library)
            reading.begin(library)

    for event in json_events.events(file, reading):
        category = event.get("cat")
        call: Call | None = None
        if category == torch_trace.CATEGORY:
            yield from torch.calls(event)
        elif category in ("Node", "Session"):
            begin(ort_profile.LIBRARY)
            call = ort_profile.call_of(event, reading, model)
        elif openvino.is_node(event):
            begin(openvino.LIBRARY)
            call = openvino.call_of(event, reading, model)
        elif own_results.is_measurement(event):
            begin(own_results.LIBRARY)
            call = own_results.call_of(event, reading)
        else:
            reading.foreign += 1
        if call is not None:
            yield call
    yield from torch.rest()
