"""Whole programs in rounds: order, failures, ratios, the document and the answer."""

from __future__ import annotations

import pytest

from convprof.machine.noise import NoiseWatch
from convprof.measure import programs as runs
from convprof.measure.events import Sampled
from convprof.measure.programs import ProgramError, ProgramRun
from convprof.studies.compare.programs import Program, Programs, Settings, document_of, lost
from convprof.studies.compare.programs_answer import answer, fails


@pytest.fixture
def study(monkeypatch):
    """Return a function that makes a study of programs whose times are known."""
    order = []

    def make(times, **settings):
        """``times``: seconds by letter, or functions of the number of the run."""
        taken = dict.fromkeys(times, 0)

        def run(words, *_):
            name = words[0]
            order.append(name)
            taken[name] += 1
            time = times[name]
            return ProgramRun(time(taken[name]) if callable(time) else time, 0.5)

        monkeypatch.setattr(runs, "run", run)
        all_programs = [Program(name, f"program {name}", (name,)) for name in times]
        made = Programs(all_programs, Settings(**settings), {})
        made.order = order
        return made

    return make


def crash(number):
    raise ProgramError(f"it crashed in run {number}")


def test_every_round_has_every_program_in_shuffled_order(study):
    measured = study({"A": 1.0, "B": 1.5}, rounds=8)
    events = [event for event in measured.events() if isinstance(event, Sampled)]
    assert measured.order[:2] == ["A", "B"]  # the warm-ups
    rounds = [tuple(measured.order[at : at + 2]) for at in range(2, len(measured.order), 2)]
    assert len(rounds) == 8
    assert set(rounds) == {("A", "B"), ("B", "A")}
    assert events[-1].remaining_s == 0
    assert events[0].rounds == 8


@pytest.mark.parametrize(("seconds", "rounds"), [(100.0, 6), (1.0, 10), (0.01, 25)])
def test_the_budget_decides_the_number_of_rounds(study, seconds, rounds):
    measured = study({"A": seconds, "B": seconds / 2})
    list(measured.events())
    assert [len(program.runs) for program in measured.programs] == [rounds, rounds]


def test_a_slower_program_is_found(study):
    measured = study({"A": 1.0, "B": lambda number: 1.1 + 0.001 * number, "C": 1.0}, rounds=8)
    list(measured.events())
    assert [each.verdict for each in measured.comparisons()] == ["slower", "same"]
    given = answer(measured, 0.05)
    assert given.sentences == (
        "B takes 1.11 times (1.10 to 1.11) as long as A: B is slower.",
        "C takes 1.00 times (1.00 to 1.00) as long as A: both are equally fast.",
        "An interval is wholly beyond 5 % slower: the limit is exceeded.",
    )
    assert not given.repeats
    assert fails(measured, 0.05)
    assert not fails(measured, 0.2)
    assert not fails(measured, None)


def test_one_that_fails_takes_no_further_part_and_is_lost(study):
    measured = study({"A": 1.0, "B": crash, "C": lambda n: crash(n) if n > 3 else 1.0}, rounds=6)
    list(measured.events())
    a, b, c = measured.programs
    assert (len(a.runs), len(b.runs), len(c.runs)) == (6, 0, 2)
    assert (b.reason, c.reason) == ("it crashed in run 1", "it crashed in run 4")
    assert lost(measured) == [b, c]
    assert fails(measured, 0.05)
    assert measured.order.count("B") == 1


def test_where_the_base_fails_nothing_is_lost(study):
    measured = study({"A": crash, "B": 1.0}, rounds=6)
    list(measured.events())
    assert lost(measured) == []
    assert measured.comparisons() == []
    assert answer(measured).sentences == ("A failed: it crashed in run 1.",)


def test_the_document_fits_the_schema(study, invalid):
    measured = study({"A": 1.0, "B": 1.5, "C": crash}, rounds=6)
    list(measured.events())
    document = document_of(
        measured, NoiseWatch(2), {"argv": []}, answer(measured), interrupted=False
    )
    assert invalid(document) == []
    assert document["comparisons"] == [
        {
            "a": "B",
            "b": "A",
            "ratio": 1.5,
            "ci95": [1.5, 1.5],
            "rounds": 6,
            "verdict": "slower",
            "doubt": None,
        }
    ]
    assert document["programs"][1]["rounds_s"] == [1.5] * 6
    assert document["programs"][2]["reason"] == "it crashed in run 1"
    assert document["settings"]["rounds"] == 6


def test_without_the_base_no_further_round_is_run(study):
    measured = study({"A": lambda n: crash(n) if n > 2 else 1.0, "B": 1.0}, rounds=6)
    list(measured.events())
    assert max(len(program.runs) for program in measured.programs) <= 2
