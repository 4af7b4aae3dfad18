"""Which problems a command is about: descriptors, network layers and shape files, filtered."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof import networks
from convprof.errors import DescriptorError, InputError, ProblemError, UnknownNameError
from convprof.problems import LeftOut, TypedProblem, parse, read_batch
from convprof.problems.attention_text import WORD
from convprof.problems.batch_options import notes as options_note
from convprof.problems.batch_text import STDIN, file_name
from convprof.problems.checks import shown, size
from convprof.problems.conv_text import size_note

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
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

    typed: list[TypedProblem]
    """Each with the types that its file says."""
    notes: list[str]
    left_out: list[LeftOut] = field(default_factory=list)
    """Lines of files that are not computed. A few of them are in the notes of ``summary``."""
    lines: int = 0
    """Problems of files, those left out among them."""
    counts: Mapping[TypedProblem, int] = field(default_factory=dict)
    """How often each of the problems was named."""

    @property
    def problems(self) -> list[Problem]:
        """The problems, whatever types their file says."""
        return list(dict.fromkeys(each.problem for each in self.typed))

    def summary(self) -> list[str]:
        """Return one line on what is left out: how many, why, and the first of each reason."""
        if not self.left_out:
            return []
        count = f"{len(self.left_out)} of {self.lines} lines left out"
        return [f"{count}: {_grouped(self.left_out)}"]


def select(
    texts: Iterable[str],
    *,
    batch: Iterable[str | Path] = (),
    mb: int | None = None,
    match: str | None = None,
    chosen: Collection[str] = (),
) -> Selection:
    """Return the problems that the texts and the benchdnn shape files mean.

    ``mb`` overrides every minibatch; a matrix product has none and does not change. Lines of files
    that convprof does not compute are left out; it is an error if no other is left. ``match`` is a
    regular expression searched in each name and descriptor. ``chosen``: what the command chooses
    in place of a file's options (``read_batch``).

    Raises InputError: a text without a meaning, a file that cannot be read, a bad expression, or
    nothing left to measure.
    """
    pattern = None if match is None else compiled(match)
    if mb is not None:
        _check_minibatch(mb)
    problems: list[TypedProblem] = []
    notes: list[str] = []
    for text in texts:
        problems += map(TypedProblem, _read(text.strip(), mb, notes))
    files = _Files(mb, pattern, chosen)
    for path in batch:
        problems += files.read(path, notes)
    kept = [each for each in problems if pattern is None or _matches(pattern, each.problem)]
    if not kept and files.left_out:
        first, *others = files.left_out
        more = f" (and {len(others)} more lines: {_grouped(others)})" if others else ""
        raise InputError(f"nothing to measure: {first.source}: {first.reason}{more}")
    if not problems:
        raise InputError(f"no problem given: name {_FORMS}, a layer (resnet50:conv1) or a file")
    if not kept:
        raise InputError(f"matches none of {_listed(problems)}", field="match", value=shown(match))
    distinct = _distinct(kept, notes)
    notes = list(dict.fromkeys(notes))
    return Selection(distinct, notes, files.left_out, files.lines, Counter(kept))


def whole_network(problems: Sequence[Problem]) -> str | None:
    """Return the network of which the problems are all the distinct layers; None otherwise."""
    names = {problem.name.partition(":")[0] for problem in problems}
    name = names.pop() if len(names) == 1 else ""
    if name not in networks.names():
        return None
    distinct = {layer.problem for layer in networks.layers(name)}
    return name if len(problems) == len(distinct) else None


class _Files:
    """Shape files, read one after the other."""

    def __init__(
        self, mb: int | None, pattern: re.Pattern[str] | None, chosen: Collection[str]
    ) -> None:
        self._mb, self._pattern, self._chosen = mb, pattern, chosen
        self._stdin_read = False
        self.left_out: list[LeftOut] = []
        """What is left out although the user's own pattern matches it."""
        self.lines = 0

    def read(self, path: str | Path, notes: list[str]) -> list[TypedProblem]:
        """Return the problems of a file; keep what is left out."""
        if str(path) == STDIN:
            if self._stdin_read:
                raise InputError(
                    "given twice, and stdin can be read once; keep one", field="batch", value=STDIN
                )
            self._stdin_read = True
        content = read_batch(path, self._chosen)
        left_out = list(content.left_out)
        problems: list[TypedProblem] = []
        for entry in content.entries:
            try:
                sized = _with_minibatch([entry.problem], self._mb, notes)
                problems += [TypedProblem(each, entry.dtype) for each in sized]
            except ProblemError as error:
                text = entry.problem.descriptor
                reason = f"{shown(text)}: minibatch {self._mb}: {error}"
                left_out.append(LeftOut(entry.source, text, "minibatch too large for it", reason))
        pattern = self._pattern
        self.left_out += [item for item in left_out if not pattern or pattern.search(item.text)]
        self.lines += content.lines
        if content.unmatched:
            notes.append(
                f"{file_name(path)}: the match option in the file leaves out "
                f"{content.unmatched} of {content.lines} lines"
            )
        if content.answers:
            notes.append(f"{file_name(path)}: options of the file: {options_note(content.answers)}")
        return problems


