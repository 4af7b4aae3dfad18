"""benchdnn shape files, read as they are: comments, options, multiplicities, nested files.

A file is a sequence of words, usually one descriptor per line. Options apply to the lines after
them, across nested files too, as in benchdnn (oneDNN, tests/benchdnn/doc, ``knobs_common.md``).
benchdnn's files mix what convprof computes with what it does not (3-D convolutions, broadcast
batches): such lines are left out with their reason. A line that is not a descriptor at all is an
error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import DescriptorError, InputError, NotComputedError, ProblemError
from convprof.problems.base import FORWARD
from convprof.problems.batch_options import OWN, Options
from convprof.problems.batch_text import (
    MAX_BYTES,
    STDIN,
    file_name,
    plain,
    text_of,
    text_of_stdin,
    words,
)
from convprof.problems.checks import shown
from convprof.problems.conv2d import Conv2d
from convprof.problems.descriptor import parse
from convprof.problems.gradients import passes_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from convprof.problems.base import Problem
    from convprof.problems.batch_arithmetic import Variant

MAX_DEPTH = 10
MAX_PROBLEMS = 100_000  # files that include others twice each would otherwise grow without end
MAX_FILES = 1000
MAX_ALL_BYTES = 4 * MAX_BYTES
MAX_OPTIONS = 500_000
_IMPOSSIBLE = "shape that cannot be computed"

_COUNT = re.compile(r"\*([0-9]{1,9})\Z")


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One problem of a file, and how often it occurs in the network that the file describes."""

    problem: Problem
    dtype: str  # the types of --dt; empty without the option
    count: int  # the *3 at the end of the name; 1 without one
    source: str  # "FILE:LINE"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of a file that is not computed."""

    source: str
    """``FILE:LINE``."""
    text: str
    """The line's descriptor as it was written."""
    group: str
    """A short reason, by which lines are counted: ``3-D convolution``."""
    reason: str
    """The whole reason; it names the text."""


@dataclass(slots=True)
class Batch:
    """The contents of a shape file: its problems in order, and what is not computed."""

    entries: list[BatchEntry] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    lines: int = 0
    """The number of descriptors, including the ones left out."""
    unmatched: int = 0
    """The number of descriptors that the file's own ``--match`` leaves out."""
    answers: dict[str, dict[str, None]] = field(default_factory=dict)
    """How options without effect here are treated, and these options, each once."""


def read_batch(path: str | Path, chosen: Collection[str] = ()) -> Batch:
    """Return the problems of a benchdnn shape file and of the files it includes; ``-`` is stdin.

    ``--mb=N`` overrides the minibatch of the convolutions that follow (0 ends that), ``--dir`` says
    which passes of them are meant, ``--dt`` their types, ``--attr-post-ops`` their epilogue,
    ``--match`` selects lines, ``--reset`` forgets all that; ``--batch=FILE`` is looked up in the
    folder of the file that names it. ``chosen``: what the command chooses in place of the file, of
    ``TYPES`` and ``EPILOGUE``.

    Raises InputError when a file cannot be read or holds no line at all, DescriptorError with
    ``FILE:LINE:`` in front when a line cannot be understood.
    """
    reader = _Reader(chosen)
    reader.read(Path(path), stdin=str(path) == STDIN)
    batch = reader.batch
    if not batch.lines:
        raise InputError(
            f"{file_name(path)}: no problem in this file; give one descriptor per line"
        )
    if batch.unmatched == batch.lines:
        raise InputError(
            f"{file_name(path)}: its match option leaves out all of its {batch.lines} lines"
        )
    return batch


