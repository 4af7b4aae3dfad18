"""Where convprof is ahead, in sentences that follow from fixed ratios."""

from __future__ import annotations

import dataclasses

import pytest

from convprof.render.compare.peers import total_line
from convprof.results import Measurement, Time
from convprof.stats import Ratio
from convprof.studies.compare.peers import Standing, totals
from convprof.studies.compare.peers_answer import answer, nothing_compared


def measurement(strategy, name, threads=1):
    return Measurement(
        problem={"kind": "conv2d", "descriptor": f"{name}-text", "name": name},
        strategy=strategy, layout="nhwc", dtype="f32", threads=threads, cache="hot", status="ok",
        time_s=Time(1.0, 0.0, 0.99, 1.01, 1.0, 25, 3),
    )  # fmt: skip


def standing(name, library_by_ours, threads=1, peer="torch"):
    ratio = Ratio(library_by_ours, library_by_ours - 0.02, library_by_ours + 0.02, 25)
    ours, theirs = (measurement(who, name, threads) for who in ("auto", peer))
    return Standing(ours, theirs, ratio.inverse)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (Ratio(1.2, 1.18, 1.21, 25), "takes 1.20 times (1.18 to 1.21) as long as convprof's auto nhwc: convprof is faster."),  # noqa: E501
        (Ratio(0.8, 0.7, 0.9, 25), "takes 0.80 times (0.70 to 0.90) as long as convprof's auto nhwc: convprof is slower."),  # noqa: E501
        (Ratio(1.0, 0.99, 1.01, 25), "both are equally fast."),
        (Ratio(1.0, 0.9, 1.1, 25), "the intervals do not decide."),
        (Ratio(1.3, None, None, 3), "takes 1.30 times as long"),
    ],
)  # fmt: skip
def test_one_problem(ratio, words):
    one = dataclasses.replace(standing("conv", 1.0), ratio=ratio.inverse)
    (sentence,) = answer([one]).sentences
    assert sentence.startswith("On 1 thread the fastest library, torch nhwc, ")
    assert words in sentence
    assert answer([one]).command == "convprof roofline conv-text -s auto,torch -t 1"


def test_several_problems_how_many_are_won_and_who_wins_the_worst():
    many = [standing("a", 1.5), standing("b", 1.5), standing("c", 0.8, peer="onnxruntime")]
    assert answer(many).sentences == (
        ("On 1 thread convprof is ahead of the fastest library on 2 of 3 problems, behind on 1; "
        "the library takes 1.22 times as long (geometric mean)."),
        "onnxruntime nhwc wins most clearly at c on 1 thread: 1.25 times (1.22 to 1.28) as fast.",
    )  # fmt: skip
    assert answer(many).command == "convprof roofline c-text -s auto,onnxruntime -t 1"


def test_several_problems_that_libraries_win_are_named_the_clearest_first():
    names = {"a": 1.5, "b": 0.8, "c": 0.5, "d": 0.9, "e": 0.95}
    many = [standing(name, ratio) for name, ratio in names.items()]
    assert answer(many).sentences[1] == (
        "Libraries win c (torch nhwc, 2.00 times as fast), b (torch nhwc, 1.25 times as fast), "
        "d (torch nhwc, 1.11 times as fast) and 1 more."
    )
    two = [standing("a", 0.5), standing("a", 0.8, 2), standing("b", 2.0)]
    assert "a on 1 thread (torch nhwc, 2.00 times as fast), a on 2 " in answer(two).sentences[-1]


def test_no_library_is_the_fastest_where_one_in_doubt_may_be_faster():
    clear = standing("a", 1.2)
    other = measurement("onnxruntime", "a")
    doubtful = dataclasses.replace(other, doubt="a storm")
    slow = dataclasses.replace(other.time_s, median=9.0, min=9.0)
    assert dataclasses.replace(clear, others=(other,)).doubt is None
    assert (
        dataclasses.replace(clear, others=(dataclasses.replace(doubtful, time_s=slow),)).doubt
        is None
    )
    storm = dataclasses.replace(clear, others=(doubtful,))
    assert answer([storm]).sentences == (
        "No conclusion, the times are in doubt: onnxruntime nhwc may be faster: a storm.",
    )
    assert storm.verdict == "undecided"


