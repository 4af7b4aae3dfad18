from __future__ import annotations

import numpy as np
import pytest

from convprof.measure import eviction


def test_evicting_changes_nothing():
    arrays = [np.arange(1000.0), np.zeros(0), np.ones((3, 5), dtype=np.int64)]
    before = [array.copy() for array in arrays]
    evict = eviction.evictor(arrays)
    for _ in range(3):
        evict()
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_every_byte_of_every_array_is_flushed(monkeypatch):
    flushed = []
    monkeypatch.setattr(
        eviction, "flush_lines", lambda: lambda start, count: flushed.append((start, count))
    )
    arrays = [np.zeros(10), np.zeros((4, 4), dtype=np.float32)]
    evict = eviction.evictor(arrays)
    assert flushed == []
    evict()
    assert flushed == [(array.ctypes.data, array.nbytes) for array in arrays]
    evict()
    assert len(flushed) == 4


@pytest.mark.parametrize(("caches", "least"), [([], 64 << 20), ([1 << 10, 1 << 20], 1 << 20)])
def test_without_an_instruction_for_it_more_than_the_caches_is_read(monkeypatch, caches, least):
    from types import SimpleNamespace

    known = [SimpleNamespace(size_bytes=size) for size in (*caches, None)]
    made = []

    class Sweep:
        def __init__(self, count):
            made.append(count * 8)

        def sum(self):
            made.append("read")

    monkeypatch.setattr(eviction, "flush_lines", lambda: None)
    monkeypatch.setattr(eviction, "facts", lambda: SimpleNamespace(caches=known))
    monkeypatch.setattr(eviction, "np", SimpleNamespace(ones=Sweep))
    evict = eviction.evictor([])
    evict()
    evict()
    assert made == [2 * least, "read", "read"]
