"""The flags that name problems: PROBLEM, shape files and shape flags, with passes and epilogues."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof.dtypes import F32
from convprof.errors import InputError
from convprof.problems.checks import shown
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.studies.selection import Selection

DEFAULT_PROBLEM = "resnet50:layer1.0.conv2"
"""The 3x3 convolution of ResNet-50's first stage, 1x64x56x56 -> 64."""


def suite(flags: dict[str, Any], *, file_types: bool = False) -> Selection:
    """Return the selection, of problems with their epilogues, weights and passes.

    ``file_types``: the types of a shape file hold, unless the user names a type.
    """
    selection = selected(flags, file_types=file_types)
    counts = {
        TypedProblem(problem, each.dtype): selection.counts.get(each, 1)
        for each in selection.typed
        for problem in _computed(flags, each)
    }
    return replace(selection, typed=list(counts), counts=counts)


def suite_notes(selection: Selection) -> list[str]:
    """Return what a user should know about a selection."""
    return selection.notes + _summary(selection)


def computed(flags: dict[str, Any]) -> tuple[list[Problem], list[str]]:
    """Return the problems with their pass, epilogue and type of weights, and notes on them."""
    selection = suite(flags)
    return selection.problems, suite_notes(selection)


def _computed(flags: dict[str, Any], typed: TypedProblem) -> list[Problem]:
    which = flags.get("pass_", "forward")
    problems = epilogue_from(flags.get("epilogue"), which, [typed.problem])
    problems = grouped_weights_from(flags, problems, typed.dtype)
    return passes_from(which, problems)


def problems_from(flags: dict[str, Any]) -> tuple[list[Problem], list[str]]:
    """Return the problems of PROBLEM, --batch or the shape flags, and notes on them."""
    selection = selected(flags)
    return selection.problems, suite_notes(selection)


def _summary(selection: Selection) -> list[str]:
    return [f"{line}; run --dry-run lists them all" for line in selection.summary()]


def selected(flags: dict[str, Any], *, file_types: bool = False) -> Selection:
    """Return the problems of PROBLEM, --batch or the shape flags, and the omitted ones.

    ``file_types``: as for ``suite``.
    """
    from convprof.studies.selection import Selection, select

    shape = spelled(flags)
    texts, batch = flags["problem"], flags["batch"]
    if shape and (texts or batch):
        raise InputError(
            f"{shape[0]} spells a problem, and {(*texts, *batch)[0]} names one: use one of them"
        )
    if shape:
        problem = _from_flags(flags)
        if flags["mb"] is not None and problem.has_minibatch:
            check_range("--mb", flags["mb"], 1, 2**31 - 1)
            problem = problem.with_batch(flags["mb"])
        return Selection([TypedProblem(problem)], [])
    if not texts and not batch:
        texts = (DEFAULT_PROBLEM,)
    chosen = _chosen(flags, file_types=file_types)
    selection = select(texts, batch=batch, mb=flags["mb"], match=flags["match"], chosen=chosen)
    return _with_passes_of(flags.get("pass_"), selection)


def _with_passes_of(which: str | None, selection: Selection) -> Selection:
    """Return forward problems, unless the passes of the file hold.

    ``which``: the value of ``--pass``; None for a command without.
    """
    forward = [TypedProblem(each.problem.forward, each.dtype) for each in selection.typed]
    if which == "forward" or forward == selection.typed:
        return selection
    how = f"--pass {which} holds instead" if which else "this command has no --pass: forward"
    selection.notes.append(f"--dir in the file: {how}")
    counts: dict[TypedProblem, int] = {}
    for each, before in zip(forward, selection.typed, strict=True):
        counts[each] = max(counts.get(each, 0), selection.counts[before])
    return replace(selection, typed=list(counts), counts=counts)


def _chosen(flags: dict[str, Any], *, file_types: bool) -> list[str]:
    """Return what the command chooses in place of the options of a shape file."""
    from convprof.problems.batch_options import EPILOGUE, TYPES

    chosen = []
    names_type = any(flags.get(name) is not None for name in ("dtype", "weight_dtype"))
    if names_type or not file_types:
        chosen.append(TYPES)
    takes_epilogue = "epilogue" in flags and flags.get("pass_", "forward") == "forward"
    if not takes_epilogue or flags["epilogue"] or flags.get("weight_dtype"):
        chosen.append(EPILOGUE)
    return chosen


WHOLE_FLAGS = ("gemm", "attention")
"""Flags that each describe a whole problem."""
SHAPE_FLAGS = (
    "input_", "filters", "kernel", "stride", "pad", "dilation", "groups", *WHOLE_FLAGS
)  # fmt: skip
"""The flags that describe a problem."""


_DESCRIBED = {"--gemm": "a product", "--attention": "attention"}


def spelled(flags: dict[str, Any]) -> list[str]:
    """Return the flags of a command line that describe a shape."""
    return [f"--{name.rstrip('_')}" for name in SHAPE_FLAGS if flags[name] is not None]


