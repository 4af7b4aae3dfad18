"""Contestants whose time contradicts another one are measured again, once or twice."""

from __future__ import annotations

import pytest

from convprof.measure.events import Sampled
from convprof.measure.participant import Suspect
from convprof.studies.network import study as network_study

LIMIT_S = 2e-3


def run(scene, *strategies, then=None):
    """Return the results of a session in which more than 2 ms are suspect, and its samples.

    ``then`` is called after the first rounds: the disturbance may end.
    """
    session = scene.session(*strategies, rounds=3)
    asked = []

    def suspects():
        found = [
            Suspect(p, "far above")
            for p in session.participants
            if sorted(p.seconds.values())[len(p.seconds) // 2] > LIMIT_S
        ]
        if then is not None and not asked:
            then()
        asked.append([suspect.participant.contestant.strategy.name for suspect in found])
        return found

    session.suspects = suspects
    sampled = [e.label.split()[0] for e in session.events() if isinstance(e, Sampled)]
    return {m.strategy: m for m in session.measurements()}, asked, sampled


def test_nobody_is_suspect(scene):
    found, asked, sampled = run(scene, scene.strategy("a", (1e-3,)))
    assert (found["a"].doubt, asked, len(sampled)) == (None, [[]], 3)


def test_a_suspect_is_measured_again_and_the_others_are_not(scene):
    disturbed = scene.strategy("disturbed", (9e-3,))

    def ends():
        disturbed.seconds = (1e-3,)

    found, asked, sampled = run(scene, disturbed, scene.strategy("calm", (1e-3,)), then=ends)
    assert asked == [["disturbed"], []]
    assert found["disturbed"].time_s.median == pytest.approx(1e-3)
    assert found["disturbed"].doubt is None
    assert sampled.count("calm") == 3
    assert sampled.count("disturbed") == 6


def test_a_suspect_that_stays_so_is_in_doubt(scene):
    found, asked, sampled = run(scene, scene.strategy("slow", (9e-3,)))
    assert (found["slow"].doubt, len(asked), len(sampled)) == ("far above", 3, 9)


def test_the_faster_samples_are_kept(scene):
    slower = scene.strategy("slower", (3e-3,))

    def begins():
        slower.seconds = (9e-3,)

    found, _, _ = run(scene, slower, then=begins)
    assert found["slower"].time_s.median == pytest.approx(3e-3)


def test_hot_layers_far_above_the_chain_are_suspect():
    assert network_study.doubts.of_chain(1.0e-3, 0.9e-3) is None
    assert network_study.doubts.of_chain(8e-6, 2e-6) is None  # the clock's own time
    assert network_study.doubts.of_chain(3.0e-3, 1e-3) == "3.0 times as long as within the chain"
