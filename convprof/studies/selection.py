"""Which problems a command is about: descriptors, network layers and shape files, filtered."""

from __future__ import annotations

import re
import shlex
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import networks
from convprof.errors import DescriptorError, InputError, ProblemError, UnknownNameError
from convprof.problems import Attention, Conv2d, parse, read_batch
from convprof.problems.attention_text import WORD
from convprof.problems.checks import shown, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from convprof.problems import Problem

MAX_PATTERN = 200  # a longer one is a mistake, and may take for ever to search
_EXAMPLES = 5  # how many problems an error lists
_CONV = re.compile(r"_*(g|mb|[io]c|[iokspd][dhw])[0-9]")  # how every convolution's text begins
_FILE = re.compile(r"(.*\.onnx)(:.*)?", re.IGNORECASE | re.DOTALL)
_FORMS = (
    "a descriptor (mb1ic64ih56oc64kh3ph1), a product (512x512:512x512), "
    "attention (attention:1x12x197x64)"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The problems, each shape once and in the order given, and what the user should know."""

    problems: list[Problem]
    notes: list[str]


def select(
    texts: Iterable[str],
    *,
    batch: Iterable[str | Path] = (),
    mb: int | None = None,
    match: str | None = None,
) -> Selection:
    """Return the problems that the texts and the benchdnn shape files mean.

    ``mb`` overrides every minibatch; a matrix product given as such has none and stays as it is.
    ``match`` is a regular expression searched in each name and descriptor.

    Raises InputError: a text that means nothing, a file that cannot be read, a bad expression,
    or nothing left to measure.
    """
    pattern = None if match is None else _compiled(match)
    if mb is not None:
        _check_minibatch(mb)
    problems: list[Problem] = []
    notes: list[str] = []
    for text in texts:
        problems += _read(text.strip(), mb, notes)
    for path in batch:
        content = read_batch(path)
        problems += _with_minibatch([entry.problem for entry in content.entries], mb, notes)
        if content.ignored:
            notes.append(f"{path}: these options have no effect: {' '.join(content.ignored)}")
    if not problems:
        raise InputError(f"no problem given: name {_FORMS}, a layer (resnet50:conv1) or --batch")
    kept = [problem for problem in problems if pattern is None or _matches(pattern, problem)]
    if not kept:
        raise InputError(f"--match {shown(match)}: matches none of {_listed(problems)}")
    return Selection(_distinct(kept, notes), list(dict.fromkeys(notes)))


def command_for(problem: Problem) -> str:
    """Return the problem's descriptor, quoted for a POSIX shell, to be pasted after a command."""
    return shlex.quote(problem.descriptor)


def _read(text: str, mb: int | None, notes: list[str]) -> Sequence[Problem]:
    """Return what one PROBLEM means.

    A digit begins a matrix product, a field such as ic64 a convolution, ``attention:`` says it, and
    all else is a network's name.
    """
    if text.partition(":")[0].lower() in networks.names():
        return networks.find(text, mb=mb or 1)
    file = _FILE.match(text)
    if file:
        raise InputError(
            f"{shown(text)}: layers of files cannot be named; use convprof network {file[1]}"
        )
    if not text or text[0] in "0123456789" or text.startswith(WORD) or _CONV.match(text):
        return _with_minibatch([parse(text)], mb, notes)
    try:
        return networks.find(text, mb=mb or 1)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}; nor is it {_why_no_descriptor(text)}") from None


def _why_no_descriptor(text: str) -> str:
    try:
        parse(text)
    except (DescriptorError, ProblemError) as error:
        return f"a descriptor: {str(error).removeprefix(f'{shown(text)}: ')}"
    return "a descriptor"  # not reached: every descriptor begins with a digit or like _CONV


def _check_minibatch(mb: int) -> None:
    try:
        size("mb", mb)
    except ProblemError as error:
        raise InputError(f"--mb {shown(mb)}: {str(error).partition(': ')[2]}") from None


def _with_minibatch(
    problems: Sequence[Problem], mb: int | None, notes: list[str]
) -> Sequence[Problem]:
    if mb is None:
        return problems
    if not all(isinstance(problem, Conv2d | Attention) for problem in problems):
        notes.append(f"--mb {mb}: matrix products have no minibatch and stay as they are")
    return [p.with_batch(mb) if isinstance(p, Conv2d | Attention) else p for p in problems]


def _compiled(match: str) -> re.Pattern[str]:
    if len(match) > MAX_PATTERN:
        raise InputError(f"--match {shown(match)}: must have at most {MAX_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubtful expressions warn where nobody reads it
            return re.compile(match)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"--match {shown(match)}: not a regular expression: {error}") from None


def _matches(pattern: re.Pattern[str], problem: Problem) -> bool:
    return bool(pattern.search(problem.name) or pattern.search(problem.descriptor))


def _listed(problems: Sequence[Problem]) -> str:
    labels = [problem.name or problem.descriptor for problem in problems]
    more = f" and {len(labels) - _EXAMPLES} more" if len(labels) > _EXAMPLES else ""
    return f"{', '.join(labels[:_EXAMPLES])}{more}"


def _distinct(problems: Sequence[Problem], notes: list[str]) -> list[Problem]:
    first: dict[Problem, Problem] = {}
    for problem in problems:
        first.setdefault(problem, problem)
    repeated = len(problems) - len(first)
    if repeated:
        notes.append(
            f"{repeated} of {len(problems)} problems repeat an earlier shape; "
            "each shape is measured once, under its first name"
        )
    return list(first.values())
