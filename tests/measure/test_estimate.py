"""Simulated commands: the estimate against what really is left."""

import pytest

from convprof.measure.estimate import Estimate
from convprof.measure.events import Auxiliary, Part, Sampled, Started
from convprof.measure.settings import Settings
from convprof.studies.ladder.study import MEASURING_SHARE as LADDER_ROUNDS
from convprof.studies.network.plan_time import probing_share


class Command:
    """Runs on a clock of its own, and records the estimate and the time at every event."""

    def __init__(self):
        self.now = 100.0
        self.estimate = Estimate(lambda: self.now)
        self.seen = []
        self.imported = False
        self.loaded_s = 7.0
        """Of earlier commands in this process as well."""

    def event(self, event):
        self.estimate.see(event)
        self.seen.append((self.now, self.estimate.remaining_s))

    def session(
        self,
        contestants=4,
        rounds=10,
        *,
        preparing_s=0.2,
        sample_s=0.1,
        overhead=1.0,
        imports_s=0.0,
        compiling_s=0.0,
        phases_s=0.0,
        limits_s=(),
    ):
        """Prepare and sample; the first contestant of the command takes ``imports_s`` longer.

        Every contestant compiles for ``compiling_s``. ``overhead``: seconds of a round per second
        that the session predicted before its first sample.
        """
        samples = contestants * rounds
        after_s = phases_s + sum(limits_s)
        for index in range(contestants):
            known_s = after_s * index / contestants
            self.event(Started("a", index, contestants, samples * sample_s, known_s, self.loaded_s))
            self.loaded_s += compiling_s
            self.now += preparing_s + compiling_s + (0.0 if self.imported else imports_s)
            self.imported = True
        left = samples
        for number in range(rounds):
            for _ in range(contestants):
                self.now += sample_s * overhead
                left -= 1
                left_s = left * sample_s * overhead
                self.event(Sampled("a", number + 1, rounds, 0.0, left_s, after_s))
        if phases_s:
            self.event(Auxiliary("phases", after_s))
            self.now += phases_s
        for index, limit_s in enumerate(limits_s):
            self.event(Auxiliary("a limit", sum(limits_s[index:]), once=True))
            self.now += limit_s

    def errors_after(self, fraction):
        """Return the errors of the estimates after a fraction of the time, relative to it all."""
        start, whole = 100.0, self.now - 100.0
        return [
            abs(left - (self.now - at)) / whole
            for at, left in self.seen
            if left is not None and at - start >= fraction * whole
        ]


@pytest.mark.parametrize("overhead", [1.0, 1.3, 3.0])
@pytest.mark.parametrize("preparing_s", [0.02, 0.5, 2.0])
def test_one_session(overhead, preparing_s):
    command = Command()
    command.session(overhead=overhead, preparing_s=preparing_s)
    assert max(command.errors_after(0.5)) < 0.2


@pytest.mark.parametrize("overhead", [1.0, 2.0])
def test_equal_parts_share_their_estimates(overhead):
    command = Command()
    for index in range(5):
        command.event(Part.of(f"problem {index + 1}/5", index, 5))
        command.session(overhead=overhead)
    assert max(command.errors_after(1 / 3)) < 0.15


def test_timed_searches_are_expected_where_they_are_made():
    """The first and the last of six layers are timed; the others and the next problem are not."""
    command = Command()
    searched_s = 0.0
    for index in range(6):
        left_s = 0.6 * ((index < 1) + (index < 6))
        command.event(Started("a", index, 6, 0.6, searched_s=searched_s, searching_s=left_s))
        command.now += 0.05 + 0.6 * (index in {0, 5})
        searched_s += 0.6 * (index in {0, 5})
    for left in reversed(range(60)):
        command.now += 0.01
        command.event(Sampled("a", 1, 10, 0.0, left * 0.01))
    assert max(command.errors_after(1 / 3)) < 0.05


def test_processes_that_are_started_once_are_expected_once():
    """Two of six contestants start a process, of the first of five problems only."""
    command = Command()
    loaded_s = 0.0
    for number in range(5):
        command.event(Part.of("", number, 5))
        for index in range(6):
            starting_s = 0.0 if number else 0.4 * ((index < 3) + (index < 5))
            command.event(Started("a", index, 6, 0.6, loaded_s=loaded_s, starting_s=starting_s))
            spent_s = 0.4 * (not number and index in {2, 4})
            command.now += 0.05 + spent_s
            loaded_s += spent_s
        for left in reversed(range(60)):
            command.now += 0.01
            command.event(Sampled("a", 1, 10, 0.0, left * 0.01))
    assert max(command.errors_after(0.03)) < 0.01


