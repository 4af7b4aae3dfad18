"""benchdnn shape files, read as they are: comments, options, multiplicities, nested files.

A file is a row of words, usually one descriptor per line. Options hold for what follows them,
across nested files too, as in benchdnn (oneDNN, tests/benchdnn/doc, ``knobs_common.md``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import DescriptorError, InputError, ProblemError
from convprof.problems.checks import MAX_SIZE, shown
from convprof.problems.conv2d import Conv2d
from convprof.problems.descriptor import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Problem

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 10
MAX_PROBLEMS = 100_000  # files that include others twice each would otherwise grow without end
MAX_FILES = 1000
_OWN = 0  # the --mb that leaves each problem its own minibatch

# Driver options that say nothing about the shape; see knobs_common.md and driver_*.md.
_IGNORED = frozenset(
    """alg allow-enum-tags-only attr bia-dt bia_dt bia_mask buffer-prefix canonical cfg
    check-ref-impl cold-cache conv cpu-isa-hints ctx-exe ctx-init dir dt dtag encoding engine
    execution-mode fast-ref fast-ref-gpu fix-times-per-prb grouped impl inplace match matmul
    max-ms-per-prb mem-check memory-kind mode mode-modifier num-streams perf-template
    repeats-per-prb runtime_dims_masks skip-impl stag start stream-kind strides summary verbose
    wtag""".split()  # noqa: SIM905  # one name per line would fill a page
)
_KNOWN = _IGNORED | {"batch", "mb", "reset"}

# A word is a run of non-blanks in which quotes may hold blanks; # opens a comment at a word's
# start or right after a closing quote, so that an unquoted name may contain one.
_WORD = re.compile(r'(?:[^\s"]++|"[^"]*+"(?!#))*+(?:"[^"]*+"?)?')
_COUNT = re.compile(r"\*([0-9]{1,9})\Z")
_OPTION = re.compile(r"--([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One problem of a file, and how often it occurs in the network that the file describes."""

    problem: Problem
    count: int  # the *3 at the end of the name; 1 without one
    source: str  # "FILE:LINE"


@dataclass(slots=True)
class Batch:
    """What a shape file holds: its problems in order, and the options that had no effect."""

    entries: list[BatchEntry] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # each option once: "--dir=FWD_B"


def read_batch(path: str | Path) -> Batch:
    """Return the problems of a benchdnn shape file and of the files it includes.

    ``--mb=N`` overrides the minibatch of the convolutions that follow (0 ends that), ``--reset``
    forgets it, ``--batch=FILE`` is looked up beside the file that names it.

    Raises InputError when a file cannot be read or holds no problem, DescriptorError with
    ``FILE:LINE:`` in front when a line cannot be understood.
    """
    reader = _Reader()
    reader.read(Path(path))
    if not reader.batch.entries:
        raise InputError(f"{_plain(path)}: no problem in this file; give one descriptor per line")
    return reader.batch


class _Reader:
    """The state that benchdnn keeps while it reads: it outlives a nested file."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.mbs = [_OWN]
        self.open: list[Path] = []
        self.files = 0

    def read(self, path: Path) -> None:
        """Read one file and, in place, those it includes."""
        text = _text(path)
        self.files += 1
        resolved = path.resolve()
        if resolved in self.open:
            raise DescriptorError(f"{_plain(path)}: this file includes itself; remove the line")
        self.open.append(resolved)
        for line, word in _words(text):
            source = f"{_plain(path)}:{line}"
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
            self._option(word, path)
            return
        problem = parse(word)
        count = _count(problem)
        for mb in self.mbs if isinstance(problem, Conv2d) else [_OWN]:
            each = problem if mb == _OWN else problem.with_batch(mb)
            self.batch.entries.append(BatchEntry(each, count, source))
        if len(self.batch.entries) > MAX_PROBLEMS:
            raise DescriptorError(f"more than {MAX_PROBLEMS} problems; split the file")

    def _option(self, word: str, path: Path) -> None:
        match = _OPTION.fullmatch(word)
        name, value = match.groups() if match else (word, None)
        if name == "batch":
            self._include(value or "", path)
        elif name == "mb":
            self.mbs = _minibatches(word, value or "")
        elif name == "reset":
            self.mbs = [_OWN]
        elif name in _IGNORED or name.startswith("attr-") or re.fullmatch(r"-v\d+", word):
            if word not in self.batch.ignored:
                self.batch.ignored.append(word)
        else:
            near = difflib.get_close_matches(name, _KNOWN, n=2, cutoff=0.5)
            hint = f"did you mean --{' or --'.join(near)}?" if near else "remove it"
            raise DescriptorError(f"{shown(word)}: no benchdnn option of that name; {hint}")

    def _include(self, value: str, path: Path) -> None:
        if not value:
            raise DescriptorError("--batch: write --batch=FILE")
        if len(self.open) >= MAX_DEPTH or self.files >= MAX_FILES:
            raise DescriptorError(
                f"--batch={value}: more than {MAX_DEPTH} files deep or {MAX_FILES} files in all"
            )
        self.read(path.parent / value)


class _LocatedError(DescriptorError):
    """Names its file and line already: an including file adds nothing."""


_CUT = " (the last line has no end: is the file cut off?)"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise InputError(f"{_plain(path)}: is a directory; name a file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{_plain(path)}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{_plain(path)}: larger than {MAX_BYTES >> 20} MiB; split the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{_plain(path)}: not a text file (byte {error.start} is not UTF-8)"
        ) from None
    if "\0" in text:
        raise InputError(f"{_plain(path)}: not a text file (it holds a zero byte)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _words(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, word); a backslash, apart or at its end, joins a word with the next."""
    held, held_at, joined = "", 0, False
    for number, word in _bare_words(text):
        if held and not joined and word != "\\":
            yield held_at, held
            held = ""
        held_at = held_at if held else number
        held += word
        joined = held.endswith("\\")
        held = held.removesuffix("\\")
    if held:
        yield held_at, held


def _bare_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, word) without the comments."""
    for number, line in enumerate(text.split("\n"), 1):
        for match in _WORD.finditer(line):
            word = match.group()
            if word.startswith("#"):
                break
            if word:  # the pattern matches the empty text between two words
                yield number, word


def _count(problem: Problem) -> int:
    match = _COUNT.search(problem.name)
    if match is None:
        return 1
    count = int(match.group(1))
    if count == 0:
        raise ProblemError(f"{shown(problem.name)}: a multiplicity must be at least 1")
    return count


def _minibatches(word: str, value: str) -> list[int]:
    """Return the sizes of ``--mb=4`` or ``--mb=1,16``, which measures every problem twice."""
    parts = value.split(",")
    if not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        raise DescriptorError(f"{shown(word)}: write e.g. --mb=4")
    sizes = [int(part) for part in parts]
    if max(sizes) > MAX_SIZE:
        raise DescriptorError(f"{shown(word)}: must be at most {MAX_SIZE} (2**31 - 1)")
    return sizes


def _plain(path: str | Path) -> str:
    text = str(path)
    return text if text.isprintable() else repr(text)