def _from_flags(flags: dict[str, Any]) -> Problem:
    from convprof.problems import attention_from_flags, conv2d_from_flags, gemm_from_flags

    shape_flags = spelled(flags)
    if flags["match"] is not None:
        raise InputError("--match filters named problems; with shape flags there is only one")
    whole = next((f"--{name}" for name in WHOLE_FLAGS if flags[name] is not None), None)
    if whole and len(shape_flags) > 1:
        other = next(flag for flag in shape_flags if flag != whole)
        raise InputError(
            f"{other} describes {_DESCRIBED.get(other, 'a convolution')} and {whole} "
            f"{_DESCRIBED[whole]}: use one of them"
        )
    if flags["gemm"] is not None:
        return gemm_from_flags(flags["gemm"])
    if flags["attention"] is not None:
        return attention_from_flags(flags["attention"])
    missing = [flag for flag in ("--input", "--filters", "--kernel") if flag not in shape_flags]
    if missing:
        raise InputError(
            f"{shape_flags[0]} also needs {', '.join(missing)}: "
            "e.g. --input 1x64x56x56 --filters 64 --kernel 3"
        )
    return conv2d_from_flags(
        input=flags["input_"],
        filters=flags["filters"],
        kernel=flags["kernel"],
        stride=flags["stride"] or "1",
        pad=flags["pad"] or "0",
        dilation=flags["dilation"] or "1",
        groups=1 if flags["groups"] is None else flags["groups"],
    )


def group_from(text: str | None) -> int:
    """Return the weights that share a scale of ``128`` or ``channel``; 128 if None."""
    from convprof.problems.grouped_weights import CHANNEL, DEFAULT_GROUP, GROUPS

    if text is None:
        return DEFAULT_GROUP
    if text.lower() == "channel":
        return CHANNEL
    if not text.isdecimal() or int(text[:9]) == CHANNEL:
        numbers = ", ".join(map(str, GROUPS))
        raise InputError(f"--group {shown(text)}: use one of {numbers}, or channel")
    return int(text[:9])


def passes_from(which: str, problems: list[Problem]) -> list[Problem]:
    """Return the passes of each layer; InputError if a problem has a forward pass only."""
    from convprof.errors import ProblemError
    from convprof.problems.gradients import passes_of

    try:
        return [each for problem in problems for each in passes_of(problem, which)]
    except ProblemError as error:
        raise InputError(f"--pass {which}: {error}") from None


def epilogue_from(text: str | None, which: str, problems: list[Problem]) -> list[Problem]:
    """Return the problems with an epilogue; InputError if the problems do not support it."""
    from convprof.errors import ProblemError
    from convprof.problems.epilogue import Epilogue

    if text is None:
        return problems
    if which != "forward":
        raise InputError(
            f"--epilogue {text}: only a forward pass has one; leave out --pass {which}"
        )
    try:
        epilogue = Epilogue.parse(text)
    except ProblemError as error:
        reason = str(error).removeprefix(f"{shown(text)}: ")
        raise InputError(f"--epilogue {shown(text)}: {reason}") from None
    try:
        return [problem.with_epilogue(epilogue) for problem in problems]
    except ProblemError as error:
        raise InputError(f"--epilogue {text}: {error}") from None


def grouped_weights_from(
    flags: dict[str, Any], problems: list[Problem], dtype: str
) -> list[Problem]:
    """Return the problems with weights of 8 or 4 bits; InputError if they do not support them.

    ``dtype``: the type of a shape file; empty if the command's holds.
    """
    from convprof.dtypes import GROUPED, listed
    from convprof.errors import ProblemError
    from convprof.problems.grouped_weights import GroupedWeights

    text, group = flags.get("weight_dtype"), flags.get("group")
    if text is None:
        if group is not None:
            raise InputError(f"--group {shown(group).strip(chr(39))} needs --weight-dtype")
        return problems
    flag = f"--weight-dtype {shown(text).strip(chr(39))}"
    if flags.get("pass_", "forward") != "forward":
        raise InputError(f"{flag}: only a forward pass has such weights; leave out --pass")
    activations = (dtype or F32.name) if flags["dtype"] is None else flags["dtype"]
    if activations not in GROUPED:
        raise InputError(f"{flag} takes --dtype {listed(GROUPED, 'or')}, not {activations}")
    weights = GroupedWeights(text, group_from(group))
    try:
        return [problem.with_grouped_weights(weights) for problem in problems]
    except ProblemError as error:
        if error.field is not None:  # the group, which the message names
            raise
        raise InputError(f"{flag}: {error}") from None


def check_range(flag: str, value: float, low: float, high: float) -> None:
    """Raise InputError unless the value is from ``low`` to ``high``."""
    if not low <= value <= high:
        raise InputError(f"{flag} {value:g}: use a value from {low:g} to {high:g}")
