"""The answer of ``network NAME --pass``: what the passes take, and how far the peak is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.problems.gradients import TRAINING
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.network.training_totals import BACKWARD, by_kind, total
from convprof.studies.next_command import line, passes_again
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.network.training import Plan
    from convprof.studies.network.training_totals import Result


def answer(
    plan: Plan, sides: Sequence[Sequence[Result]], peak_flop_per_s: float, command: Sequence[str]
) -> Answer | None:
    """Return the answer about all layers; None if nothing has a time.

    Nothing is concluded from a sum in doubt.

    ``sides``: the layers as convprof computes them, and as libraries do; ``command``: the words
    that run this network.
    """
    if not sides:
        return None
    side = sides[0]
    doubt = total(side, plan.asked).doubt
    if doubt is not None:
        doubtful = [m for result in side for m in result.found.values() if m.doubt is not None]
        number = f"{len(doubtful)} pass{'es' if len(doubtful) > 1 else ''}"
        sentence = f"No conclusion: the time of {number} is in doubt ({doubt})."
        return Answer((sentence,), passes_again(command, plan.which), repeats=True)
    sentences = (
        _whole(plan, side, peak_flop_per_s),
        _kinds(plan, side),
        *_libraries(plan, sides),
    )
    return Answer(sentences[:MOST_SENTENCES], _next(side))


def _whole(plan: Plan, side: Sequence[Result], peak_flop_per_s: float) -> str:
    whole = total(side, plan.asked)
    name = "A training step" if plan.which == TRAINING else f"The {plan.which} pass"
    partial = " (without the passes that have no result)" if whole.missing else ""
    share = f", {percent((whole.flop_per_s or 0.0) / peak_flop_per_s)} of the peak"
    backward = total(side, BACKWARD).seconds if plan.which == TRAINING else 0.0
    gradients = f"; the gradients take {percent(backward / whole.seconds)}" if backward else ""
    layers = "convolutions and products"
    time = units.time(whole.seconds)
    return f"{name} of the {layers} takes {time}{partial}{share}{gradients}."


def _kinds(plan: Plan, side: Sequence[Result]) -> str:
    """Return which kind of layer takes most, and its slowest layer."""
    groups = by_kind(side)
    whole = total(side, plan.asked).seconds
    kind, results = next(iter(groups.items()))
    slowest = max(side, key=lambda result: result.step_s)
    return (
        f"{kind} takes {percent(total(results, plan.asked).seconds / whole)} of the time; "
        f"{slowest.layer.names[0]} takes most, {percent(slowest.step_s / whole)}."
    )


def _libraries(plan: Plan, sides: Sequence[Sequence[Result]]) -> tuple[str, ...]:
    if len(sides) == 1:
        return ()
    ours, theirs = (total(side, plan.asked) for side in sides)
    if ours.missing or theirs.missing:
        return ("The libraries did not compute the same passes: no comparison.",)
    if theirs.doubt is not None:
        return (f"No comparison with the libraries, their time is in doubt: {theirs.doubt}.",)
    return (f"The libraries take {theirs.seconds / ours.seconds:.2f} times as long.",)


def _next(side: Sequence[Result]) -> str:
    """Return the command that compares the slowest pass with the libraries."""

    def seconds(item: tuple[Result, Measurement]) -> float:
        result, m = item
        return result.layer.count * m.time_s.median if m.time_s else 0.0

    passes = [(result, m) for result in side for m in result.found.values() if m.doubt is None]
    _, slowest = max(passes, key=seconds)
    return line("compare peers", slowest)
