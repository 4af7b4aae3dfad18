"""The options of a shape file: which apply to the lines after them, and what the others do.

Names and values are benchdnn's: oneDNN, tests/benchdnn/doc, ``knobs_common.md``, ``driver_*.md``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.errors import DescriptorError
from convprof.problems.base import FORWARD
from convprof.problems.basic_regex import BasicRegex
from convprof.problems.batch_arithmetic import (
    BIAS_TYPE,
    EPILOGUE_OPTIONS,
    SCALES,
    TYPE_OPTIONS,
    ZERO_POINTS,
    Arithmetic,
)
from convprof.problems.checks import MAX_SIZE, shown
from convprof.problems.gradients import BACKWARD_DATA, BACKWARD_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

OWN = 0
"""The ``--mb`` that leaves each problem its own minibatch."""
_MOST_MINIBATCHES = 100
_MOST_SHOWN = 3

TYPES, EPILOGUE = "types", "epilogue"
"""What a command may choose itself: options of the file about it have no effect then."""

_WITH_BIAS = "FWD_B"
_DIRECTIONS = {
    _WITH_BIAS: (FORWARD,),
    "FWD_D": (FORWARD,),
    "FWD_I": (FORWARD,),
    "BWD_D": (BACKWARD_DATA,),
    "BWD_W": (BACKWARD_WEIGHTS,),
    "BWD_WB": (BACKWARD_WEIGHTS,),
    "BWD_DW": (BACKWARD_DATA, BACKWARD_WEIGHTS),
}

# Answers for options that have no effect here, and the options of each answer.
_LAYOUT = "the chosen layout decides"
_DTYPE = "the chosen dtype decides"
_STRATEGY = "the chosen strategy decides"
_EPILOGUE = "the chosen epilogue decides"
_WITHOUT = "computed without"
_DRAWN = "the values are drawn, a scale per channel"
_STEERING = "no effect (they steer benchdnn itself)"
_ANSWERS = {
    _LAYOUT: "stag wtag dtag strides",
    _STRATEGY: "alg",
    _WITHOUT: "attr runtime_dims_masks",
    _STEERING: """allow-enum-tags-only buffer-prefix canonical check-ref-impl cold-cache
        cpu-isa-hints ctx-exe ctx-init engine execution-mode fast-ref fast-ref-gpu
        fix-times-per-prb global-impl impl inplace max-ms-per-prb mem-check memory-kind mode
        mode-modifier num-streams perf-template repeats-per-prb skip-impl start stream-kind
        summary verbose""",
}
_ANSWER = {name: answer for answer, names in _ANSWERS.items() for name in names.split()}
_DRIVERS = ("conv", "matmul")
_OTHER_DRIVERS = frozenset(
    """binary bnorm brgemm concat deconv eltwise gated_mlp gnorm graph ip lnorm lrn pool prelu
    reduction reorder resampling rnn sdpa self shuffle softmax sum zeropad""".split()  # noqa: SIM905  # one name per line would fill a page
)
_OLDER_NAMES = {"bia_dt": BIAS_TYPE}
"""Names of older versions of benchdnn, and the present ones."""
_KNOWN = {*_ANSWER, *_DRIVERS, *_OTHER_DRIVERS, *TYPE_OPTIONS, *EPILOGUE_OPTIONS}
_KNOWN |= {"batch", "dir", "encoding", "grouped", "match", "mb", "reset"}
_OPTION = re.compile(r"--([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_VERBOSE = re.compile(r"-v[0-9]+")
_DENSE = re.compile(r"[:,]*")
"""An ``--encoding`` that names no sparse operand."""


@dataclass(slots=True)
class Options:
    """The state that benchdnn keeps while it reads; it stays as a nested file leaves it."""

    mbs: list[int] = field(default_factory=lambda: [OWN])
    passes: tuple[str, ...] = (FORWARD,)
    """Of convolutions, each once."""
    forward_bias: tuple[bool, ...] = (False,)
    """Whether forward convolutions have a bias; both, if directions of both kinds are named."""
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    chosen: Collection[str] = ()
    """What the command chooses itself, of TYPES and EPILOGUE."""
    pattern: BasicRegex | None = None
    foreign: str | None = None
    """Why the lines that follow are not computed: the option that says so."""
    answers: dict[str, dict[str, None]] = field(default_factory=dict)
    """By answer, the options without effect, each once."""
    _driver: str | None = None
    _special: dict[str, str] = field(default_factory=dict)

    def take(self, word: str, source: str) -> str | None:
        """Read an option; return the value of ``--batch``, which the caller follows.

        ``source``: ``FILE:LINE``. Raises DescriptorError for an option that benchdnn does not have,
        or a value it cannot have.
        """
        match = _OPTION.fullmatch(word)
        name, value = match.groups() if match else (word, None)
        name = _OLDER_NAMES.get(name, name)
        if name == "batch":
            if not value:
                raise DescriptorError("batch without a file: write --batch=FILE")
            return str(value)
        if name in ("reset", "mb", "dir", "match"):
            self._select(name, word, value or "")
        elif name in ("grouped", "encoding"):
            self._special[name] = "" if _DENSE.fullmatch(value or "") else word
            self._say_foreign()
        elif name in (*_DRIVERS, *_OTHER_DRIVERS):
            self._driver = None if name in _DRIVERS else word
            self._say_foreign()
        elif name in (*TYPE_OPTIONS, *EPILOGUE_OPTIONS):
            self._arithmetic(name, word, value or "", source)
        elif self._driver is None:  # another driver has options of its own
            self._note(_answer(word, name), word)
        return None

    def _select(self, name: str, word: str, value: str) -> None:
        """Set which problems the lines that follow mean."""
        if name == "reset":
            self._reset()
        elif name == "mb":
            self.mbs = _minibatches(word, value)
        elif name == "dir":
            self._directions(word, value)
        else:
            self._match(value)

    def _arithmetic(self, name: str, word: str, value: str, source: str) -> None:
        """Set an option of the arithmetic, unless the command chooses itself.

        Options of another driver may have other values, and its lines are left out.
        """
        answer, part = (_DTYPE, TYPES) if name in TYPE_OPTIONS else (_EPILOGUE, EPILOGUE)
        if part in self.chosen:
            self._note(answer, word)
        elif self._driver is None:
            self.arithmetic.take(name, word, value, source)
            if value and name in (SCALES, ZERO_POINTS):
                self._note(_DRAWN, word)

    def _note(self, answer: str, word: str) -> None:
        """Keep how an option is treated; options of lines that are left out need no note."""
        if self._driver is None:
            self.answers.setdefault(answer, {})[word] = None

    def _reset(self) -> None:
        """Return to the defaults, as ``--reset`` does: all but the driver."""
        self.mbs, self.passes, self.pattern = [OWN], (FORWARD,), None
        self.forward_bias = (False,)
        self.arithmetic.clear()
        self._special.clear()
        self._say_foreign()

    def _say_foreign(self) -> None:
        self.foreign = next(filter(None, (self._driver, *self._special.values())), None)

    def _directions(self, word: str, value: str) -> None:
        names = [name.upper() for name in value.split(",")]
        for name in names:
            if name not in _DIRECTIONS:
                raise DescriptorError(f"{shown(word)}: use {', '.join(_DIRECTIONS)}")
        self.passes = tuple(dict.fromkeys(which for name in names for which in _DIRECTIONS[name]))
        forward = [name == _WITH_BIAS for name in names if name.startswith("FWD")] or [False]
        self.forward_bias = tuple(dict.fromkeys(forward))
        if _WITH_BIAS in names and EPILOGUE in self.chosen:
            self.forward_bias = (False,)
            self._note(_EPILOGUE, word)
        if "BWD_WB" in names:
            self._note("the bias has no gradient here", word)

    def _match(self, value: str) -> None:
        text = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        try:
            self.pattern = BasicRegex(text) if text else None
        except DescriptorError as error:
            raise DescriptorError(f"--match={error}") from None


MAX_SHOWN = 60
"""Characters of an option in a note."""


def notes(answers: dict[str, dict[str, None]]) -> str:
    """Return how the options without effect are treated, in one line."""
    return "; ".join(f"{answer}: {_listed(words)}" for answer, words in answers.items())


def _listed(words: Iterable[str]) -> str:
    every = [word if word.isprintable() else repr(word) for word in words]
    cut = [word if len(word) <= MAX_SHOWN else f"{word[: MAX_SHOWN - 3]}..." for word in every]
    more = f" and {len(cut) - _MOST_SHOWN} more" if len(cut) > _MOST_SHOWN else ""
    return f"{' '.join(cut[:_MOST_SHOWN])}{more}"


def _answer(word: str, name: str) -> str:
    """Return the answer for an option without effect."""
    if name in _ANSWER:
        return _ANSWER[name]
    if name.startswith("attr-"):
        return _WITHOUT
    if _VERBOSE.fullmatch(word):
        return _STEERING
    near = difflib.get_close_matches(name[:MAX_SHOWN], sorted(_KNOWN), n=2, cutoff=0.5)
    hint = f"did you mean --{' or --'.join(near)}?" if near else "remove it"
    raise DescriptorError(f"{shown(word)}: no benchdnn option of that name; {hint}")


def _minibatches(word: str, value: str) -> list[int]:
    """Return the sizes of ``--mb=4`` or ``--mb=1,16``, which measures every problem twice."""
    parts = value.split(",")
    if not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        raise DescriptorError(f"{shown(word)}: write e.g. --mb=4")
    sizes = list(dict.fromkeys(int(part) for part in parts))
    if len(sizes) > _MOST_MINIBATCHES:
        raise DescriptorError(f"{shown(word)}: at most {_MOST_MINIBATCHES} sizes")
    if max(sizes) > MAX_SIZE:
        raise DescriptorError(f"{shown(word)}: must be at most {MAX_SIZE} (2**31 - 1)")
    return sizes