def test_predicted_first_calls_are_expected_of_contestants_that_grew():
    """At the first point contestants take 20 ms, at the second 2 s, which is predicted."""
    command = Command()
    for number, (call_s, seconds) in enumerate([(0.001, 0.1), (2.0, 8.0)]):
        after_s = 8.0 if number == 0 else 0.0
        command.event(Part("", seconds=seconds, after_s=after_s))
        for index in range(2):
            left = 2 - index
            calling_s, predicted = (left * call_s, left) if number else (0.0, 0)
            command.event(
                Started("a", index, 2, 2 * call_s, calling_s=calling_s, predicted=predicted)
            )
            command.now += 0.02 + call_s
        for index in range(2):
            command.now += call_s
            command.event(Sampled("a", 1, 1, 0.0, (1 - index) * call_s))
    assert max(command.errors_after(0.0)) < 0.1


def test_predicted_parts_take_their_seconds_whatever_was_before():
    command = Command()
    parts_s = [0.3, 0.3, 4.0]
    for index, part_s in enumerate(parts_s):
        command.event(Part("", seconds=part_s, after_s=sum(parts_s[index + 1 :])))
        command.session(2, 6, preparing_s=0.05 * part_s, sample_s=0.075 * part_s, imports_s=1.0)
    assert max(command.errors_after(0.0)) < 0.25
    assert max(command.errors_after(1 / 3)) < 0.1


def test_parts_that_grow():
    command = Command()
    seconds = [1.0, 2.0, 4.0, 8.0]
    done = 0.0
    for part_s in seconds:
        command.event(Part("", done / sum(seconds), part_s / sum(seconds)))
        command.session(preparing_s=0.05 * part_s, sample_s=0.02 * part_s)
        done += part_s
    assert max(command.errors_after(1 / 3)) < 0.1


def test_a_part_within_a_part():
    command = Command()
    for index in range(2):
        command.event(Part.of(f"problem {index + 1}/2", index, 2))
        command.event(Part("layers", 0.0, 0.75, inner=True))
        assert command.estimate.title == f"problem {index + 1}/2, layers, "
        command.session(rounds=30)
        command.event(Part("chains", 0.75, 0.25, inner=True))
        command.session(rounds=10)
    assert max(command.errors_after(1 / 3)) < 0.15


def test_a_new_problem_forgets_the_inner_part():
    command = Command()
    command.event(Part("layers", 0.5, 0.5, inner=True))
    command.event(Part.of("problem 2/2", 1, 2))
    assert command.estimate.title == "problem 2/2, "


def test_nothing_is_known_before_the_first_session():
    assert Estimate().remaining_s is None
    command = Command()
    command.event(Part.of("", 0, 3))
    assert command.estimate.remaining_s is None


def test_a_second_session_of_the_same_part_starts_anew():
    command = Command()
    command.session(contestants=1)
    command.now += 1
    command.event(Started("a", 0, 1, 10.0))
    # Ten seconds of samples without overhead, and the preparation as long as the last one.
    assert command.estimate.remaining_s == pytest.approx(10.3)


def test_the_estimate_falls_while_a_long_sample_runs():
    command = Command()
    command.session(rounds=2)
    command.event(Sampled("a", 2, 3, 0.0, 4.0))
    before = command.estimate.remaining_s
    command.now += 1.0
    assert command.estimate.remaining_s == pytest.approx(before - 1.0)


def test_a_session_of_one_sample_leaves_nothing_and_does_not_end_the_command():
    command = Command()
    for index in range(2):
        command.event(Part.of(f"problem {index + 1}/2", index, 2))
        command.session(contestants=1, rounds=1)
    assert command.seen[-1][1] == 0


# The sequences of real commands: within 20 % of the whole time after the first third.


def test_run_with_imports_phases_and_limits():
    command = Command()
    command.event(Part.of("", 0, 1))
    command.session(28, 25, preparing_s=0.05, imports_s=1.0, sample_s=0.003, phases_s=0.5,
                    limits_s=(0.3, 0.1, 0.1, 0.6))  # fmt: skip
    assert max(command.errors_after(1 / 3)) < 0.2


def test_limits_and_imports_of_the_first_problem_are_not_expected_of_the_others():
    command = Command()
    for index in range(4):
        command.event(Part.of(f"problem {index + 1}/4", index, 4))
        limits_s = () if index else (0.8, 0.2, 1.5, 0.3)
        command.session(36, 25, preparing_s=0.03, imports_s=2.0, sample_s=0.003, overhead=1.5,
                        phases_s=0.4, limits_s=limits_s)  # fmt: skip
    assert max(command.errors_after(1 / 3)) < 0.1


