"""The answer of ``compare dtypes``: which types are faster than f32, and at which error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import stats
from convprof.dtypes import listed
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.compare.dtypes import REFERENCE, may_be_faster, names
from convprof.studies.comparison import times
from convprof.studies.next_command import again, line
from convprof.studies.run_answer import threads
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.compare.dtypes import TypeComparison

_MOST_NAMED = 3
"""Types with their ratios, after the fastest."""
_WORDS = {"same": "as fast as", "undecided": "not separated from", "slower": "slower than"}


def answer(comparisons: Sequence[TypeComparison]) -> Answer | None:
    """Return the answer about one problem or several; None if nothing was compared."""
    if not comparisons:
        return None
    clear = [each for each in comparisons if each.doubt is None]
    if not clear:
        doubt = f"No conclusion, the times are in doubt: {comparisons[0].doubt}."
        return Answer((doubt,), again("compare dtypes", comparisons[0].b), repeats=True)
    every, groups = _by_problem(comparisons), _by_problem(clear)
    undecided = _undecided(groups, every)
    if len({descriptor for descriptor, _ in every}) == 1:
        sentences = [
            text
            for key, group in groups.items()
            for text in _of_one(group, undecided=key in undecided)
        ]
    else:
        sentences = [text for count in _counts(clear) for text in _of_many(clear, count)]
    if undecided:
        sentences = [*sentences[: MOST_SENTENCES - 1], _in_doubt(undecided, len(every))]
        command = again("compare dtypes", clear[0].b)
        return Answer(tuple(sentences), command, repeats=True)
    best = min(clear, key=lambda each: each.a.rank)
    return Answer(tuple(sentences[:MOST_SENTENCES]), _next(best))


_Groups = dict[tuple[tuple[str, ...], int], list["TypeComparison"]]
"""Comparisons by problem and number of threads."""


def _undecided(clear: _Groups, every: _Groups) -> _Groups:
    """Return the comparisons in doubt whose types may be the fastest, where there are any."""
    found = {}
    for key, group in every.items():
        sides = [m for each in clear.get(key, ()) for m in (each.a, each.b)]
        found[key] = may_be_faster(min(sides, key=seconds), group) if sides else group
    return {key: group for key, group in found.items() if group}


def _in_doubt(undecided: _Groups, groups: int) -> str:
    """Return that types in doubt may be the fastest, and why they are in doubt."""
    first, *others = undecided.values()
    reason = f"({first[0].doubt}): measure again on an idle machine"
    if groups > 1:
        return f"In {len(others) + 1} of {groups} cases a type in doubt may be faster {reason}."
    what = "1 type is" if len(first) == 1 else f"{len(first)} types are"
    return f"{what} in doubt and may be faster {reason}."


def _next(best: TypeComparison) -> str:
    """Return what shows how far the fastest type is from its limit."""
    side = best.a if best.verdict == "faster" else best.b
    # f32 is the default, but the user's --dtype lists types
    dtype = ("--dtype", side.dtype) if side.dtype == REFERENCE else ()
    options = ("-s", side.strategy, "-t", str(side.threads), *dtype)
    if side.problem.get("epilogue"):  # no roofline has one
        return line("run", side, *options, "--phases")
    return line("roofline", side, *options)


def _by_problem(comparisons: Sequence[TypeComparison]) -> _Groups:
    groups: _Groups = {}
    for each in comparisons:
        key = each.b.problem_key, each.threads
        groups.setdefault(key, []).append(each)
    return groups


def _counts(comparisons: Sequence[TypeComparison]) -> list[int]:
    return list(dict.fromkeys(each.threads for each in comparisons))


def _of_one(group: Sequence[TypeComparison], *, undecided: bool) -> list[str]:
    """Return the ratios of the faster types, and which type to use.

    ``undecided``: a type in doubt may be faster than these.
    """
    on = f"On {threads(group[0].threads)}"
    faster = sorted((c for c in group if c.verdict == "faster"), key=lambda c: c.ratio.value)
    rest = _others(group)
    if not faster and undecided:
        return [f"{on} no type is certainly faster than f32: {'; '.join(rest)}."]
    if not faster:
        return [f"{on} no type is faster than f32: {'; '.join(rest)}. Stay with f32."]
    first, *more = faster
    parts = [f"{first.name} takes {times(first.ratio)} as long as f32"]
    parts += [f"{c.name} {times(c.ratio)}" for c in more[:_MOST_NAMED]]
    left = [c.name for c in more[_MOST_NAMED:]]
    if left:
        rest = [f"{listed(left, 'and')} {'is' if len(left) == 1 else 'are'} faster too", *rest]
    return [f"{on} {', '.join(parts + rest)}.", _advice(faster)]


def _others(group: Sequence[TypeComparison]) -> list[str]:
    """Return the types that are not faster, by verdict."""
    by_verdict: dict[str, list[str]] = {}
    for each in group:
        if each.verdict != "faster":
            by_verdict.setdefault(each.verdict, []).append(each.name)
    return [
        f"{listed(some, 'and')} {'is' if len(some) == 1 else 'are'} {_WORDS[verdict]} f32"
        for verdict, some in by_verdict.items()
    ]


def _advice(faster: Sequence[TypeComparison]) -> str:
    """Return which type to use at which error; ``faster``: the fastest first.

    The fastest type, and, for results that need more digits, faster types with a smaller error.
    """
    first, *more = faster
    choices = [f"{first.name} if an error of {first.rounding_error:.0e} is accepted"]
    least = first.rounding_error
    for each in more:
        if each.rounding_error < least:
            choices.append(f"{each.name} at {each.rounding_error:.0e}")
            least = each.rounding_error
    return f"Use {', '.join(choices)}; else f32."


def _of_many(comparisons: Sequence[TypeComparison], count: int) -> list[str]:
    """Return from which m each type pays, or on how many problems it does."""
    own = [each for each in comparisons if each.threads == count]
    on = f"On {threads(count)}"
    by_type = [[c for c in own if c.name == name] for name in names(own)]
    rows = _rows(own)
    if rows is None:
        first, *more = by_type
        return [f"{on} {'; '.join([_mean(first), *map(_further_mean, more)])}."]
    paying = [each for each in by_type if any(c.verdict == "faster" for c in each)]
    others = [each[0].name for each in by_type if each not in paying]
    parts = [_pays(each) for each in paying]
    if others:
        do = "does" if len(others) == 1 else "do"
        parts.append(f"{listed(others, 'and')} {do} not pay up to m = {rows[-1]}")
    return [f"{on} {'; '.join(parts)} (measured: m = {listed(map(str, rows), 'and')})."]


def _rows(comparisons: Sequence[TypeComparison]) -> list[int] | None:
    """Return the numbers of rows of products that differ in nothing else; None for others."""
    problems = [each.b.problem for each in comparisons]
    if any(problem["kind"] != "gemm" for problem in problems):
        return None
    others = {(p["n"], p["k"], p["batch"], p.get("epilogue")) for p in problems}
    rows = sorted({int(problem["m"]) for problem in problems})
    return rows if len(others) == 1 and len(rows) > 1 else None


def _pays(own: Sequence[TypeComparison]) -> str:
    """Return at which of the measured numbers of rows a type is faster than f32, and how much."""
    ordered = sorted(own, key=_row_count)
    faster = [each for each in ordered if each.verdict == "faster"]
    mean = stats.geometric_mean([each.ratio.value for each in faster])
    where, apart = _where(ordered, faster)
    return f"{own[0].name} pays {where}, {mean:.2f} times as long as f32{apart}"


def _where(ordered: Sequence[TypeComparison], faster: Sequence[TypeComparison]) -> tuple[str, str]:
    """Return ``from m = 4 on``, or ``up to m = 8`` and ``, not from m = 64 on``."""
    number = len(faster)
    if faster == ordered[-number:]:
        return f"from m = {_row_count(faster[0])} on", ""
    if faster == ordered[:number]:
        apart = f", not from m = {_row_count(ordered[number])} on"
        return f"up to m = {_row_count(faster[-1])}", apart
    return f"at m = {listed([str(_row_count(each)) for each in faster], 'and')} only", ""


def _row_count(compared: TypeComparison) -> int:
    return int(compared.a.problem["m"])


def _mean(own: Sequence[TypeComparison]) -> str:
    mean, faster = _mean_and_wins(own)
    return (
        f"{own[0].name} takes {mean:.2f} times as long as f32 (geometric mean), "
        f"faster on {faster} of {len(own)} problems"
    )


def _further_mean(own: Sequence[TypeComparison]) -> str:
    """Return the same in short, for a further type."""
    mean, faster = _mean_and_wins(own)
    return f"{own[0].name} {mean:.2f} times, faster on {faster} of {len(own)}"


def _mean_and_wins(own: Sequence[TypeComparison]) -> tuple[float, int]:
    mean = stats.geometric_mean([each.ratio.value for each in own])
    return mean, sum(each.verdict == "faster" for each in own)
