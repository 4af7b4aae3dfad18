"""Saved results against earlier ones: what is called a change, by what, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from saved_runs import document, problem, side, timed, without_rounds

from convprof.studies.compare import results, results_files
from convprof.studies.compare.results_answer import answer, fails
from convprof.studies.compare.results_machines import facts

V1 = Path(__file__).parents[2] / "data" / "v1"
BASE = document(timed(1e-3, seed=1))


def compare(base, new, basis=None):
    return results.compare(side(base, name="base"), side(new, name="new"), basis)


def only(compared):
    (row,) = compared.rows
    return row


def test_a_run_is_the_same_as_another_run():
    row = only(compare(BASE, document(timed(1e-3, seed=2))))
    assert (row.verdict, row.doubt) == ("same", None)
    assert row.ratio.low < 1 < row.ratio.high


@pytest.mark.parametrize(
    ("share", "verdict"), [(1.05, "slower"), (1.5, "slower"), (0.95, "faster")]
)
def test_a_change_is_found(share, verdict):
    row = only(compare(BASE, document(timed(share * 1e-3, seed=2))))
    assert row.verdict == verdict
    assert row.ratio.value == pytest.approx(share, rel=0.01)
    assert row.ratio.low < share < row.ratio.high


def test_a_change_within_two_per_cent_is_none():
    row = only(compare(BASE, document(timed(1.006e-3, seed=2, noise=0.001))))
    assert row.verdict == "same"
    assert row.ratio.low < 1  # the rounds alone would tell them apart


def test_200_self_comparisons_and_200_slow_downs():
    """The rates of tests/benchmarks/result_rates.py, with what two runs differ by."""
    alarms = found = 0
    for seed in range(0, 600, 3):
        drift = 1 + 0.005 * ((seed % 5) - 2) / 2
        base = document(timed(1e-3, seed=seed, noise=0.012))
        alarms += bool(compare(base, document(timed(drift * 1e-3, seed + 1, 0.012))).changed)
        slow = document(timed(1.05 * drift * 1e-3, seed + 2, 0.012))
        found += only(compare(base, slow)).verdict == "slower"
    assert alarms < 0.01 * 200
    assert found >= 0.95 * 200


def test_a_time_in_doubt_is_no_change():
    doubtful = timed(2e-3, seed=2, doubt="other programs used 2.0 of 2 CPUs")
    row = only(compare(BASE, document(doubtful)))
    assert (row.verdict, row.doubt) == ("undecided", "other programs used 2.0 of 2 CPUs")
    assert not row.is_slower_by(0.05)


def test_another_clock_compares_cycles():
    slow_clock = compare(BASE, document(timed(1e-3, seed=2, clock=2.4e9)))
    assert slow_clock.choice.basis == "cycles"
    assert only(slow_clock).verdict == "same"
    assert only(slow_clock).ratios["time"].value == pytest.approx(1.25, rel=0.01)
    assert any(fact.name == "clock" and fact.differs for fact in facts(*slow_clock.hosts))


def test_a_slow_down_of_5_per_cent_is_found_on_another_clock():
    compared = compare(BASE, document(timed(1.05e-3, seed=2, clock=3.6e9)))
    assert only(compared).ratios["time"].value < 1  # seconds would call it faster
    assert only(compared).verdict == "slower"


def test_a_time_that_memory_decides_is_no_slow_down_on_a_faster_clock():
    same_seconds = timed(1.2e-3, seed=2, clock=3.6e9, bound="memory")  # 1 ms, more cycles
    row = only(compare(document(timed(1e-3, seed=1, bound="memory")), document(same_seconds)))
    assert row.verdict == "undecided"
    assert row.ratio.low < 1.01
    assert row.ratio.high > 1.19
    forced = compare(document(timed(1e-3, bound="memory")), document(same_seconds), "cycles")
    assert only(forced).verdict == "slower"  # the user chose it


def test_another_machine_compares_shares_of_the_peak():
    other = {"key": "ba9876543210", "brand": "Another CPU"}
    twice = compare(BASE, document(timed(2e-3, seed=2, clock=2e9, peak=PEAK_HALF), **other))
    assert (twice.choice.basis, only(twice).verdict) == ("peak", "same")
    assert {fact.name for fact in facts(*twice.hosts) if fact.differs} == {"CPU", "clock"}
    slower = compare(BASE, document(timed(2.1e-3, seed=2, clock=2e9, peak=PEAK_HALF), **other))
    assert only(slower).verdict == "slower"
    memory = timed(2.1e-3, seed=2, peak=PEAK_HALF, bound="memory")
    assert "memory" in only(compare(BASE, document(memory, **other))).doubt


PEAK_HALF = 0.5e11


def test_what_has_no_share_of_the_peak_is_undecided_on_another_machine():
    pool = timed(1e-3, seed=2, peak_fraction=None)
    rows = (timed(1e-3), pool | {"strategy": "x"})
    other = compare(document(*rows), document(*rows, key="ba9876543210"))
    assert [row.verdict for row in other.rows] == ["same", "undecided"]
    assert other.rows[1].doubt == "no share of the peak is known on both sides"


def test_two_machines_of_one_key_and_the_user_wants_seconds():
    compared = compare(BASE, document(timed(1e-3, seed=2, clock=2.4e9)), "time")
    assert (compared.choice.basis, only(compared).verdict) == ("time", "slower")


def test_the_time_stamp_counter_does_not_count_cycles():
    ticks = {"per_call": 3e6, "per_flop": 1.0, "source": "tsc", "core_hz": 2e9}
    compared = compare(BASE, document(timed(1e-3, seed=2, cycles=ticks)))
    assert compared.choice.basis == "cycles"
    assert only(compared).doubt == "core cycles are not known on both sides"


def test_documents_without_rounds_are_compared_by_their_intervals():
    slow = document(timed(1.1e-3, seed=2, noise=0.005))
    quiet = document(timed(1e-3, seed=1, noise=0.005))
    for base, new in ((without_rounds(quiet), slow), (quiet, without_rounds(slow))):
        row = only(compare(base, new))
        assert row.verdict == "slower"
        assert row.ratio.low < 1.1 < row.ratio.high
    few = without_rounds(quiet)
    few["measurements"][0]["time_s"].update(ci95_low=None, ci95_high=None)
    assert only(compare(few, slow)).verdict == "undecided"


@pytest.mark.parametrize("name", ["run.json", "peers.json", "layouts.json", "peers.json.journal"])
def test_a_document_of_version_1_against_itself(name):
    old = results_files.read(str(V1 / name))
    compared = results.compare(old, old)
    assert compared.rows
    assert compared.changed == []
    assert {row.ratio.value for row in compared.rows} == {1.0}
    assert compared.only == (0, 0)


KEYS = {
    "problem": {"problem": problem(n=32)},
    "strategy": {"strategy": "blas"},
    "type": {"dtype": "f64"},
    "threads": {"threads": 2},
    "cache": {"cache": "cold"},
}


@pytest.mark.parametrize("dimension", [*KEYS, "layout", "instruction set"])
def test_nothing_matches_and_it_is_said_why(dimension):
    settings = {"settings": {"isa": "avx2"}} if dimension == "instruction set" else {}
    layouts = ("nchw", "nhwc") if dimension == "layout" else (None, None)
    base, new = (timed(1e-3, layout=layout) for layout in layouts)
    compared = compare(document(base), document(new | KEYS.get(dimension, {}), **settings))
    assert compared.rows == []
    reason, dimensions = compared.unmatched
    assert [each.dimension for each in dimensions] == [dimension]
    assert reason == f"no {dimension} is on both sides"
    assert answer([compared]).sentences == ("Nothing matches: no measurement is on both sides.",)


def test_a_name_is_no_difference_but_tells_equal_layers_apart():
    one = compare(document(timed(1e-3, problem=problem("a"))), document(timed(1e-3)))
    assert len(one.rows) == 1
    layers = [timed(1e-3, seed, problem=problem(name)) for seed, name in enumerate("abc")]
    slow = [timed(2e-3, 4, problem=problem("b")), timed(1e-3, 5, problem=problem("c"))]
    rows = compare(document(*layers), document(*slow)).rows
    assert [(row.a.first.problem["name"], row.verdict) for row in rows] == [
        ("b", "slower"),
        ("c", "same"),
    ]


def test_several_files_of_a_side_are_pooled():
    base = side(*(document(timed(1e-3, seed)) for seed in range(3)))
    new = side(document(timed(1.05e-3, 7)), document(timed(2e-3, 8, doubt="disturbed")))
    row = only(results.compare(base, new))
    assert (len(row.b.measurements), len(row.a.measurements)) == (3, 1)
    assert (row.verdict, row.doubt) == ("slower", None)


def test_a_strategy_that_now_computes_wrongly_is_lost_and_fails_the_limit():
    wrong = timed(1e-3, status="wrong", reason="max_rel_error 1", time_s=None)
    compared = compare(BASE, document(wrong))
    assert (compared.rows, len(compared.lost), compared.only) == ([], 1, (0, 0))
    assert fails([compared], 0.05)
    assert not fails([compared], None)
    refused = timed(1e-3, status="refused", reason="no", time_s=None)
    assert compare(BASE, document(refused)).lost == []


def test_the_limit_needs_a_whole_interval_beyond_it():
    slower = compare(BASE, document(timed(1.05e-3, seed=2)))
    assert fails([slower], 0.03)
    assert not fails([slower], 0.05)
    assert "1 interval is wholly beyond 3 % slower" in answer([slower], 0.03).sentences[1]
    assert answer([slower], 0.05).sentences[1].startswith("No interval is wholly beyond 5 %")


def test_versions_and_load_are_compared():
    settings = {"isa": "native", "versions": {"numba": "0.63", "other": 1}}
    new = document(timed(1e-3), load=0.5, tool_version="1.1", settings=settings)
    differ = {f.name: (f.base, f.new) for f in facts(*compare(BASE, new).hosts) if f.differs}
    assert differ == {
        "other programs": ("0.0 CPUs", "1.0 CPUs"),
        "convprof": ("1.0", "1.1"),
        "numba": ("0.62", "0.63"),
    }


def test_the_document_follows_the_schema(invalid):
    named = side(BASE, name="base")
    news = [
        document(timed(1.1e-3, 2), timed(1e-3, strategy="blas")),
        document(timed(1e-3, status="failed", reason="x", time_s=None), key="ba9876543210"),
    ]
    compared = [results.compare(named, side(new)) for new in news]
    made = results.document(compared, "slower:5%", answer(compared, 0.05))
    assert invalid(json.loads(json.dumps(made, allow_nan=False))) == []
    first, second = made["comparisons"]
    assert first["rows"][0]["verdict"] == "slower"
    assert (first["only_new"], second["only_base"], len(second["lost"])) == (1, 0, 1)
    assert made["answer"]["command"].startswith("convprof run 64x64:64x64 -s packed -t 1")


def test_the_largest_change_is_told_by_what_it_was_compared():
    base = side(BASE)
    news = [document(timed(1e-3, 2)), document(timed(1.2e-3, 3, clock=2.4e9))]
    made = answer([results.compare(base, side(new)) for new in news])
    first, second = made.sentences
    assert first.startswith("Of 2 measurements in all files 1 is slower and 1 is the same")
    assert first.endswith(", takes 1.20 times the core cycles.")
    assert second == "Compared by core cycles, not by seconds: the core clocks differ."


def test_one_verdict_for_all_is_said_so():
    rows = [timed(1e-3, seed, problem=problem(n=seed)) for seed in (1, 2)]
    made = answer([compare(document(*rows), document(*rows))])
    assert made.sentences == ("All 2 measurements are the same within 2 %.",)