def test_totals_are_of_each_problem_once():
    def timed(name, ours_s, torch_s, blas_s=None, doubt=None):
        base = standing(name, 1.5)
        time = base.ours.time_s
        a, b = (
            dataclasses.replace(m, time_s=dataclasses.replace(time, median=s), doubt=doubt)
            for m, s in ((base.ours, ours_s), (base.peer, torch_s))
        )
        blas = dataclasses.replace(
            b, strategy="blas", time_s=dataclasses.replace(time, median=blas_s or 0.0)
        )
        return Standing(a, b, base.ratio, (blas,) if blas_s else ())

    many = [
        timed("a", 1.0, 2.0, 9.0),
        timed("b", 3.0, 4.0),
        timed("c", 70.0, 80.0, doubt="a storm"),
    ]
    (total,) = totals(many, {})
    assert (total.problems, total.count, total.ours_s, total.fastest_s) == (2, 2, 4.0, 6.0)
    assert total.libraries == (("torch", 6.0),)  # blas has not computed b
    assert totals(many[:1], {}) == []
    (total,) = totals(many, {many[1].ours.problem_key: 3})
    assert (total.problems, total.count, total.ours_s, total.fastest_s) == (2, 4, 10.0, 14.0)
    assert total_line(total).startswith(
        "total of 2 problems, each as often as it was named (4 layers), on 1 thread: convprof 10"
    )


def test_ahead_everywhere_the_closest_is_named():
    many = [standing("a", 1.5), standing("b", 1.2, 2), standing("c", 1.3, 4), standing("d", 2.0)]
    sentences = answer(many).sentences
    assert len(sentences) == 3
    assert sentences[-1] == (
        "The closest is torch nhwc at b on 2 threads: 1.20 times (1.18 to 1.22) as long."
    )


def test_a_backward_pass_has_no_roofline():
    one = standing("a", 1.5)
    problem = {**one.ours.problem, "kind": "conv2d-backward-data"}
    ours = dataclasses.replace(one.ours, problem=problem)
    command = answer([dataclasses.replace(one, a=ours)]).command
    assert command == "convprof run a-text --pass backward-data -s auto,torch -t 1 --phases"


def test_nothing_compared():
    assert answer([]) is None


def alone(strategy="auto", **fields):
    problem = {"kind": "gemm", "descriptor": "8x8:8x8", "name": None, **fields}
    return dataclasses.replace(measurement(strategy, None), problem=problem, layout=None)


def test_one_side_alone_has_an_answer_and_a_next_command():
    short = dataclasses.replace(alone(epilogue="bias,relu"), dtype="u8:s8:u8")
    given = nothing_compared([short])
    assert given.sentences == (
        "No library computed 8x8:8x8 + bias, relu in u8:s8:u8 here: auto takes 1.00 s.",
    )
    assert given.command == "convprof compare peers 8x8:8x8 --dtype u8:s8:u8"
    given = nothing_compared([alone()])
    assert given.sentences == ("No library computed 8x8:8x8 here: auto takes 1.00 s.",)
    assert given.command == "convprof run 8x8:8x8 -s auto -t 1 --asm"
    (sentence,) = nothing_compared([alone("torch")]).sentences
    assert sentence == "convprof did not compute 8x8:8x8 here: torch takes 1.00 s."
    refused = dataclasses.replace(alone(), status="refused", time_s=None)
    assert nothing_compared([refused]) is None


def test_times_in_doubt_are_not_concluded_from():
    one = standing("a", 9.0)
    wrong = dataclasses.replace(one, a=dataclasses.replace(one.ours, doubt="over the peak"))
    assert answer([wrong]).sentences == ("No conclusion, the times are in doubt: over the peak.",)
    assert answer([wrong]).command.endswith(" --wait-idle")
    assert (
        answer([wrong, standing("b", 1.2)])
        .sentences[0]
        .startswith(
            "On 1 thread convprof is ahead of the fastest library on 1 of 1 problems, 1 more"
        )
    )
