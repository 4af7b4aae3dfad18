"""Performance counters of OpenVINO: a line or an object per layer, of one inference.

    layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)
    /c/Conv/WithoutBiases;Status.EXECUTED;Convolution;brgconv_avx512_f32;4.029;4.029

Counters have no shapes: a model has, and its nodes have the names of the layers. Source:
``benchmark_app`` with ``-pc -report_type``, in ``tools/benchmark_tool`` of OpenVINO.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from convprof.logs.operation import Call, Operation, is_time, word
from convprof.logs.source import lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from convprof.logs.model_nodes import ModelNodes
    from convprof.logs.operation import Reading

LIBRARY = "OpenVINO"
HEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?layerName([;,])execStatus")
_COLUMNS = ("layerName", "execStatus", "layerType", "execType", "realTime (ms)")
_KEYS = ("name", "status", "node_type", "exec_type", "real_time")
_TYPE = re.compile(r"(.*?)_?(f64|f32|f16|bf16|s32|i32|i64|s8|i8|u8)", re.IGNORECASE)
_TYPES = {"i8": "s8", "i32": "s32", "i64": "s64"}
_NOT_RUN = ("NOT_RUN", "OPTIMIZED_OUT")
_UNKNOWN = ("undef", "unknown")


def calls(file: BufferedReader, reading: Reading, model: ModelNodes | None) -> Iterator[Call]:
    """Yield the calls of a table; further tables, of other inferences, may follow."""
    places: list[int] | None = None
    delimiter = ";"
    for line in lines(file):
        reading.lines += 1
        head = HEAD.match(line)
        if head is not None:
            delimiter = head[1].decode()
        fields = _fields(line, delimiter)
        if head is not None:
            reading.messages += 1
            places = _places(fields)
        elif places is None or len(fields) <= max(places):
            counted = bool(line.strip(b'"\r\n')) and places is not None
            reading.unread += counted
            reading.messages += not counted  # an empty line, or the rest of the head
        elif fields[0] == "Total":
            reading.messages += 1
        else:
            call = _call([fields[place] for place in places], reading, model)
            if call is not None:
                yield call


def _fields(line: bytes, delimiter: str) -> list[str]:
    """Return the fields of a line; none of a line that is not one of a table."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:  # a carriage return in the middle
        return []


def is_node(event: dict[str, Any]) -> bool:
    """Whether an object is a layer of a report in JSON."""
    return "exec_type" in event and "real_time" in event


def call_of(event: dict[str, Any], reading: Reading, model: ModelNodes | None) -> Call | None:
    """Return the call of a layer in a report in JSON."""
    return _call([str(event.get(key, "")) for key in _KEYS], reading, model)


def _places(head: list[str]) -> list[int] | None:
    """Return where in a line the values are; None for a table that lacks one."""
    names = [name.strip("\ufeff") for name in head]
    return [names.index(name) for name in _COLUMNS] if {*_COLUMNS} <= {*names} else None


def _call(values: list[str], reading: Reading, model: ModelNodes | None) -> Call | None:
    name, status, kind, execution, time = values
    if status.rpartition(".")[2] in _NOT_RUN:
        reading.nested += 1  # computed within another layer, or before
        return None
    try:
        seconds = float(time) * 1e-3
    except ValueError:
        seconds = -1.0
    if not is_time(seconds):
        reading.unread += 1
        return None
    return Call(_operation(name, kind, execution, model), seconds, "execution")


def _operation(name: str, kind: str, execution: str, model: ModelNodes | None) -> Operation:
    match = _TYPE.fullmatch(execution)
    implementation, types = (match[1], match[2].lower()) if match else (execution, "")
    problem = None if model is None else model.problem(name)
    return Operation(
        LIBRARY,
        word(kind),
        word(name if problem is None else problem.descriptor),
        _TYPES.get(types, types),
        "",
        "" if implementation in _UNKNOWN else word(implementation),
        problem,
        kind == "Reorder",
    )
