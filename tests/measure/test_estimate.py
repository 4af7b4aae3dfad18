"""Simulated commands: the estimate against what really is left."""

import pytest

from convprof.measure.estimate import Estimate
from convprof.measure.events import Part, Sampled, Started


class Command:
    """Runs on a clock of its own, and records the estimate and the time at every event."""

    def __init__(self):
        self.now = 100.0
        self.estimate = Estimate(lambda: self.now)
        self.seen = []

    def event(self, event):
        self.estimate.see(event)
        self.seen.append((self.now, self.estimate.remaining_s))

    def session(self, contestants=4, rounds=10, *, preparing_s=0.2, sample_s=0.1, overhead=1.0):
        promised = contestants * rounds * sample_s
        for index in range(contestants):
            self.event(Started("a", index, contestants, promised))
            self.now += preparing_s
        left = contestants * rounds
        for number in range(rounds):
            for _ in range(contestants):
                self.now += sample_s * overhead
                left -= 1
                self.event(Sampled("a", number + 1, rounds, 0.0, left * sample_s))

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