def test_loop_nests_are_compiled_for_the_first_problem_only():
    command = Command()
    for index in range(2):
        command.event(Part.of(f"problem {index + 1}/2", index, 2))
        compiling_s = 0.0 if index else 0.5
        command.session(10, 10, sample_s=0.05, overhead=1.4, compiling_s=compiling_s)
    assert max(command.errors_after(1 / 3)) < 0.2


def test_strategies_without_loop_nests_are_not_expected_to_compile():
    command = Command()
    for index in range(10):
        command.event(Started("a", index, 10, 4.0, 0.0, command.loaded_s))
        compiling_s = 2.0 if index < 2 else 0.0
        command.loaded_s += compiling_s
        command.now += 0.3 + compiling_s
    for left in reversed(range(100)):
        command.now += 0.05
        command.event(Sampled("a", 1, 10, 0.0, left * 0.04))
    assert max(command.errors_after(1 / 3)) < 0.2


def test_a_sweep_whose_last_point_takes_most_of_the_time():
    """The first call of a slow strategy, which is verified, takes as long as its samples."""
    command = Command()
    points_s = [0.3, 0.3, 0.6, 1.5, 3.0, 20.0]
    done_s = 0.0
    for part_s in points_s:
        command.event(Part("", done_s / sum(points_s), part_s / sum(points_s)))
        preparing_s, sample_s = (0.1 * part_s, 0.02 * part_s)
        command.session(4, 6, preparing_s=preparing_s, sample_s=sample_s, imports_s=0.5,
                        phases_s=0.1 * part_s)  # fmt: skip
        done_s += part_s
    assert max(command.errors_after(1 / 3)) < 0.2


def test_a_ladder_with_experiments_after_the_rounds():
    command = Command()
    command.event(Part.of("", 0, 1))
    command.event(Part("", 0.0, LADDER_ROUNDS, inner=True))
    for index in range(9):
        command.event(Started("a", index, 9))  # no rung is too slow
        command.now += 0.001
    command.session(9, 25, preparing_s=0.1, imports_s=0.5, sample_s=0.01, limits_s=(0.1, 0.3))
    rounds_s = command.now - 100.0
    for index in range(9):
        share = (1 - LADDER_ROUNDS) / 9
        command.event(Part("", LADDER_ROUNDS + index * share, share, inner=True))
        for _ in range(4):
            command.event(Auxiliary("the limits"))
            command.now += rounds_s / LADDER_ROUNDS * share / 4
    assert max(command.errors_after(1 / 3)) < 0.2


@pytest.mark.parametrize("call_s", [0.002, 0.02, 0.2])
def test_a_plan_of_probes_and_chains(call_s):
    """The time of a run of the network is known after the probes: before, it is half as long."""
    probing, whole = Settings(rounds=6), Settings()
    samples_s = {0.002: (0.07, 0.07), 0.02: (0.12, 0.5), 0.2: (1.2, 1.4)}[call_s]
    command = Command()
    command.event(Part.of("", 0, 1))
    command.event(
        Part("single layers", 0.0, probing_share(16, 4, call_s / 2, probing, whole), inner=True)
    )
    command.session(16, 6, preparing_s=3 * call_s, imports_s=16 * call_s,
                    sample_s=samples_s[0] / 6, phases_s=16 * 9 * call_s)  # fmt: skip
    share = probing_share(16, 4, call_s, probing, whole)
    command.event(Part("whole chains", share, 1 - share, inner=True))
    command.session(4, 10, preparing_s=3 * call_s, sample_s=samples_s[1] / 10,
                    phases_s=4 * 9 * call_s)  # fmt: skip
    assert max(command.errors_after(1 / 3)) < 0.2


def test_a_part_without_a_session_takes_its_share_and_the_estimate_falls():
    command = Command()
    command.event(Part("", 0.0, 0.5))
    command.session(1, 10, sample_s=0.98)  # 10 s
    command.event(Part("", 0.5, 0.25))
    command.event(Auxiliary("a limit"))
    assert command.estimate.remaining_s == pytest.approx(10.0)
    command.now += 3
    assert command.estimate.remaining_s == pytest.approx(7.0)
    command.now += 4  # 2 s longer than expected: the next part remains
    assert command.estimate.remaining_s == pytest.approx(5.0)
