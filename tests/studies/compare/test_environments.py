"""Comparisons of environments: from a session, from a document, and their answer."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from compared_environments import FACTS, failed, measurement, pair, sides

from convprof import stats
from convprof.errors import InputError
from convprof.measure.isolated.environment import Environment
from convprof.problems import Gemm
from convprof.results import plain
from convprof.stats import Ratio
from convprof.studies import reading
from convprof.studies.compare import environments, process_runs, results_spread
from convprof.studies.compare.environments_answer import answer, fails
from convprof.studies.run import Choice, contestants

A, B, C = (Environment(name, f"{name}/bin/python", modules=("torch",)) for name in "ABC")


def test_every_contestant_computes_in_every_environment():
    choice = Choice(strategies=("blas",), environments=(A, B))
    labels = [each.label for each in contestants(Gemm(m=4, n=4, k=4), choice)]
    assert labels == ["blas in A 1 thread", "blas in B 1 thread"]


def test_by_default_our_best_strategy_and_the_libraries_that_an_environment_has():
    names = environments.chosen(Gemm(m=4, n=4, k=4), Choice(environments=(A,))).strategies
    assert names == ("auto", "blas", "torch")
    bare = Environment("A", "python")
    assert environments.chosen(Gemm(m=4, n=4, k=4), Choice(environments=(bare,))).strategies == (
        "auto",
        "blas",
    )
    named = Choice(strategies=("naive",), environments=(A,))
    assert environments.chosen(Gemm(m=4, n=4, k=4), named) is named


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (1.05, 1.03, 1.07, "slower"),
        (1.03, 1.019, 1.04, "undecided"),
        (1.0, 0.985, 1.015, "same"),
        (0.9, 0.89, 0.91, "faster"),
        (0.97, 0.96, 0.985, "undecided"),
    ],
)
def test_a_change_is_a_whole_interval_beyond_2_percent(value, low, high, verdict):
    assert pair(value, low=low, high=high).verdict == verdict


def test_the_interval_has_the_spread_of_two_processes():
    exact = Ratio(1.03, 1.03, 1.03, 25)
    assert exact.change == "slower"
    widened = results_spread.of_processes([exact], 1e-3)
    assert widened.low == pytest.approx(1.03 / 1.0127, rel=1e-3)
    assert widened.change == "undecided"


def test_a_call_of_a_microsecond_differs_more_between_processes():
    exact = Ratio(1.06, 1.06, 1.06, 25)
    assert results_spread.of_processes([exact], 1e-5).change == "slower"
    assert results_spread.of_processes([exact], 1e-6).change == "undecided"
    assert results_spread.of_processes([exact], 1e-30).doubt is not None


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.03] * 4, "slower"),
        ([1.03], "undecided"),
        ([1.01, 1.05], "undecided"),
        ([1.03, 1.6, 1.03, 1.03], "undecided"),
    ],
)
def test_several_processes_make_the_interval_narrower_unless_they_differ(values, verdict):
    ratios = [Ratio(value, 0.999 * value, 1.001 * value, 25) for value in values]
    together = results_spread.of_processes(ratios, 1e-3)
    assert together.change == verdict
    assert together.value == pytest.approx(stats.geometric_mean(values))
    assert together.rounds == 25 * len(values)
    unknown = results_spread.of_processes([*ratios, Ratio(1.0, None, None, 2)], 1e-3)
    assert (unknown.low, unknown.high) == (None, None)


def test_a_contestant_of_several_processes_is_one_row_and_its_failure_another():
    runs = [
        [measurement("A", seconds=s), measurement("B", seconds=2 * s)] for s in (1e-3, 3e-3, 2e-3)
    ]
    assert [m.time_s.median for m in process_runs.joined(runs)] == [2e-3, 4e-3]
    doubtful = dataclasses.replace(runs[2][1], doubt="other programs")
    rows = process_runs.joined([runs[0], runs[1], [runs[2][0], doubtful]])
    assert rows[1].time_s.median == 2e-3
    rows = process_runs.joined([*runs[:2], [runs[2][0], failed("B")]])
    assert [m.status for m in rows] == ["ok", "ok", "failed"]
    assert rows[2].reason.startswith("in 1 of 3 processes: ")
    assert [m.status for m in process_runs.joined([[failed("B")], [failed("B")]])] == ["failed"]


def test_a_pair_in_doubt_counts_only_where_all_are():
    sure = process_runs.Pair(measurement("B"), measurement("A"), Ratio(1.1, 1.1, 1.1, 9))
    other = dataclasses.replace(sure, ratio=Ratio(2.0, 1.0, 9.0, 9))
    assert process_runs.trusted([sure, other]) == [sure]
    assert process_runs.trusted([other]) == [other]
    assert process_runs.ratio_of([sure]).value == pytest.approx(1.1)


def drawn(random_, slow=1.0):
    """Return a ratio as 25 rounds of two processes give it: drift, noise, disturbed rounds."""
    drift, times = 0.0, []
    errors = [random_.gauss(0, results_spread.ASSUMED) for _ in "AB"]
    for _ in range(25):
        drift += random_.gauss(0, 0.003)
        noise = [random_.gauss(0, 0.01) + (random_.random() < 0.05) * 0.3 for _ in "AB"]
        times.append([math.exp(drift + e + n) for e, n in zip(errors, noise, strict=True)])
    base, other = zip(*times, strict=True)
    ratio = stats.paired_ratio([slow * t for t in other], base)
    return results_spread.of_processes([ratio], base[0])


def test_comparisons_with_itself_are_no_change_and_5_percent_are_found():
    random_ = random.Random(0)
    same = [drawn(random_).change for _ in range(200)]
    assert set(same) <= {"same", "undecided"}
    assert same.count("same") > 80
    slow = [drawn(random_, 1.05).change for _ in range(200)]
    assert slow.count("slower") > 190
    assert sum(drawn(random_, 1.05).is_slower_by(0.05) for _ in range(200)) < 10


def test_a_document_gives_the_comparisons_back():
    comparisons = [pair(1.2), pair(0.8, strategy="torch"), pair(1.0, environment="C")]
    measurements = [reading.measurement(_written(m)) for m in sides(comparisons)]
    read = environments.read([each.to_json() for each in comparisons], measurements)
    assert [(each.a.environment, each.b.environment, each.verdict) for each in read] == [
        ("B", "A", "slower"),
        ("B", "A", "faster"),
        ("C", "A", "same"),
    ]
    assert [each.ratio for each in read] == [each.ratio for each in comparisons]


def _written(m):
    return {**plain(m), "flops": {"direct": 1, "executed": 1}, "bytes_min": 1}


def test_damaged_environments_of_a_document_are_refused():
    with pytest.raises(InputError):
        environments.facts({"environments": [{"name": 3}]})


def test_the_answer_about_one_row_has_its_ratio():
    one = pair(1.2, low=1.1, high=1.3)
    given = answer([one], sides([one]), FACTS[:2])
    assert given.sentences == (
        (
            "8x8:8x8, blas on 1 thread, takes 1.20 times (1.10 to 1.30) as long in B as in A: "
            "B is slower."
        ),
    )
    assert given.repeats


def test_the_answer_about_several_rows_names_the_worst_and_compares_it_alone():
    rows = [pair(1.2), pair(1.5, strategy="torch"), pair(0.9, size=9)]
    given = answer(rows, sides(rows), FACTS[:2])
    assert given.sentences == (
        (
            "Of 3 measurements in B 2 are slower and 1 is faster: 8x8:8x8, torch on 1 thread, "
            "takes 1.50 times (1.50 to 1.50) as long as in A."
        ),
    )
    same = "convprof compare commands 8x8:8x8 -s torch -t 1"
    assert given.command == f"{same} --python A/bin/python --python B/bin/python"


def test_a_document_without_its_environments_has_an_answer():
    assert "B is slower" in answer([pair(1.2)], sides([pair(1.2)]), []).sentences[0]


def test_each_further_environment_has_a_sentence():
    rows = [pair(1.2), pair(1.0, environment="C")]
    assert len(answer(rows, sides(rows), FACTS).sentences) == 2


def test_a_limit_fails_where_a_whole_interval_is_beyond_it_or_a_result_is_lost():
    slow, lost = pair(1.06, low=1.04, high=1.08), failed("B", strategy="torch")
    rows = [*sides([slow]), measurement("A", strategy="torch"), lost]
    assert environments.lost(rows) == [lost]
    assert not fails([slow], sides([slow]), 0.05)
    assert fails([slow], sides([slow]), 0.03)
    assert fails([slow], rows, 0.05)
    assert not fails([slow], rows, None)
    sentences = answer([slow], rows, FACTS[:2], 0.05).sentences
    assert sentences[1:] == (
        "8x8:8x8, torch in B 1 thread: failed, with a time in A.",
        "The limit is exceeded: a result that is lost counts as slower.",
    )


def test_what_fails_in_the_base_too_is_not_lost():
    assert environments.lost([failed("A"), failed("B")]) == []


def test_nothing_to_compare_is_said():
    only = measurement("A", strategy="torch")
    assert "Nothing is compared" in answer([], [only], FACTS[:2]).sentences[0]
    assert answer([], [], FACTS[:2]) is None


def test_times_in_doubt_decide_nothing():
    doubtful = pair(2.0, doubt="other programs ran")
    given = answer([doubtful], sides([doubtful]), FACTS[:2], 0.05)
    assert given.sentences[0] == "No conclusion: other programs ran."
    assert not fails([doubtful], sides([doubtful]), 0.05)


def test_versions_that_differ_are_told_apart():
    one = environments.Facts("A", "a", {"numpy": "2.0", "torch": "2.12"}, lent=False)
    other = environments.Facts("B", "b", {"numpy": "2.0"}, lent=True)
    found = environments.versions([one, other])
    assert [(each.program, each.differs) for each in found] == [("numpy", False), ("torch", True)]
    assert found[1].versions == ("2.12", None)