class _Reader:
    """Reads files into one batch, with one state of the options."""

    def __init__(self, chosen: Collection[str]) -> None:
        self.batch = Batch()
        self.options = Options(answers=self.batch.answers, chosen=chosen)
        self.open: list[Path] = []
        self.files = self.characters = self.words = 0

    def read(self, path: Path, *, stdin: bool = False) -> None:
        """Read one file and, in place, those it includes."""
        text = text_of_stdin() if stdin else text_of(path)
        name = file_name(path) if stdin else plain(path)
        self.files += 1
        self.characters += len(text)
        if self.characters > MAX_ALL_BYTES:
            raise DescriptorError(f"all files together have over {MAX_ALL_BYTES >> 20} MiB")
        resolved = path.resolve()
        if resolved in self.open:
            raise DescriptorError(f"{plain(path)}: this file includes itself; remove the line")
        self.open.append(resolved)
        for line, word in words(text):
            source = f"{name}:{line}"
            try:
                self._word(word, path, source)
            except _LocatedError:
                raise
            except InputError as error:
                cut = "" if text.endswith("\n") or line <= text.count("\n") else _CUT
                raise _LocatedError(f"{source}: {error}{cut}") from None
        self.open.pop()

    def _word(self, word: str, path: Path, source: str) -> None:
        if word.startswith("-"):
            self.words += 1
            if self.words > MAX_OPTIONS:
                raise DescriptorError(f"more than {MAX_OPTIONS} options; split the file")
            nested = self.options.take(word, source)
            if nested is not None:
                self._include(nested, path)
        else:
            self._line(word, source)

    def _line(self, word: str, source: str) -> None:
        """Read a descriptor."""
        batch = self.batch
        batch.lines += 1
        if batch.lines > MAX_PROBLEMS or len(batch.entries) > MAX_PROBLEMS:
            raise DescriptorError(f"more than {MAX_PROBLEMS} problems; split the file")
        pattern = self.options.pattern
        try:
            problem = self._problem(word)
            variants = self._variants(problem)
        except (NotComputedError, ProblemError) as error:
            if pattern is not None and not pattern.search(word):
                batch.unmatched += 1
            else:
                batch.left_out.append(_left_out(source, word, error))
            return
        if pattern and not (pattern.search(word) or pattern.search(problem.descriptor)):
            batch.unmatched += 1
            return
        self._add(word, source, _count(problem), variants)

    def _add(self, word: str, source: str, count: int, variants: list[Variant]) -> None:
        """Add the variants of a line that are computed; the line is left out for the others."""
        batch = self.batch
        errors: list[InputError] = []
        for variant in variants:
            try:
                typed = variant.typed()
            except (NotComputedError, ProblemError) as error:
                errors.append(error)
            else:
                batch.entries.append(BatchEntry(typed.problem, typed.dtype, count, source))
        if errors:
            partly = len(variants) > len(errors)
            batch.left_out.append(_left_out(source, word, errors[0], partly=partly))

    def _problem(self, word: str) -> Problem:
        foreign = self.options.foreign
        if foreign is None:
            return parse(word)
        option = foreign.partition("=")[0]
        raise NotComputedError(
            f"{shown(word)}: {shown(foreign)} makes it another problem, which is not computed",
            f"under {option}",
        )

    def _variants(self, problem: Problem) -> list[Variant]:
        """Return the problem with each minibatch, of each pass, in each arithmetic.

        Products have neither minibatch nor pass.
        """
        options, arithmetic = self.options, self.options.arithmetic
        if not isinstance(problem, Conv2d):
            arithmetic.check(problem, 1)
            return [*arithmetic.variants(problem, bias=False)]
        sizes = [problem if mb == OWN else problem.with_batch(mb) for mb in options.mbs]
        lines = [
            (one, bias)
            for each in sizes
            for which in options.passes
            for one in passes_of(each, which)
            for bias in (options.forward_bias if which == FORWARD else (False,))
        ]
        arithmetic.check(problem, len(lines))
        return [variant for one, bias in lines for variant in arithmetic.variants(one, bias=bias)]

    def _include(self, value: str, path: Path) -> None:
        if len(self.open) >= MAX_DEPTH or self.files >= MAX_FILES:
            raise DescriptorError(
                f"--batch={plain(value)}: more than {MAX_DEPTH} files deep or {MAX_FILES} files "
                "in all"
            )
        self.read(path.parent / value)


def _left_out(source: str, word: str, error: InputError, *, partly: bool = False) -> LeftOut:
    """Return the record of a line; ``partly``: other values of its options are computed."""
    group = error.group if isinstance(error, NotComputedError) else _IMPOSSIBLE
    reason = str(error) if shown(word) in str(error) else f"{shown(word)}: {error}"
    rest = "; its other variants are computed" if partly else ""
    return LeftOut(source, word, group, f"{reason}{rest}")


class _LocatedError(DescriptorError):
    """The message names file and line already: an including file adds nothing."""


_CUT = " (the last line has no end: is the file cut off?)"


def _count(problem: Problem) -> int:
    match = _COUNT.search(problem.name)
    if match is None:
        return 1
    count = int(match.group(1))
    if count == 0:
        raise DescriptorError(f"{shown(problem.name)}: a multiplicity must be at least 1")
    return count
