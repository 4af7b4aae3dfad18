"""Which kernels stay compiled, and when they go."""

from __future__ import annotations

import ctypes
import gc
import weakref
from dataclasses import dataclass

import pytest

from convprof.codegen import isa, target, tile_list
from convprof.codegen.jit import Module
from convprof.codegen.kernels.base import Kernel
from convprof.codegen.tile_list import TileList, forget_kernels, kernel
from convprof.dtypes import F32
from convprof.results import NATIVE


@dataclass(frozen=True)
class Adds(Kernel):
    """A kernel that adds a number of its own."""

    number: int

    def _code(self, w):
        y = w.add(f"fadd {w.vector} {w.load('%a')}, {w.splat(self.number)}")
        w.store(y, "%c")
        return f"{w.taken()}\n"


ISA = isa.find(NATIVE)


def adds(number):
    return Adds(F32, ISA.lanes(4), number)


@pytest.fixture(autouse=True)
def _none_kept():
    forget_kernels(0)
    yield
    forget_kernels(0)


def test_the_same_tile_is_compiled_once():
    assert kernel(adds(1), ISA) is kernel(adds(1), ISA)
    assert kernel(adds(1), ISA) is not kernel(adds(2), ISA)


def test_the_last_used_kernels_stay():
    made = [weakref.ref(kernel(adds(number), ISA)) for number in range(4)]
    kernel(adds(0), ISA)
    forget_kernels(2)
    assert [each() is not None for each in made] == [True, False, False, True]


def test_a_list_of_tiles_keeps_its_kernels():
    found, made = TileList(), kernel(adds(1), ISA)
    found.add(made, 0, 0, 0)
    seen = weakref.ref(made)
    del made
    forget_kernels(0)
    assert seen() is not None
    del found
    assert seen() is None


def test_one_problem_does_not_keep_any_number(monkeypatch):
    monkeypatch.setattr(tile_list, "MOST_KERNELS", 3)
    made = [weakref.ref(kernel(adds(number), ISA)) for number in range(5)]
    assert [each() is not None for each in made] == [False, False, True, True, True]


NAMED = "%pair = type { i32, float }\n@one = constant %pair zeroinitializer\n"


def test_a_module_leaves_nothing_in_llvm():
    first = str(target.parsed(NAMED))
    assert "%pair = type" in first
    assert str(target.parsed(NAMED)) == first  # a context that has a %pair calls the next %pair.0


def test_a_module_lives_as_long_as_its_engine():
    made = Module("define i32 @seven() { ret i32 7 }")
    seven = made.function("seven", ctypes.c_int32)
    engine = weakref.ref(made._engine)
    del made
    for number in range(20):
        Module(adds(number).ir())
        gc.collect()
    assert seven() == 7
    del seven
    gc.collect()
    assert engine() is None
