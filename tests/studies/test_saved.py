from __future__ import annotations

import contextlib
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.errors import InputError, NotAResultError
from convprof.problems import Gemm
from convprof.studies import saved

GOOD = {
    "schema_version": 1,
    "machine": {
        "key": "0123456789ab",
        "brand": "Example µ",
        "caches": [
            {"level": 1, "kind": "data", "size_bytes": 32768, "shared_by": 1, "instances": 2},
            {"level": 2, "kind": "unified", "size_bytes": None, "new": "field"},
        ],
    },
    "ceilings": {
        "peaks": [{"dtype": "f32", "threads": 2, "flop_per_s": 1e11, "bits": 256, "isa": None}],
        "isa_peaks": None,
        "bandwidths": [
            {"level": "L1", "operation": "load", "threads": 2, "bytes_per_s": 1e11},
        ],
    },
    "settings": {"isa": "avx2"},
    "measurements": [
        {
            "problem": {"kind": "gemm", "descriptor": "8x8:8x8", "name": None, "m": 8},
            "strategy": "tiled", "layout": None, "dtype": "f32", "threads": 2, "cache": "hot",
            "status": "ok", "time_s": {"median": 1e-6}, "flops": {"direct": 1024, "executed": 1024},
            "bytes_min": 768, "bytes_moved": 900, "workspace_bytes": None,
        },
        {"status": "refused"},
    ],
}  # fmt: skip


def changed(path, value):
    document = copy.deepcopy(GOOD)
    *way, last = path
    place = document
    for key in way:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return document


def test_the_longest_name_and_descriptor_are_read():
    problem = Gemm(m=8, n=8, k=8, name="n" * 1000)
    known = {"kind": "gemm", "descriptor": problem.descriptor, "name": problem.name}
    document = changed(("measurements", 0, "problem"), known)
    (found,) = saved.parsed(document, "x").measurements
    assert (found.problem["descriptor"], found.problem["name"]) == (problem.descriptor, "n" * 1000)


def test_generated_kernels_of_old_files_have_the_instruction_set_of_the_settings():
    (found,) = saved.parsed(changed(("measurements", 0, "strategy"), "packed"), "x").measurements
    assert found.isa == "avx2"


def test_what_is_used_is_read(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(GOOD))
    found = saved.read(str(path))
    assert (found.source, found.machine, found.brand) == (str(path), "0123456789ab", "Example µ")
    (measurement,) = found.measurements
    assert measurement.isa is None  # the kernels of tiled are not generated
    assert measurement.time_s.median == 1e-6
    assert (measurement.bytes_min, measurement.bytes_moved) == (768, 900)
    assert [c.level for c in found.caches] == [1, 2]
    assert found.peaks[0].flop_per_s == 1e11
    assert found.bandwidths[0].bytes_per_s == 1e11


def test_a_document_without_what_came_later():
    document = changed(("measurements", 0, "bytes_moved"), KeyError)
    del document["ceilings"]["bandwidths"]
    found = saved.parsed(document, "x")
    assert found.measurements[0].bytes_moved is None
    assert found.bandwidths == ()


ONE = ("measurements", 0)
WRONG = {
    "another version": changed(("schema_version",), 3),
    "no version": changed(("schema_version",), KeyError),
    "true is no version": changed(("schema_version",), True),
    "no machine": changed(("machine",), None),
    "no measurements": changed(("measurements",), KeyError),
    "measurements of another kind": changed(("measurements",), {}),
    "a measurement that is none": changed(("measurements", 0), 3),
    "no strategy": changed((*ONE, "strategy"), None),
    "a strategy that commands a terminal": changed((*ONE, "strategy"), "\x1b]0;x\x07"),
    "a strategy of a megabyte": changed((*ONE, "strategy"), "x" * 1_000_000),
    "no time": changed((*ONE, "time_s"), None),
    "a time of zero": changed((*ONE, "time_s", "median"), 0),
    "a time in words": changed((*ONE, "time_s", "median"), "1 ms"),
    "an unknown dtype": changed((*ONE, "dtype"), "f8"),
    "a list for a dtype": changed((*ONE, "dtype"), ["f32"]),
    "an unknown layout": changed((*ONE, "layout"), "chwn"),
    "no threads": changed((*ONE, "threads"), 0),
    "threads without end": changed((*ONE, "threads"), 10**9),
    "instances without end": changed(("machine", "caches", 0, "instances"), 10**12),
    "bytes below zero": changed((*ONE, "bytes_min"), -1),
    "a level too far": changed(("machine", "caches", 0, "level"), 1000),
    "caches without end": changed(("machine", "caches"), [{"level": 1}] * 5000),
    "threads of all numbers": changed(
        ("measurements",), [{**GOOD["measurements"][0], "threads": t} for t in range(1, 400)]
    ),
    "a peak of nothing": changed(("ceilings", "peaks", 0, "flop_per_s"), None),
    "a list for an operation": changed(("ceilings", "bandwidths", 0, "operation"), ["load"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_with_the_way_out(tmp_path, name):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(WRONG[name]))
    with pytest.raises(NotAResultError) as raised:
        saved.read(str(path))
    text = str(raised.value)
    assert text.startswith(f"{path}: not a result of convprof: ")
    assert text.isprintable()


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "1" * 5000, "\xff", "null", "[]"])
def test_no_document_at_all(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="not a result of convprof"):
        saved.read(str(path))


def test_too_large_a_file_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "MOST_BYTES", 100)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(InputError, match="larger than"):
        saved.read(str(path))


@pytest.mark.parametrize("name", ["missing.json", ".", "a\x00b.json", "a\nb.json"])
def test_a_file_that_cannot_be_read(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read") as raised:
        saved.read(f"{tmp_path}/{name}")
    assert str(raised.value).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*GOOD, "level", "status", "key"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from([*GOOD, None]))
def test_anything_else_is_refused_and_never_an_accident(value, place):
    document = value if place is None else {**GOOD, place: value}
    with contextlib.suppress(InputError):
        saved.parsed(document, "x")
