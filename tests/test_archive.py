from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof import archive
from convprof.archive import Archive
from convprof.results import Cycles, Flops, Measurement, Measurements, Time, plain

OK = Measurement(
    problem={"kind": "gemm", "descriptor": "4x6:6x5", "name": "µ \udcff \n", "m": 4, "pad": [1, 2]},
    strategy="tiled",
    layout=None,
    dtype="f32",
    threads=2,
    cache="hot",
    status="ok",
    time_s=Time(0.1 + 0.2, 1e-300, None, 1.1e-3, 0.8e-3, 2, 4, (0.1 + 0.2, 0.8e-3)),
    cycles=Cycles(3e6, None, "calibrated", 3e9),
    flops=Flops(2**70, 0),
    phases={"pad": 1e-4},
)
REFUSED = Measurement(OK.problem, "blas", "nchw", "f64", 1, "cold", "refused", reason="it says no")
ROWS = [OK, replace(OK, cycles=None, phases=None), REFUSED]


@pytest.fixture(autouse=True)
def _small_room(monkeypatch):
    monkeypatch.setattr(archive, "PER_CHUNK", 4)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 21])
def test_what_was_added_is_read_in_its_order(count):
    rows = [replace(ROWS[i % 3], threads=i + 1) for i in range(count)]
    found = Measurements(rows[:2])
    for row in rows[2:5]:
        found.append(row)
    found += rows[5:]
    assert (len(found), bool(found)) == (count, count > 0)
    assert list(found) == rows
    assert list(found) == rows  # and again


def test_packing_on_request():
    found = Measurements(ROWS)
    found.compress()
    found.compress()
    assert [type(m.time_s) for m in found] == [Time, Time, type(None)]
    found += ROWS
    assert list(found) == ROWS * 2
    assert REFUSED in found
    assert replace(REFUSED, threads=9) not in found


def test_what_is_not_finite_stays_so():
    found = Measurements([replace(OK, max_rel_error=math.nan, intensity=math.inf)])
    found.compress()
    (row,) = found
    assert math.isnan(row.max_rel_error)
    assert row.intensity == math.inf


def test_what_json_cannot_hold_is_kept_as_it_is():
    strange = replace(OK, bytes_min=np.int64(3))
    found = Measurements([OK, strange, OK, OK, REFUSED])
    found.compress()
    assert list(found) == [OK, strange, OK, OK, REFUSED]
    assert list(found)[1].bytes_min is strange.bytes_min


def test_dataclasses_in_dictionaries_become_dictionaries():
    found = Archive([{"a": OK.time_s, "b": (1, 2)}])
    found.compress()
    assert list(found) == [{"a": plain(OK.time_s), "b": [1, 2]}]


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(), TREES, max_size=3), max_size=9))
def test_any_json_comes_back(items):
    found = Archive(items)
    found.compress()
    assert list(found) == items
