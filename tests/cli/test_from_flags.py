"""What flags become before anything is measured."""

from __future__ import annotations

from convprof.cli.from_flags import in_types
from convprof.problems import Attention, Gemm
from convprof.problems.typed import TypedProblem

ATTENTION, PRODUCT = Attention(batch=1, heads=2, tokens=3, dim=4), Gemm(m=4, n=5, k=6)


def test_a_short_name_of_types_means_what_it_means_for_the_problem():
    counts = {TypedProblem(ATTENTION): 1, TypedProblem(PRODUCT): 2, TypedProblem(PRODUCT, "f32"): 3}
    assert in_types("int8", counts) == {
        TypedProblem(ATTENTION, "s8:s8:f32"): 1,
        TypedProblem(PRODUCT, "u8:s8:s32"): 2,
        TypedProblem(PRODUCT, "f32"): 3,
    }
