"""The text of kernels with and without an epilogue."""

from __future__ import annotations

import re

import pytest

from convprof.codegen.kernels.depthwise import DepthwiseTile, Tap
from convprof.codegen.kernels.epilogue import POINTERS
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.tile_code import LONG
from convprof.codegen.kernels.winograd import OutputTransform
from convprof.dtypes import F32
from convprof.problems.epilogue import Epilogue

BARE = Epilogue()
RELU = Epilogue(bias=True, add=True, function="relu")


PARAMETERS = "ptr %a, ptr %b, ptr %c, ptr %d, ptr %bias, ptr %residual"


def tile(epilogue, run=64, **more):
    return Tile(
        types=F32,
        lanes=8,
        rows=(0, 100),
        segments=((0, 0),),
        run=run,
        vectors=2,
        b_row=16,
        c_rows=(0, 50),
        columns=13,
        epilogue=epilogue,
        **more,
    )


def depthwise(epilogue):
    return DepthwiseTile(
        F32, 8, (0, 40), (Tap(((0, 0),), 0), Tap(((40, 0),), 1)), (0, 40), 37, 40, epilogue=epilogue
    )


def output(epilogue):
    return OutputTransform(F32, 8, (2, 2), 200, 40, 37, 400, 2, 2, epilogue)


def parameters(ir):
    return re.search(r"define void @tile\((.*)\)", ir)[1]


@pytest.mark.parametrize("make", [tile, depthwise, output])
def test_pointers(make):
    assert parameters(make(BARE).ir()) == "ptr %a, ptr %b, ptr %c"
    assert parameters(make(RELU).ir()) == PARAMETERS
    assert make(RELU).parameters == POINTERS


def test_a_tile_that_packs_has_its_fourth_pointer_in_the_same_place():
    assert parameters(tile(BARE, pack_row=32).ir()) == "ptr %a, ptr %b, ptr %c, ptr %d"
    assert parameters(tile(RELU, pack_row=32).ir()) == PARAMETERS


@pytest.mark.parametrize("make", [tile, depthwise, output])
def test_only_the_operands_of_the_epilogue_are_read(make):
    def body(epilogue):
        return make(epilogue).ir().replace(PARAMETERS, "")

    assert "%bias" not in body(Epilogue(add=True))
    assert "%residual" not in body(Epilogue(bias=True, function="relu"))
    assert "%bias" in body(RELU)
    assert "%residual" in body(RELU)


@pytest.mark.parametrize("run", [0, 4, 64])
@pytest.mark.parametrize("function", sorted(LONG))
def test_a_long_function_is_written_once_however_many_rows_there_are(function, run):
    ir = tile(Epilogue(function=function), run).ir()
    assert ir.count("late_row:") == 1
    assert "[2 x i64] [i64 0, i64 50]" in ir
    assert "late_row:" not in tile(RELU, run).ir()


def test_an_empty_sum_that_is_added_does_nothing_unless_something_follows():
    nothing = tile(BARE, run=0, accumulate=True).ir()
    assert "store" not in nothing.partition("define")[2]
    assert "store" in tile(RELU, run=0, accumulate=True).ir().partition("define")[2]
