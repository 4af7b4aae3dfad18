"""The first write to a page is the write of the thread that will read it."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest

from convprof.codegen.first_touch import PAGE_BYTES, touch

PAGES = 2000


def resident(array):
    """Return how many pages of an array have memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = array.nbytes
    pages = (ctypes.c_ubyte * (size // PAGE_BYTES))()
    address = ctypes.c_void_p(array.ctypes.data)
    if libc.mincore(address, ctypes.c_size_t(size), pages):
        pytest.skip("mincore is not allowed here")
    return sum(page & 1 for page in pages)


@pytest.mark.skipif(sys.platform != "linux", reason="mincore counts pages of Linux")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_fresh_array_has_no_memory_before_the_touch(threads):
    # The process may give an array memory that it used before; the system gives fresh memory.
    array = np.frombuffer(mmap.mmap(-1, PAGES * PAGE_BYTES), np.uint8)
    assert resident(array) < PAGES // 2  # huge pages may be zeroed together
    touch(array.ctypes.data, array.nbytes, threads)
    assert resident(array) == PAGES
    assert not array.any()


def test_a_part_of_a_page_is_touched_within_the_array():
    array = np.ones(3, dtype=np.uint8)
    touch(array.ctypes.data, array.nbytes, 2)
    assert array.tolist() == [0, 1, 1]