def _grouped(left_out: Sequence[LeftOut]) -> str:
    """Return each reason once, with its number of lines and the first of them."""
    groups: dict[str, list[str]] = {}
    for item in left_out:
        groups.setdefault(item.group, []).append(item.source)
    parts = []
    for group, sources in sorted(groups.items(), key=lambda item: -len(item[1])):
        more = f" and {len(sources) - _EXAMPLES} more" if len(sources) > _EXAMPLES else ""
        parts.append(f"{len(sources)} x {group} ({_lines(sources[:_EXAMPLES])}{more})")
    return "; ".join(parts)


def _lines(sources: Sequence[str]) -> str:
    """Return ``FILE:3, 7, OTHER:9`` for the places FILE:3, FILE:7 and OTHER:9."""
    words, last = [], ""
    for source in sources:
        file, _, line = source.rpartition(":")
        words.append(line if file == last else source)
        last = file
    return ", ".join(words)


def _read(text: str, mb: int | None, notes: list[str]) -> Sequence[Problem]:
    """Return what one PROBLEM means.

    A matrix product begins with a digit, a convolution with a field such as ic64, attention with
    ``attention:``; ``FILE.onnx`` and ``FILE.onnx:LAYER`` are layers of a file; everything else is
    a network's name.
    """
    if text.partition(":")[0].lower() in networks.names():
        return networks.find(text, mb=mb or 1)
    file = None if text.endswith('"') else _FILE.match(text)  # a descriptor may end in a name
    if file:
        from convprof.networks.onnx.layers import find

        path, pattern = file[1], (file[2] or ":")[1:]
        problems, file_notes = find(path, pattern, mb or 1)
        notes.extend(file_notes)
        return _with_minibatch(problems, mb, notes)
    if not text or text[0] in "0123456789" or text.startswith(WORD) or _CONV.match(text):
        problem = parse(text)
        note = size_note(text) if _CONV.match(text) else None
        if note is not None:
            notes.append(note)
        return _with_minibatch([problem], mb, notes)
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
        raise InputError(error.reason, field="mb", value=shown(mb)) from None


def _with_minibatch(
    problems: Sequence[Problem], mb: int | None, notes: list[str]
) -> Sequence[Problem]:
    if mb is None:
        return problems
    if not all(problem.has_minibatch for problem in problems):
        note = f"minibatch {mb}: matrix products have no minibatch and stay as they are"
        if note not in notes[-1:]:
            notes.append(note)
    return [p.with_batch(mb) if p.has_minibatch else p for p in problems]


def compiled(match: str) -> re.Pattern[str]:
    """Return the user's regular expression; InputError if it is none."""
    if len(match) > MAX_PATTERN:
        raise InputError(
            f"must have at most {MAX_PATTERN} characters", field="match", value=shown(match)
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about doubtful expressions would not be read
            return re.compile(match)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"not a regular expression: {error}", field="match", value=shown(match)
        ) from None


def _matches(pattern: re.Pattern[str], problem: Problem) -> bool:
    return bool(pattern.search(problem.name) or pattern.search(problem.descriptor))


def _listed(typed: Sequence[TypedProblem]) -> str:
    labels = [each.problem.name or each.problem.descriptor for each in typed]
    more = f" and {len(labels) - _EXAMPLES} more" if len(labels) > _EXAMPLES else ""
    return f"{', '.join(labels[:_EXAMPLES])}{more}"


def _distinct(problems: Sequence[TypedProblem], notes: list[str]) -> list[TypedProblem]:
    first: dict[TypedProblem, TypedProblem] = {}
    for problem in problems:
        first.setdefault(problem, problem)
    repeated = len(problems) - len(first)
    if repeated:
        notes.append(
            f"{repeated} of {len(problems)} problems repeat an earlier shape; "
            "each shape is measured once, under its first name"
        )
    return list(first.values())
