"""Hostile logs of other programs, and what reads them."""

from __future__ import annotations

import functools
import gzip
import json
import math
from pathlib import Path

from hostile_making import edited_json, mutated
from hypothesis import strategies as st

from convprof.logs.model_nodes import ModelNode, ModelNodes

DATA = Path(__file__).resolve().parents[1] / "data" / "logs"
LINES = (
    b"onednn_verbose,", b"mkldnn_verbose,exec,", b"MKL_VERBOSE ", b",exec,", b",nan", b",1e999",
    b",nthr:99999999999", b"ih99999999999", b"4294967296x4294967296", b"x" * 70_000, b"\x1b[2J",
    b"id1kd1od1", b"mb0", b"," * 100, b":" * 100, b" " * 100, b"1_0", b"SGEMM(N,N,-1,0,1,",
)  # fmt: skip
EVENTS = (
    b"NaN", b"1e999", b"-1", b"[" * 5000, b'"' , b"}", b"{", b'"traceEvents":[', b'"cat":"Node"',
    b'"dur":true', b"9" * 5000, b"[-1,0]", b'"args":[]', b'"ts":null', b"\xff\xfe", b'"nodes":[',
    b'"measurements":[', b'"exec_type":1,"real_time":"nan"',
)  # fmt: skip
MOST_EVENTS = 40


@functools.cache
def _texts() -> list[bytes]:
    files = sorted([*DATA.glob("*.log"), *DATA.glob("*.csv")])
    return [path.read_bytes()[:8000] for path in files]


@functools.cache
def _traces() -> list[object]:
    found = []
    for path in sorted(DATA.glob("*.json.gz")):
        with gzip.open(path) as file:
            document = json.load(file)
        if isinstance(document, list):
            found.append(document[:MOST_EVENTS])
        elif "traceEvents" in document:
            found.append({"traceEvents": document["traceEvents"][:MOST_EVENTS]})
        else:
            found.append(document)
    results = json.loads((DATA.parent / "v1" / "run.json").read_text())
    found.append({"measurements": results["measurements"][:3]})
    return found


def logs() -> st.SearchStrategy[bytes]:
    """Return logs of every form, changed; some are compressed."""
    traces = [json.dumps(trace).encode() for trace in _traces()]
    edited = st.sampled_from(_traces()).flatmap(edited_json)
    changed = mutated(_texts(), LINES) | mutated(traces, EVENTS) | edited
    packed = mutated([gzip.compress(text) for text in (*_texts(), *traces)])
    wide = mutated([text.decode().encode("utf-16") for text in _texts()])
    return changed | packed | wide | st.binary(max_size=200)


@functools.cache
def _model() -> ModelNodes:
    nodes = ModelNodes()
    nodes.add("/c/Conv", ModelNode(True, (1, 3, 224, 224), (64, 3, 7, 7), (), (2, 2), (3,) * 4))
    nodes.add("y", ModelNode(False, (1, 512), (512, 1000), (1, 1000)))
    return nodes


def read_log(data: bytes, folder: Path) -> bool:
    """Read a log; every call has a time, and every name can be printed."""
    from convprof.logs.operation import Reading
    from convprof.logs.read import read
    from convprof.studies.diagnose.timeline import Recorder

    path = folder / "log"
    path.write_bytes(data)
    recorder = Recorder()
    for call in read([str(path)], Reading(), model=_model()):
        recorder.add(call)
        operation, seconds, *_ = call
        assert math.isfinite(seconds)
        assert seconds >= 0
        for text in (operation.kind, operation.text, operation.types, operation.layout):
            assert text.isprintable()
    for track in recorder.tracks([], {}):
        assert all(math.isfinite(event.begin_s) for event in track.events)
        assert all(event.thread.isprintable() for event in track.events)
    return True
