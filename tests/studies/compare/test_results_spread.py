"""What runs of one program differ by belongs to the interval, wherever it is known from."""

from __future__ import annotations

import random

import pytest
from saved_runs import document, problem, side, timed

from convprof.studies.compare import results
from convprof.studies.compare.results_spread import ASSUMED

ROWS = 24


def run(seed, spread, slower=1.0, rows=ROWS):
    """Return a document whose rows have an error of the run; the last row is slower."""
    draw = random.Random(seed)
    factors = [draw.lognormvariate(0, spread) for _ in range(rows)]
    factors[-1] *= slower
    return document(
        *(
            timed(factor * 1e-3, 1000 * seed + at, 0.003, problem=problem(n=at + 1))
            for at, factor in enumerate(factors)
        )
    )


def compare(base, new):
    return results.compare(side(*base), side(*new))


def test_rows_that_differ_between_runs_show_the_spread_and_are_no_change():
    compared = [compare([run(seed, 0.02)], [run(seed + 1, 0.02)]) for seed in range(0, 12, 2)]
    assert {each.spread.source for each in compared} == {"rows"}
    assert all(0.01 < each.spread.deviation < 0.04 for each in compared)
    assert sum(len(each.changed) for each in compared) <= 2


def test_a_common_factor_is_no_spread_and_is_found():
    new = run(2, 0.001)
    scaled = document(*(timed(1.06e-3, at, 0.003, problem=problem(n=at + 1)) for at in range(ROWS)))
    compared = compare([new], [scaled])
    assert (compared.spread.deviation, compared.spread.source) == (ASSUMED, "assumed")
    assert len(compared.of("slower")) == ROWS


def test_one_slower_row_does_not_hide_itself():
    compared = compare([run(1, 0.002)], [run(2, 0.002, slower=1.05)])
    assert [row.a.first.problem["n"] for row in compared.of("slower")] == [ROWS]


@pytest.mark.parametrize(
    ("seconds", "verdict"), [((1.0, 1.3, 1.1), "undecided"), ((1.2,) * 3, "slower")]
)
def test_several_runs_of_a_row_show_its_own_spread(seconds, verdict):
    base = [document(timed(1e-3, seed, 0.003)) for seed in range(3)]
    new = [document(timed(s * 1e-3, 9 + at, 0.003)) for at, s in enumerate(seconds)]
    (row,) = compare(base, new).rows
    assert row.verdict == verdict


def test_more_runs_narrow_the_interval():
    widths = []
    for files in (1, 2, 6):
        base = [document(timed(1e-3, seed, 0.003)) for seed in range(files)]
        new = [document(timed(1e-3, 50 + seed, 0.003)) for seed in range(files)]
        (row,) = compare(base, new).rows
        widths.append(row.ratio.high / row.ratio.low)
    assert widths == sorted(widths, reverse=True)


def test_the_limit_of_a_gate_has_the_spread_too():
    (row,) = compare([document(timed(1e-3, 1, 0.001))], [document(timed(1.055e-3, 2, 0.001))]).rows
    assert row.verdict == "slower"
    assert not row.is_slower_by(0.05)  # 5.5 % less the spread of two runs


def threaded_run(seed):
    """Return nine rows of one thread that repeat well, and four of two threads that do not."""
    draw = random.Random(seed)
    return document(
        *(
            timed(
                draw.lognormvariate(0, 0.1 if at < 4 else 0.001) * 1e-3,
                1000 * seed + at, 0.003, problem=problem(n=at + 1), threads=2 if at < 4 else 1,
            )
            for at in range(13)
        )
    )  # fmt: skip


def test_rows_of_several_threads_have_a_spread_of_their_own():
    compared = [compare([threaded_run(seed)], [threaded_run(seed + 1)]) for seed in range(0, 12, 2)]
    assert {each.spread.deviation for each in compared} == {ASSUMED}
    assert all(each.spread.threaded > ASSUMED for each in compared)
    assert sum(len(each.changed) for each in compared) <= 2
