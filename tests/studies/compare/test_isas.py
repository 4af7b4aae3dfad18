"""Instruction sets against each other: what is paired, and what follows at which clock."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.problems import Gemm
from convprof.results import Cycles, Measurement, Time
from convprof.stats import Ratio
from convprof.studies.answer import Answer
from convprof.studies.compare import isas
from convprof.studies.compare.isas import IsaComparison
from convprof.studies.compare.isas_answer import added, conclusion
from convprof.studies.run import Choice, contestants


def measurement(isa, seconds, name="conv", *, clock=None, strategy="microkernel"):
    cycles = None if clock is None else Cycles(clock * seconds, None, "calibrated", clock)
    return Measurement(
        problem={"kind": "conv2d", "descriptor": f"{name}-text", "name": name},
        strategy=strategy, layout="nhwc", dtype="f32", threads=1, cache="hot", status="ok",
        isa=isa, time_s=Time(seconds, 0.0, seconds, seconds, seconds, 25, 3), cycles=cycles,
    )  # fmt: skip


def compared(wide_s, narrow_s, name="conv", *, clocks=(None, None), strategy="microkernel"):
    value = wide_s / narrow_s
    a = measurement("avx512", wide_s, name, clock=clocks[0], strategy=strategy)
    b = measurement("avx2", narrow_s, name, clock=clocks[1], strategy=strategy)
    return IsaComparison(a, b, Ratio(value, value - 0.01, value + 0.01, 25))


def test_the_time_decides_and_the_clocks_are_named():
    assert conclusion([compared(0.75e-3, 1e-3, clocks=(3e9, 3.6e9))]) == (
        "With avx512 (512 bits) microkernel nhwc on 1 thread takes 0.75 times (0.74 to 0.76) as "
        "long as with avx2 (256 bits), 2.25 Mcycles at 3.00 GHz against 3.60 Mcycles at 3.60 GHz: "
        "use avx512."
    )


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (Ratio(0.7, 0.6, 0.8, 25), "use avx512."),
        (Ratio(1.3, 1.2, 1.4, 25), "use avx2."),
        (Ratio(1.0, 0.99, 1.01, 25), "both are equally fast."),
        (Ratio(1.0, 0.9, 1.1, 25), "the intervals do not decide."),
    ],
)
def test_the_advice_follows_from_the_interval(ratio, words):
    one = dataclasses.replace(compared(1.0, 1.0), ratio=ratio)
    assert conclusion([one]).endswith(f"as long as with avx2 (256 bits): {words}")


def test_of_several_strategies_the_fastest_counts():
    slow = compared(4e-3, 2e-3, strategy="im2col")
    fast = compared(1e-3, 1.5e-3)
    assert "microkernel" in conclusion([slow, fast])


def test_several_problems():
    many = [
        compared(0.5, 1.0, "a", clocks=(3e9, 4e9)),
        compared(0.5, 1.0, "b", clocks=(3e9, 4e9)),
        compared(2.0, 1.0, "c", clocks=(3e9, 4e9)),
    ]
    assert conclusion(many) == (
        "avx512 (512 bits) takes 0.79 times as long as avx2 (256 bits) (geometric mean) at 3.00 "
        "against 4.00 GHz, faster on 2 and slower on 1 of 3 problems: use avx512."
    )


def test_nothing_is_concluded_from_a_time_in_doubt():
    one = compared(0.5, 1.0)
    doubtful = dataclasses.replace(one, a=dataclasses.replace(one.a, doubt="its samples differ"))
    assert conclusion([doubtful]) == (
        "The instruction sets cannot be compared, a time is in doubt: its samples differ."
    )
    assert "use avx512" in conclusion([doubtful, compared(0.9, 1.0, "b")])
    slower = compared(1.5, 2.0, strategy="im2col")
    assert "avx512 (512 bits) im2col" in conclusion([doubtful, slower])


def test_an_answer_keeps_its_first_sentences():
    plain = Answer(("One.", "Two.", "Three."), "convprof show x")
    assert added(plain, []) == plain
    found = added(plain, [compared(0.5, 1.0)])
    assert (found.sentences[:2], found.command) == (("One.", "Two."), "convprof show x")
    assert "use avx512" in found.sentences[2]


def test_only_generated_kernels_take_part_for_each_instruction_set():
    choice = Choice(strategies=("packed", "tiled"), isas=("sse", "avx2"))
    found = contestants(Gemm(m=4, n=5, k=6), choice)
    assert [(c.strategy.name, c.isa) for c in found] == [
        ("packed", "sse"),
        ("packed", "avx2"),
        ("tiled", None),
    ]
    assert found[0].label == "packed sse 1 thread"
    assert found[2].label == "tiled 1 thread"


def test_comparisons_come_back_from_a_document():
    one = compared(0.75e-3, 1e-3)
    (found,) = isas.read([one.to_json()], [one.b, one.a])
    assert found == one


def test_the_sets_are_compared_where_nothing_else_is_answered():
    pair = compared(1e-3, 2e-3)
    assert added(None, [pair]) == Answer((conclusion([pair]),))
    assert added(None, []) is None
