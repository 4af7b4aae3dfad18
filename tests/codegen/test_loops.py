"""Loops that a writer writes: every element once, sums carried along, nothing beyond the end."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.codegen.jit import Module
from convprof.codegen.writer import Writer, alive, counted, summed, sweep
from convprof.dtypes import find

LANES = isa.find("native").lanes(4)


def run(w, *arrays):
    """Run what was written on the arrays, ``%p0`` and so on."""
    pointers = ", ".join(f"ptr %p{i}" for i in range(len(arrays)))
    ir = f"{w.declarations()}\ndefine void @f({pointers}) {{\n{w.taken()}\n  ret void\n}}\n"
    call = Module(ir).function("f", None, *[ctypes.c_void_p] * len(arrays))
    call(*(array.ctypes.data for array in arrays))


@pytest.mark.parametrize("length", [1, LANES - 1, LANES, LANES + 1, 4 * LANES, 13 * LANES + 3])
@pytest.mark.parametrize("across", [1, 4, 100])
def test_a_sweep_visits_every_element_once_and_none_beyond(length, across):
    w = Writer(find("f32"), LANES)

    def add_one(offset, mask, _):
        place = w.at("%p0", offset)
        w.store(w.add(f"fadd {w.vector} {w.load(place, mask)}, {w.splat(1.0)}"), place, mask)
        return ""

    assert sweep(w, length, add_one, across=across) == []
    x = np.zeros(length + 2 * LANES, np.float32)
    run(w, x)
    np.testing.assert_array_equal(np.r_[np.ones(length), np.zeros(2 * LANES)], x)


@pytest.mark.parametrize("length", [1, LANES + 1, 4 * LANES, 9 * LANES + 2])
@pytest.mark.parametrize("sums", [1, 3, 4])
def test_sums_are_carried_through_all_turns(length, sums):
    w = Writer(find("f32"), LANES)

    def add(offset, mask, total):
        value = alive(w, w.load(w.at("%p0", offset), mask), mask, w.splat(0.0))
        return w.add(f"fadd {w.vector} {total}, {value}")

    totals = sweep(w, length, add, [w.splat(0.0)] * sums)
    w.store(summed(w, totals), "%p1")
    x, y = np.arange(1, length + 1, dtype=np.float32), np.zeros(LANES, np.float32)
    run(w, x, y)
    np.testing.assert_array_equal(np.full(LANES, x.sum()), y)


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("columns", [1, 3])
def test_loops_in_loops(rows, columns):
    w = Writer(find("f32"), LANES)

    def row(_, totals):
        return counted(
            w, columns, lambda _, t: [w.add(f"fadd {w.vector} {t[0]}, {w.splat(1.0)}")], totals
        )

    (total,) = counted(w, rows, row, [w.splat(0.0)])
    w.store(total, "%p0")
    y = np.full(LANES, -1, np.float32)
    run(w, y)
    np.testing.assert_array_equal(np.full(LANES, rows * columns), y)
