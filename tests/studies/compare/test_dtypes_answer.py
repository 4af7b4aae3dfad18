"""The answer of ``compare dtypes``: which types pay, at which error, from how many rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.dtypes import TypeComparison
from convprof.studies.compare.dtypes_answer import answer

ERRORS = {"bf16": 3e-3, "f16": 5e-4, "u8:s8:s32": 6e-3}


def measurement(dtype, seconds, m=64, threads=1, doubt=None, **other):
    problem = {"kind": "gemm", "descriptor": f"{m}x8:8x9", "name": None, "m": m, "n": 9, "k": 8}
    return Measurement(
        {**problem, "batch": 1, **other}, "packed", None, dtype, threads, "hot", "ok",
        time_s=Time(seconds, 0.0, seconds, seconds, seconds, 25, 3), doubt=doubt,
    )  # fmt: skip


def compared(dtype, ratio, m=64, *, wide=False, **other):
    low, high = (ratio / 2, ratio * 2) if wide else (ratio * 0.99, ratio * 1.01)
    return TypeComparison(
        measurement(dtype, ratio, m, **other),
        measurement("f32", 1.0, m, **other),
        Ratio(ratio, low, high, 25),
        ERRORS[dtype],
    )


def test_the_ratios_and_the_advice_by_error():
    found = answer([compared("bf16", 0.5), compared("f16", 1.2), compared("u8:s8:s32", 0.25)])
    assert found.sentences == (
        (
            "On 1 thread int8 takes 0.25 times (0.25 to 0.25) as long as f32, bf16 0.50 times "
            "(0.49 to 0.51), f16 is slower than f32."
        ),
        "Use int8 if an error of 6e-03 is accepted, bf16 at 3e-03; else f32.",
    )
    assert found.command == "convprof roofline 64x8:8x9 --dtype int8 -s packed -t 1"


def test_a_slower_type_with_a_larger_error_is_not_advised():
    found = answer([compared("bf16", 0.5), compared("f16", 0.4)])
    assert found.sentences[1] == "Use f16 if an error of 5e-04 is accepted; else f32."


def test_no_type_pays():
    found = answer([compared("bf16", 1.1), compared("f16", 1.0, wide=True)])
    assert found.sentences == (
        (
            "On 1 thread no type is faster than f32: bf16 is slower than f32; f16 is not separated "
            "from f32. Stay with f32."
        ),
    )
    assert found.command == "convprof roofline 64x8:8x9 -s packed -t 1 --dtype f32"


def test_from_how_many_rows_a_type_pays():
    rows = [
        *(compared("bf16", ratio, m) for m, ratio in ((1, 1.1), (4, 0.8), (16, 0.5))),
        *(compared("f16", ratio, m) for m, ratio in ((1, 0.5), (4, 0.8), (16, 1.2))),
        *(compared("u8:s8:s32", 0.25, m) for m in (1, 4, 16)),
    ]
    assert answer(rows).sentences == (
        (
            "On 1 thread bf16 pays from m = 4 on, 0.63 times as long as f32; f16 pays up to m = 4, "
            "0.63 times as long as f32, not from m = 16 on; int8 pays from m = 1 on, 0.25 times as "
            "long as f32 (measured: m = 1, 4 and 16)."
        ),
    )


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ((1.1, 0.8, 1.2), "bf16 pays at m = 4 only, 0.80 times as long as f32"),
        ((0.8, 1.1, 0.8), "bf16 pays at m = 1 and 16 only, 0.80 times as long as f32"),
        ((1.1, 1.2, 1.3), "bf16 does not pay up to m = 16"),
    ],
)
def test_a_type_that_pays_between_or_nowhere(ratios, words):
    rows = [compared("bf16", ratio, m) for m, ratio in zip((1, 4, 16), ratios, strict=True)]
    first = answer(rows).sentences[0]
    assert first == f"On 1 thread {words} (measured: m = 1, 4 and 16)."


def test_problems_of_other_sizes_are_counted():
    rows = [compared("bf16", 0.5), compared("bf16", 2.0, 32, n=7)]
    assert answer(rows).sentences == (
        (
            "On 1 thread bf16 takes 1.00 times as long as f32 (geometric mean), faster on 1 of 2 "
            "problems."
        ),
    )


def test_one_shape_with_and_without_an_epilogue_is_two_problems():
    rows = [compared("bf16", 0.5), compared("bf16", 2.0, epilogue="relu")]
    assert "faster on 1 of 2 problems" in answer(rows).sentences[0]


@pytest.mark.parametrize("comparisons", [[], [compared("bf16", 0.5, doubt="busy")]])
def test_nothing_is_concluded_from_nothing_or_from_doubts(comparisons):
    found = answer(comparisons)
    if not comparisons:
        assert found is None
        return
    assert found.sentences == ("No conclusion, the times are in doubt: busy.",)
    assert found.repeats


def test_a_doubt_takes_one_type_out():
    doubtful = compared("bf16", 0.5, doubt="busy")
    clear = compared("f16", 0.8)
    found = answer([doubtful, replace(clear)])
    assert "bf16" not in " ".join(found.sentences)


def test_the_next_command_of_an_epilogue_is_no_roofline():
    found = answer([compared("bf16", 0.5, epilogue="bias,relu")])
    assert found.command == (
        "convprof run 64x8:8x9 --epilogue bias,relu --dtype bf16 -s packed -t 1 --phases"
    )


def test_a_few_types_have_their_ratios():
    many = [
        replace(
            compared("bf16", ratio),
            a=measurement("bf16", ratio, weight_dtype=None if name == "bf16" else name),
        )
        for ratio, name in ((0.2, "bf16"), (0.3, "int4"), (0.4, "int8"), (0.5, "a"), (0.6, "b"))
    ]
    first = answer(many).sentences[0]
    assert "bf16 x a 0.50 times" in first
    assert first.endswith("bf16 x b is faster too.")


def test_f32_from_pieces_is_compared_by_its_strategy():
    pieces = replace(
        compared("bf16", 1.5),
        a=replace(measurement("f32", 1.5), strategy="split3"),
        rounding_error=4e-6,
    )
    found = answer([pieces, compared("f16", 1.2), compared("bf16", 0.5)])
    assert found.sentences[0].endswith("split3 and f16 are slower than f32.")


def test_nothing_is_advised_where_a_type_in_doubt_may_be_faster():
    doubtful = compared("bf16", 0.5, doubt="busy")
    found = answer([doubtful, compared("f16", 1.2)])
    assert found.sentences == (
        "On 1 thread no type is certainly faster than f32: f16 is slower than f32.",
        "1 type is in doubt and may be faster (busy): measure again on an idle machine.",
    )
    assert found.repeats
    slow = compared("bf16", 9.0, doubt="busy")
    assert answer([slow, compared("f16", 1.2)]).sentences[0].endswith("Stay with f32.")
    several = [doubtful, compared("f16", 0.8), compared("f16", 0.8, 32, n=7)]
    assert answer(several).sentences[1] == (
        "In 1 of 2 cases a type in doubt may be faster (busy): measure again on an idle machine."
    )


def test_one_clear_problem_of_several_is_not_all_of_them():
    found = answer([compared("f16", 0.8), compared("f16", 0.8, 32, n=7, doubt="busy")])
    assert found.sentences == (
        (
            "On 1 thread f16 takes 0.80 times as long as f32 (geometric mean), faster on 1 of 1 "
            "problems."
        ),
        "In 1 of 2 cases a type in doubt may be faster (busy): measure again on an idle machine.",
    )
    assert found.repeats


def test_of_several_problems_the_first_type_is_in_full_and_the_others_are_short():
    rows = [compared(dtype, 0.5, m, n=m) for dtype in ERRORS for m in (1, 2)]
    assert answer(rows).sentences == (
        (
            "On 1 thread bf16 takes 0.50 times as long as f32 (geometric mean), faster on 2 of 2 "
            "problems; f16 0.50 times, faster on 2 of 2; int8 0.50 times, faster on 2 of 2."
        ),
    )
