"""The problem that the fields of a result document describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import NotComputedError
from convprof.json_checks import count, words
from convprof.problems.descriptor import parse
from convprof.problems.epilogue import Epilogue
from convprof.problems.gradients import TRAINING, passes_of
from convprof.problems.grouped_weights import GroupedWeights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.problems.base import Problem


def problem_from(fields: Mapping[str, Any]) -> Problem:
    """Return the problem; InputError for a kind without a text, and for wrong fields."""
    kind = words(fields.get("kind"))
    problem: Problem = parse(words(fields.get("descriptor")))
    if fields.get("epilogue") is not None:
        problem = problem.with_epilogue(Epilogue.parse(words(fields["epilogue"])))
    if fields.get("weight_dtype") is not None:
        weights = GroupedWeights(words(fields["weight_dtype"]), count(fields.get("group")))
        problem = problem.with_grouped_weights(weights)
    _, _, which = kind.partition("-")
    passes = passes_of(problem, TRAINING) if which else [problem]
    of_kind = [each for each in passes if each.kind == kind]
    if not of_kind:
        raise NotComputedError(f"{kind}: no kind of problem with this text", "another kind")
    return of_kind[0]
